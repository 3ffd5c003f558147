// The members of one priority: how many of them are available, and the algorithm of each stage over them.

import type { Member, PickerOptions } from '../model/picker.ts';
import { type Algorithm, Candidates } from './candidates.ts';
import { createAlgorithm, createTable } from './create-algorithm.ts';
import { inStage, inTable, type Stage, type Standing, standingOf } from './eligibility.ts';
import type { HashTable } from './hash-policy.ts';
import type { HashTables } from './hash-tables.ts';
import { byIdentity } from './table-input.ts';

/** A class, since what is made of a literal may begin its life among old objects, and hold its lists when it is over. */
class View {
  readonly candidates: Candidates;
  readonly algorithm: Algorithm;

  constructor(candidates: Candidates, algorithm: Algorithm) {
    this.candidates = candidates;
    this.algorithm = algorithm;
  }
}

export class PriorityGroup {
  readonly priority: number;
  readonly table: HashTable | null;
  /** As of the last `count`: weight of ready members that are not ejected, as a share of ready and failed ones. */
  availableShare = 0;
  /** As of the last `count`: whether a last-resort member could take a flow. */
  hasLastResort = false;
  /** Whether panic would find anyone. */
  readonly hasAny: boolean;
  #members: readonly Member[];
  #standings: readonly Standing[];
  readonly #options: PickerOptions;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #views: Record<Stage, View | null> = { ready: null, 'last-resort': null, panic: null };

  /** @param before the group of this priority in the snapshot before */
  constructor(
    priority: number,
    members: readonly Member[],
    options: PickerOptions,
    random: () => number,
    now: () => number,
    tables: HashTables,
    before: PriorityGroup | null,
  ) {
    this.priority = priority;
    const listed = members.every(inTable) ? members : members.filter(inTable);
    this.#members = isSorted(listed) ? listed : listed.toSorted(byIdentity);
    this.#standings = this.#members.map((member) => standingOf(member, options.unknown));
    this.#options = options;
    this.#random = random;
    this.#now = now;
    this.hasAny = this.#standings.some((standing) => standing !== 'never');
    this.table =
      before?.tableFor(options, this.#members) ?? createTable(options.policy, this.#members, tables);
  }

  /** The table, when it is the one of these members and options too. */
  tableFor({ policy }: PickerOptions, members: readonly Member[]): HashTable | null {
    const own = this.#options.policy;
    if (this.table === null || members.length !== this.#members.length) return null;
    if (policy.name !== own.name || policy.seed !== own.seed || policy.tableSize !== own.tableSize)
      return null;
    const isSame = members.every((member, index) => {
      const known = this.#members[index]!;
      return (
        member === known ||
        (member.identity === known.identity &&
          member.weight === known.weight &&
          member.address === known.address)
      );
    });
    return isSame ? this.table : null;
  }

  /** Lets go of the members: nothing is picked any more. */
  release(): void {
    this.#members = [];
    this.#standings = [];
    for (const stage of ['ready', 'last-resort', 'panic'] as const) this.#views[stage] = null;
  }

  count(): void {
    let counted = 0;
    let available = 0;
    this.hasLastResort = false;
    for (let index = 0; index < this.#members.length; index++) {
      const standing = this.#standings[index];
      const { live, weight } = this.#members[index]!;
      if (standing === 'ready' || standing === 'failed') counted += weight;
      if (live.ejected) continue;
      if (standing === 'ready') available += weight;
      else if (standing === 'last-resort') this.hasLastResort = true;
    }
    this.availableShare = counted === 0 ? 0 : available / counted;
  }

  /** Brings the weights of a stage up to date; the stage's view is made when it is first needed. */
  refresh(stage: Stage): void {
    let view = this.#views[stage];
    if (view === null) {
      view = this.#createView(stage);
      this.#views[stage] = view;
    }
    view.candidates.refresh(this.#options.slowStartMs > 0 ? this.#now() : 0);
  }

  /** Only for a stage that was refreshed before. */
  pick(stage: Stage, hash: number, tried: readonly Member[]): Member | undefined {
    const view = this.#views[stage];
    if (view === null) return undefined;
    const index = view.algorithm.pick(hash, tried);
    return index < 0 ? undefined : view.candidates.members[index];
  }

  #createView(stage: Stage): View {
    const takes = this.#standings.map((standing) => inStage(standing, stage));
    // A table's indices are those of all members; the other policies don't need to step over the rest.
    const members = this.table === null ? this.#members.filter((_, index) => takes[index]) : this.#members;
    const taking =
      this.table === null ? new Uint8Array(members.length).fill(1) : Uint8Array.from(takes, Number);
    const candidates = new Candidates(members, taking, {
      slowStartMs: this.#options.slowStartMs,
      ignoreEjection: stage === 'panic',
    });
    const algorithm = createAlgorithm(this.#options, candidates, this.table, this.#random, this.#now);
    return new View(candidates, algorithm);
  }
}

/** By `byIdentity`, whose rest only parts members that are listed twice. */
function isSorted(members: readonly Member[]): boolean {
  for (let index = 1; index < members.length; index++) {
    if (members[index - 1]!.identity >= members[index]!.identity) return false;
  }
  return true;
}
