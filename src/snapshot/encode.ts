// From snapshots to the text of a publication; two snapshots share the objects that did not change, so that a difference costs what it says.

import type { Secrets } from '../model/secrets.ts';
import type { HostSet, HostSetMember, Snapshot, SnapshotPool } from '../model/snapshot.ts';
import { HEALTH_STATES, TARGET_STATES } from '../model/targets.ts';
import { isSameShape } from './pool-shape.ts';
import type {
  DifferenceText,
  MemberEdit,
  PackedHost,
  PackedMember,
  PoolChange,
  SetChange,
  SnapshotFrame,
  WholeText,
} from './publication-text.ts';

/** A snapshot as one text that stands for itself. */
export function encodeWhole(snapshot: Snapshot, secrets: Secrets): string {
  const hosts = new HostPacker();
  const { hostSets, pools, ...frame } = snapshot;
  const text: WholeText = {
    kind: 'whole',
    secrets,
    frame,
    hostSets: hostSets.map(({ key, members }) => [key, members.map((member) => hosts.pack(member))]),
    hosts: hosts.packed,
    pools,
  };
  return JSON.stringify(text);
}

/**
 * What makes `before` into `after`. Pools are matched by name, and host sets by the pools that use them.
 * @param secrets null when they are as before
 */
export function encodeDifference(before: Snapshot, after: Snapshot, secrets: Secrets | null): string {
  const hosts = new HostPacker();
  const text: DifferenceText = {
    kind: 'difference',
    base: before.version,
    secrets,
    frame: frameDifference(before, after),
    hostSetCount: after.hostSets.length,
    poolCount: after.pools.length,
    pools: poolChanges(before.pools, after.pools),
    hostSets: setChanges(before, after, hosts),
    hosts: hosts.packed,
  };
  return JSON.stringify(text);
}

/** Numbers the hosts of one text in the order of their first use. */
class HostPacker {
  readonly packed: PackedHost[] = [];
  readonly #index = new Map<string, number>();

  pack({ host, weight, state, health, lastResort }: HostSetMember): PackedMember {
    const name = `${host.address} ${host.cluster} ${host.node}`;
    let index = this.#index.get(name);
    if (index === undefined) {
      index = this.packed.length;
      this.packed.push([host.address, host.cluster, host.node]);
      this.#index.set(name, index);
    }
    return [index, weight, TARGET_STATES.indexOf(state), HEALTH_STATES.indexOf(health), lastResort ? 1 : 0];
  }
}

function frameDifference(before: Snapshot, after: Snapshot): DifferenceText['frame'] {
  const { hostSets, pools, ...frame } = after;
  const { version, checksum, eventAtMs } = frame;
  const changed = Object.entries(frame).filter(
    ([name, value]) => before[name as keyof SnapshotFrame] !== value,
  );
  return { ...(Object.fromEntries(changed) as Partial<SnapshotFrame>), version, checksum, eventAtMs };
}

function poolChanges(before: readonly SnapshotPool[], after: readonly SnapshotPool[]): readonly PoolChange[] {
  const changes: PoolChange[] = [];
  let byName: Map<string, number> | null = null;
  for (let index = 0; index < after.length; index += 1) {
    const pool = after[index]!;
    let base = index;
    if (before[index]?.name !== pool.name) {
      byName ??= new Map(before.map(({ name }, position) => [name, position]));
      base = byName.get(pool.name) ?? -1;
    }
    const known = before[base];
    if (known === pool && base === index) continue;
    if (known === undefined || known.settings !== pool.settings) changes.push([index, pool]);
    else if (!isSameShape(known, pool)) changes.push([index, base, pool.groups, pool.lost]);
    else if (base !== index) changes.push([index, base]);
  }
  return changes;
}

function setChanges(before: Snapshot, after: Snapshot, hosts: HostPacker): readonly SetChange[] {
  const changed: number[] = [];
  for (let index = 0; index < after.hostSets.length; index += 1)
    if (before.hostSets[index] !== after.hostSets[index]) changed.push(index);
  if (changed.length === 0) return [];
  const positions = new Map(before.hostSets.map((set, index) => [set, index]));
  const bases = likelyBases(before, after, changed);
  return changed.map((index): SetChange => {
    const set = after.hostSets[index]!;
    const same = positions.get(set);
    if (same !== undefined) return [index, same];
    const base = bases.get(index) ?? -1;
    return [index, base, set.key, memberEdits(before.hostSets[base], set, hosts)];
  });
}

/** The set that a pool had before is the best to begin from. */
function likelyBases(
  before: Snapshot,
  after: Snapshot,
  changed: readonly number[],
): ReadonlyMap<number, number> {
  const wanted = new Set(changed);
  const bases = new Map<number, number>();
  let byName: Map<string, SnapshotPool> | null = null;
  for (let index = 0; index < after.pools.length && wanted.size > 0; index += 1) {
    const { name, groups } = after.pools[index]!;
    let known = before.pools[index];
    if (known?.name !== name) {
      byName ??= new Map(before.pools.map((pool) => [pool.name, pool]));
      known = byName.get(name);
    }
    for (let place = 0; place < groups.length; place += 1) {
      const { hostSet } = groups[place]!;
      const base = known?.groups[place]?.hostSet;
      if (base !== undefined && wanted.delete(hostSet)) bases.set(hostSet, base);
    }
  }
  return bases;
}

/** Where the two lists, which are in the same order, differ. Members that did not change are the same objects. */
function memberEdits(before: HostSet | undefined, after: HostSet, hosts: HostPacker): readonly MemberEdit[] {
  const from = before?.members ?? [];
  const to = after.members;
  return editsInPlace(from, to, hosts) ?? editsOfLists(from, to, hosts);
}

/** The same hosts at the same places, as when nobody came or left; null where it is not so. */
function editsInPlace(
  from: HostSet['members'],
  to: HostSet['members'],
  hosts: HostPacker,
): readonly MemberEdit[] | null {
  if (from.length !== to.length) return null;
  const places: number[] = [];
  for (let place = 0; place < to.length; place += 1) {
    const now = to[place]!;
    const known = from[place]!;
    if (known === now) continue;
    if (known.host.address !== now.host.address || known.host.node !== now.host.node) return null;
    places.push(place);
  }
  return places.map((place): MemberEdit => [place, 1, [hosts.pack(to[place]!)]]);
}

function editsOfLists(
  from: HostSet['members'],
  to: HostSet['members'],
  hosts: HostPacker,
): readonly MemberEdit[] {
  const kept = new Set(from.length === 0 ? [] : to);
  const edits: MemberEdit[] = [];
  let at = 0;
  let next = 0;
  while (at < from.length || next < to.length) {
    if (at < from.length && from[at] === to[next]) {
      at += 1;
      next += 1;
      continue;
    }
    const start = at;
    while (at < from.length && !kept.has(from[at]!)) at += 1;
    const added: PackedMember[] = [];
    const until = from[at];
    while (next < to.length && to[next] !== until) {
      added.push(hosts.pack(to[next]!));
      // A member that is kept further down in another order is sent again; it must not stop the walk.
      kept.delete(to[next]!);
      next += 1;
    }
    edits.push([start, at - start, added]);
  }
  return edits;
}
