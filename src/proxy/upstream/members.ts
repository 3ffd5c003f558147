// From the host sets of a pool to its members; those that did not change are the objects of the version before.

import type { Member } from '../../model/picker.ts';
import type { HostSet, HostSetMember, SnapshotPool, TargetGroup } from '../../model/snapshot.ts';
import { identityOf, type Pool } from './pool.ts';
import type { BuiltPool, PoolLife } from './pool-life.ts';

/** What was built last, and what from. */
export interface Before {
  readonly config: SnapshotPool;
  sets: readonly HostSet[];
  readonly built: BuiltPool;
  /** Of the pool's life until then. */
  readonly departures: number;
}

/**
 * Puts the members that changed in their places, in the lists of the version before, where none came, left or moved: of
 * thousands one has changed, and lists as long as the pool would be garbage with each event.
 * @returns false when members and picker have to be made anew
 */
export function replaceMembers(pool: Pool, { config, sets, built, departures }: Before): boolean {
  const [group] = pool.config.groups;
  if (group === undefined || pool.config.groups.length > 1 || !isSameGroup(config.groups, group))
    return false;
  if (config.settings !== pool.config.settings) return false;
  // A target that was away only in versions that nobody used stands in the sets as if it had never been.
  if (departures !== pool.life.departures) return false;
  const from = sets[0]!.members;
  const entries = pool.sets[0]!.members;
  if (entries.length !== from.length) return false;
  const places: number[] = [];
  for (let place = 0; place < entries.length; place += 1) {
    if (from[place] === entries[place]) continue;
    if (from[place]!.host.address !== entries[place]!.host.address) return false;
    places.push(place);
  }
  for (const place of places) {
    const member = memberOf(entries[place]!, group, pool.life);
    if (!built.picker.replace(built.members[place]!, member)) return false;
    built.members[place] = member;
  }
  return true;
}

/** One member for each address and port; a target that two groups name counts once, where it is used first. */
export function membersOf(pool: Pool, before: Before | null): Member[] {
  const { groups } = pool.config;
  const [group] = groups;
  if (group !== undefined && groups.length === 1) return membersOfGroup(pool, group, before);
  const members = new Map<string, Member>();
  for (const [index, each] of groups.entries()) {
    for (const entry of pool.sets[index]!.members) {
      const known = members.get(identityOf(entry.host.address, each.port));
      if (known !== undefined && known.priority <= each.priority) continue;
      const made = memberOf(entry, each, pool.life);
      members.set(made.identity, made);
    }
  }
  return [...members.values()];
}

/** Targets are keyed by identity where sets are made, so each stands once and has the same place in both lists. */
function membersOfGroup(pool: Pool, group: TargetGroup, before: Before | null): Member[] {
  const reusable = before !== null && isSameGroup(before.config.groups, group);
  const from: HostSet['members'] = reusable ? before.sets[0]!.members : [];
  const known = reusable ? before.built.members : [];
  const entries = pool.sets[0]!.members;
  const members: Member[] = [];
  let at = 0;
  for (const entry of entries) {
    let place = at;
    const end = Math.min(from.length, at + NEAR);
    while (place < end && from[place] !== entry) place += 1;
    if (place === end) {
      members.push(memberOf(entry, group, pool.life));
      continue;
    }
    const member = known[place]!;
    members.push(pool.life.holds(member) ? member : memberOf(entry, group, pool.life));
    at = place + 1;
  }
  return members;
}

/** How far a member that stays is looked for: so many may have left before it. */
const NEAR = 8;

function isSameGroup([first, second]: readonly TargetGroup[], group: TargetGroup): boolean {
  return (
    first !== undefined &&
    second === undefined &&
    first.port === group.port &&
    first.priority === group.priority &&
    first.weight === group.weight
  );
}

function memberOf(entry: HostSetMember, group: TargetGroup, life: PoolLife): Member {
  const { host, weight, state, health, lastResort } = entry;
  const identity = identityOf(host.address, group.port);
  return {
    identity,
    address: host.address,
    port: group.port,
    cluster: host.cluster,
    node: host.node,
    weight: weight * group.weight,
    priority: group.priority,
    state,
    health,
    lastResort,
    live: life.liveOf(identity),
  };
}
