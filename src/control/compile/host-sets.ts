// Owns the sharing in a snapshot: every distinct set of hosts once, and the same objects for what did not change.

import { createHash } from 'node:crypto';
import type { HostSet, HostSetMember } from '../../model/snapshot.ts';
import type { TargetEntries } from '../targets/target-entries.ts';
import type { TargetEntry, TargetTable } from '../targets/target-table.ts';

/** One target of a set, in its place among the others. */
interface Placed {
  /** `address:` as identities begin, then cluster and node: the order of a set depends on nothing but the content. */
  readonly order: string;
  readonly member: HostSetMember;
  readonly hash: Uint32Array;
}

/** The targets of a table at one port. */
export interface PlacedSet {
  /** 0 in tables that know no port. */
  readonly port: number;
  readonly hostSet: HostSet;
  /** Its index with the builder that has last met it. */
  readonly numbered: { builder: HostSetBuilder | null; index: number };
}

/** The one set of a table whose targets stand in it as they stand in the table, with what a changed one changes. */
interface InPlace {
  readonly list: readonly TargetEntry[];
  readonly placed: readonly Placed[];
  readonly sum: Uint32Array;
  readonly set: PlacedSet;
}

/** Remembers what was made of tables and targets that did not change; forgetting it changes nothing but time. */
export interface PlacedMemo {
  readonly tables: WeakMap<TargetTable, readonly PlacedSet[]>;
  readonly entries: WeakMap<TargetEntry, Placed>;
  /** The last of those tables that have the same identities in the same order. */
  readonly inPlace: WeakMap<TargetEntries['places'], InPlace>;
  /** The sets of the last snapshot by key: equal content stays the same object. */
  last: ReadonlyMap<string, HostSet>;
}

export function createPlacedMemo(): PlacedMemo {
  return { tables: new WeakMap(), entries: new WeakMap(), inPlace: new WeakMap(), last: new Map() };
}

/** The sets of a table, one for each port, sorted by port. */
export function placedSets(table: TargetTable, memo: PlacedMemo): readonly PlacedSet[] {
  const known = memo.tables.get(table);
  if (known !== undefined) return known;
  const changed = changedSet(table, memo);
  if (changed !== null) {
    const sets = [changed];
    memo.tables.set(table, sets);
    return sets;
  }
  const byPort = new Map<number, Placed[]>();
  for (const entry of table.entries.list) {
    const list = byPort.get(entry.port);
    const placed = placedOf(entry, memo);
    if (list === undefined) byPort.set(entry.port, [placed]);
    else list.push(placed);
  }
  const sets = [...byPort]
    .sort(([a], [b]) => a - b)
    .map(([port, list]): PlacedSet => {
      const isInPlace = byPort.size === 1 && isSorted(list);
      if (!isInPlace && !isSorted(list)) list.sort(byOrder);
      const sum = sumOf(list);
      const set = setOf(
        port,
        sum,
        list.map(({ member }) => member),
      );
      if (isInPlace)
        memo.inPlace.set(table.entries.places, { list: table.entries.list, placed: list, sum, set });
      return set;
    });
  memo.tables.set(table, sets);
  return sets;
}

/** Of thousands of targets one has changed: the set is the one before but for it. Null where it takes more than that. */
function changedSet({ entries: { list, places } }: TargetTable, memo: PlacedMemo): PlacedSet | null {
  const known = memo.inPlace.get(places);
  if (known === undefined) return null;
  const sum = known.sum.slice();
  const placed = [...known.placed];
  const members = [...known.set.hostSet.members];
  for (let place = 0; place < list.length; place++) {
    const entry = list[place]!;
    if (entry === known.list[place]) continue;
    const before = placed[place]!;
    const now = placedOf(entry, memo, before);
    if (entry.port !== known.set.port || now.order !== before.order) return null;
    for (let lane = 0; lane < LANES; lane++) sum[lane]! += now.hash[lane]! - before.hash[lane]!;
    placed[place] = now;
    members[place] = now.member;
  }
  const set = setOf(known.set.port, sum, members);
  memo.inPlace.set(places, { list, placed, sum, set });
  return set;
}

function setOf(port: number, sum: Uint32Array, members: readonly HostSetMember[]): PlacedSet {
  const key = Buffer.from(sum.buffer).toString('base64url');
  return { port, hostSet: { key, members }, numbered: { builder: null, index: 0 } };
}

/** @param before the one that stood in this place: what has changed of a target may be nothing that a worker is told */
function placedOf(entry: TargetEntry, memo: PlacedMemo, before: Placed | null = null): Placed {
  const known = memo.entries.get(entry);
  if (known !== undefined) return known;
  const { candidate, weight, state, health, lastResort } = entry;
  const { address, cluster, node } = candidate;
  if (before !== null && isMember(before.member, entry)) {
    memo.entries.set(entry, before);
    return before;
  }
  const order = `${address.includes(':') ? `[${address}]` : address}: ${JSON.stringify([cluster, node])}`;
  const host = { address, cluster, node };
  const text = `${order} ${weight} ${state} ${health} ${lastResort}`;
  const digest = createHash('sha256').update(text).digest();
  const hash = new Uint32Array(LANES);
  for (let lane = 0; lane < LANES; lane++) hash[lane] = digest.readUInt32LE(lane * 4);
  const placed: Placed = { order, member: { host, weight, state, health, lastResort }, hash };
  memo.entries.set(entry, placed);
  return placed;
}

function isMember(
  member: HostSetMember,
  { candidate, weight, state, health, lastResort }: TargetEntry,
): boolean {
  const { address, cluster, node } = member.host;
  return (
    address === candidate.address &&
    cluster === candidate.cluster &&
    node === candidate.node &&
    member.weight === weight &&
    member.state === state &&
    member.health === health &&
    member.lastResort === lastResort
  );
}

/** 256 bits. */
const LANES = 8;

/** The sum of the members' hashes: a set of thousands in which one has changed costs thousands of additions, not hashes. */
function sumOf(list: readonly Placed[]): Uint32Array {
  const sum = new Uint32Array(LANES + 1);
  for (const { hash } of list) for (let lane = 0; lane < LANES; lane++) sum[lane]! += hash[lane]!;
  sum[LANES] = list.length;
  return sum;
}

function byOrder(a: Placed, b: Placed): number {
  return a.order < b.order ? -1 : a.order > b.order ? 1 : 0;
}

function isSorted(list: readonly Placed[]): boolean {
  for (let index = 1; index < list.length; index++) {
    if (list[index - 1]!.order > list[index]!.order) return false;
  }
  return true;
}

/** Numbers sets in the order of their first use. */
export class HostSetBuilder {
  readonly hostSets: HostSet[] = [];
  readonly #index = new Map<string, number>();
  readonly #last: ReadonlyMap<string, HostSet>;

  constructor(memo: PlacedMemo) {
    this.#last = memo.last;
  }

  /** Index of the set, added if no equal one is there. */
  add({ hostSet, numbered }: PlacedSet): number {
    if (numbered.builder === this) return numbered.index;
    const known = this.#index.get(hostSet.key);
    numbered.builder = this;
    numbered.index = known ?? this.hostSets.length;
    if (known !== undefined) return known;
    this.hostSets.push(this.#last.get(hostSet.key) ?? hostSet);
    this.#index.set(hostSet.key, numbered.index);
    return numbered.index;
  }

  /** What the next builder has to know. */
  byKey(): ReadonlyMap<string, HostSet> {
    return new Map(this.hostSets.map((set) => [set.key, set]));
  }
}
