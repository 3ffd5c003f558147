// What a new version of a pool means for the targets that are in use: only those whose members changed are looked at.

import type { HostSet, HostSetMember } from '../../model/snapshot.ts';
import { identityOf, type Pool } from './pool.ts';

interface MemberChange {
  readonly address: string;
  /** Null when the set does not have it any more. */
  readonly now: HostSetMember | null;
}

/** The differences between two sets, made once for all pools that go from the one to the other. */
export class SetChanges {
  readonly #known = new Map<HostSet, Map<HostSet, readonly MemberChange[]>>();

  between(before: HostSet, after: HostSet): readonly MemberChange[] {
    let known = this.#known.get(before);
    if (known === undefined) {
      known = new Map();
      this.#known.set(before, known);
    }
    let changes = known.get(after);
    if (changes === undefined) {
      changes = compare(before, after);
      known.set(after, changes);
    }
    return changes;
  }
}

/** What changed, and what left; members that did not change are the same objects. */
function compare(before: HostSet, after: HostSet): readonly MemberChange[] {
  return compareInPlace(before.members, after.members) ?? compareAnyOrder(before, after);
}

/** The same addresses at the same places, as when nobody came or left; null where it is not so. */
function compareInPlace(
  before: HostSet['members'],
  after: HostSet['members'],
): readonly MemberChange[] | null {
  if (before.length !== after.length) return null;
  const changes: MemberChange[] = [];
  for (let place = 0; place < after.length; place += 1) {
    const now = after[place]!;
    const known = before[place]!;
    if (known === now) continue;
    const { address } = now.host;
    if (known.host.address !== address) return null;
    changes.push({ address, now });
  }
  return changes;
}

function compareAnyOrder(before: HostSet, after: HostSet): readonly MemberChange[] {
  const left = new Set(before.members);
  const changes: MemberChange[] = [];
  const addresses = new Set<string>();
  for (const member of after.members) {
    if (left.delete(member)) continue;
    changes.push({ address: member.host.address, now: member });
    addresses.add(member.host.address);
  }
  for (const { host } of left) {
    // Under the same address another member has come.
    if (addresses.has(host.address)) continue;
    changes.push({ address: host.address, now: null });
  }
  return changes;
}

export function settleTargets(before: Pick<Pool, 'config' | 'sets'>, after: Pool, changes: SetChanges): void {
  const { life } = after;
  const [group] = after.config.groups;
  const [former] = before.config.groups;
  const single = before.config.groups.length === 1 && after.config.groups.length === 1;
  if (single && group !== undefined && group.port === former?.port) {
    if (before.sets[0] === after.sets[0]) return;
    for (const { address, now } of changes.between(before.sets[0]!, after.sets[0]!))
      life.settle(identityOf(address, group.port), now);
    return;
  }
  const now = new Map<string, { readonly member: HostSetMember; readonly priority: number }>();
  for (const [index, { port, priority }] of after.config.groups.entries()) {
    for (const member of after.sets[index]!.members) {
      const identity = identityOf(member.host.address, port);
      const known = now.get(identity);
      if (known === undefined || known.priority > priority) now.set(identity, { member, priority });
    }
  }
  for (const identity of [...life.targets.keys()]) life.settle(identity, now.get(identity)?.member ?? null);
}
