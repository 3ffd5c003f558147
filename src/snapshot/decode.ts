// From the text of a publication to the snapshot; everything that did not change is the object of the snapshot before.

import type { Secrets } from '../model/secrets.ts';
import type { HostSet, HostSetMember, Snapshot, SnapshotHost, SnapshotPool } from '../model/snapshot.ts';
import { HEALTH_STATES, TARGET_STATES } from '../model/targets.ts';
import type {
  DifferenceText,
  MemberEdit,
  PackedHost,
  PackedMember,
  PublicationText,
  WholeText,
} from './publication-text.ts';

export interface Decoded {
  readonly snapshot: Snapshot;
  /** Null when they are as before. */
  readonly secrets: Secrets | null;
}

/** The text is a difference from a snapshot that is not the one at hand: it has to be sent whole. */
export class OtherBase extends Error {
  constructor(base: number, version: number) {
    super(`the difference begins from version ${base}, and this is ${version}`);
  }
}

/** @param before the snapshot decoded last; null when there is none. Throws `OtherBase`, or what is wrong with the text. */
export function decodePublication(text: string, before: Snapshot | null): Decoded {
  const parsed = JSON.parse(text) as PublicationText;
  if (parsed.kind === 'whole') return { snapshot: decodeWhole(parsed), secrets: parsed.secrets };
  if (before === null || before.version !== parsed.base)
    throw new OtherBase(parsed.base, before?.version ?? 0);
  return { snapshot: decodeDifference(parsed, before), secrets: parsed.secrets };
}

function decodeWhole({ frame, hosts, hostSets, pools }: WholeText): Snapshot {
  const unpack = unpacker(hosts);
  return {
    ...frame,
    hostSets: hostSets.map(([key, members]) => ({ key, members: members.map(unpack) })),
    pools,
  };
}

function decodeDifference(text: DifferenceText, before: Snapshot): Snapshot {
  const unpack = unpacker(text.hosts);
  const hostSets = before.hostSets.slice(0, text.hostSetCount);
  for (const [index, base, key, edits] of text.hostSets) {
    hostSets[index] =
      key === undefined
        ? before.hostSets[base]!
        : { key, members: edited(before.hostSets[base], edits ?? [], unpack) };
  }
  const pools = decodePools(text, before.pools);
  if (hostSets.length !== text.hostSetCount || pools.length !== text.poolCount)
    throw new RangeError('the difference leaves a gap');
  return { ...before, ...text.frame, hostSets, pools };
}

/** The same list as before where only sets have changed, as with most events. */
function decodePools(
  { pools: changes, poolCount }: DifferenceText,
  before: readonly SnapshotPool[],
): readonly SnapshotPool[] {
  if (changes.length === 0 && poolCount === before.length) return before;
  const pools = before.slice(0, poolCount);
  for (const [index, base, groups, lost] of changes) {
    if (typeof base !== 'number') pools[index] = base;
    else if (groups === undefined) pools[index] = before[base]!;
    else pools[index] = { ...before[base]!, groups, lost: lost ?? [] };
  }
  return pools;
}

function edited(
  base: HostSet | undefined,
  edits: readonly MemberEdit[],
  unpack: (packed: PackedMember) => HostSetMember,
): readonly HostSetMember[] {
  const from = base?.members ?? [];
  // Most often some have changed and none has come or left: a list that has its length from the start.
  if (edits.every(([, removed, added]) => removed === added.length)) {
    const members = from.slice();
    for (const [start, , added] of edits)
      for (const [place, packed] of added.entries()) members[start + place] = unpack(packed);
    return members;
  }
  const members: HostSetMember[] = [];
  let at = 0;
  for (const [start, removed, added] of edits) {
    while (at < start) members.push(from[at++]!);
    for (const packed of added) members.push(unpack(packed));
    at = start + removed;
  }
  while (at < from.length) members.push(from[at++]!);
  return members;
}

function unpacker(packed: readonly PackedHost[]): (member: PackedMember) => HostSetMember {
  const hosts = packed.map(([address, cluster, node]): SnapshotHost => ({ address, cluster, node }));
  return ([host, weight, state, health, lastResort]) => ({
    host: hosts[host]!,
    weight,
    state: TARGET_STATES[state]!,
    health: HEALTH_STATES[health]!,
    lastResort: lastResort === 1,
  });
}
