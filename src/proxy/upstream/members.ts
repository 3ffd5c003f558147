// From the host sets of a pool to its members; those that did not change are the objects of the version before.

import type { Member } from '../../model/picker.ts';
import type { HostSet, HostSetMember, TargetGroup } from '../../model/snapshot.ts';
import { identityOf, type Pool } from './pool.ts';
import type { BuiltPool, PoolLife } from './pool-life.ts';

/** What was built last, and what from. */
export interface Before {
  readonly groups: readonly TargetGroup[];
  sets: readonly HostSet[];
  readonly built: BuiltPool;
}

/** One member for each address and port; a target that two groups name counts once, where it is used first. */
export function membersOf(pool: Pool, before: Before | null): readonly Member[] {
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
function membersOfGroup(pool: Pool, group: TargetGroup, before: Before | null): readonly Member[] {
  const reusable = before !== null && isSameGroup(before.groups, group);
  const from: HostSet['members'] = reusable ? before.sets[0]!.members : [];
  const known = reusable ? before.built.members : [];
  const entries = pool.sets[0]!.members;
  if (entries.length === from.length) {
    // Most often some have changed and none has moved.
    const members = known.slice();
    let place = 0;
    while (place < entries.length && isAtPlace(from[place]!, entries[place]!)) {
      if (from[place] !== entries[place]) members[place] = memberOf(entries[place]!, group, pool.life);
      place += 1;
    }
    if (place === entries.length) return members;
  }
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
    members.push(known[place]!);
    at = place + 1;
  }
  return members;
}

const isAtPlace = (before: HostSetMember, now: HostSetMember): boolean =>
  before === now || before.host.address === now.host.address;

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
