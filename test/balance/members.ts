// Members, options and repeatable chance for the tests of the pickers.

import type { Member, PickerOptions, TargetLive } from '../../src/model/picker.ts';
import type { PolicyName } from '../../src/model/pool-config.ts';

export const HASH_POLICIES = ['rendezvous', 'maglev', 'ring-hash'] as const satisfies readonly PolicyName[];
export const POLICIES = [
  'round-robin',
  'random',
  'least-request',
  'peak-ewma',
  ...HASH_POLICIES,
] as const satisfies readonly PolicyName[];

/** Mulberry32: the same numbers for the same seed, on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

type MemberChanges = Partial<Omit<Member, 'live'>> & { readonly live?: Partial<TargetLive> };

/** An active, healthy member of weight 1 at 10.0.x.y:30080, where x.y is `number`. */
export function createMember(number: number, changes: MemberChanges = {}): Member {
  const address = changes.address ?? `10.0.${number >> 8}.${number & 0xff}`;
  const port = changes.port ?? 30080;
  return {
    identity: `${address}:${port}`,
    address,
    port,
    cluster: 'iad',
    node: `node-${number}`,
    weight: 1,
    priority: 0,
    state: 'active',
    health: 'healthy',
    lastResort: false,
    ...changes,
    live: { inFlight: 0, ejected: false, latencyMs: 0, latencyAtMs: 0, startedAtMs: 0, ...changes.live },
  };
}

/** `count` members from number 1 on. */
export function createMembers(count: number, changes: MemberChanges = {}): Member[] {
  return Array.from({ length: count }, (_, index) => createMember(index + 1, changes));
}

type OptionChanges = Partial<Omit<PickerOptions, 'policy'>> & {
  readonly policy?: Partial<PickerOptions['policy']>;
};

export function createOptions(name: PolicyName, changes: OptionChanges = {}): PickerOptions {
  return {
    unknown: 'serve',
    slowStartMs: 0,
    panicThreshold: 0,
    spilloverThreshold: 0.7,
    ...changes,
    policy: {
      name,
      key: null,
      choices: 2,
      boundedLoad: 0,
      tableSize: name === 'ring-hash' ? 160 : 65_537,
      seed: '34567890123456783456789012345678',
      hashKey: '12345678901234561234567890123456',
      ...changes.policy,
    },
  };
}

/** Picks `count` times with hashes from `random` and counts the picks of each identity. */
export function countPicks(
  pick: (hash: number) => Member | undefined,
  count: number,
  random: () => number,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (let turn = 0; turn < count; turn++) {
    const identity = pick(Math.floor(random() * 0x1_0000_0000))?.identity ?? 'none';
    counts.set(identity, (counts.get(identity) ?? 0) + 1);
  }
  return counts;
}

/** Repeatable Fisher-Yates. */
export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const copy = [...list];
  for (let last = copy.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [copy[last], copy[other]] = [copy[other]!, copy[last]!];
  }
  return copy;
}
