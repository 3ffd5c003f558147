// The members of one priority: how many of them are available, and the algorithm of each stage over them.

import type { Member, PickerOptions } from '../model/picker.ts';
import { type Algorithm, Candidates } from './candidates.ts';
import { createAlgorithm, createTable } from './create-algorithm.ts';
import { inStage, inTable, type Stage, type Standing, standingOf } from './eligibility.ts';
import type { HashTable } from './hash-policy.ts';
import type { HashTables } from './hash-tables.ts';
import { byIdentity } from './table-input.ts';

interface View {
  readonly candidates: Candidates;
  readonly algorithm: Algorithm;
}

export class PriorityGroup {
  readonly table: HashTable | null;
  /** As of the last `count`: weight of ready members that are not ejected, as a share of ready and failed ones. */
  availableShare = 0;
  /** As of the last `count`: whether a last-resort member could take a flow. */
  hasLastResort = false;
  /** Whether panic would find anyone. */
  readonly hasAny: boolean;
  readonly #members: readonly Member[];
  readonly #standings: readonly Standing[];
  readonly #options: PickerOptions;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #views: Record<Stage, View | null> = { ready: null, 'last-resort': null, panic: null };

  constructor(
    members: readonly Member[],
    options: PickerOptions,
    random: () => number,
    now: () => number,
    tables: HashTables,
  ) {
    this.#members = members.filter(inTable).sort(byIdentity);
    this.#standings = this.#members.map((member) => standingOf(member, options.unknown));
    this.#options = options;
    this.#random = random;
    this.#now = now;
    this.hasAny = this.#standings.some((standing) => standing !== 'never');
    this.table = createTable(options.policy, this.#members, tables);
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
    return { candidates, algorithm };
  }
}
