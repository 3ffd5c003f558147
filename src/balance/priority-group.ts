// The members of one priority: how many of them are available, and the algorithm of each stage over them.

import type { Member, PickerOptions } from '../model/picker.ts';
import { type Algorithm, Candidates } from './candidates.ts';
import { createAlgorithm, createTable } from './create-algorithm.ts';
import { inStage, inTable, type Stage, type Standing, standingOf } from './eligibility.ts';
import type { HashTable } from './hash-policy.ts';
import type { HashTables } from './hash-tables.ts';
import { byIdentity } from './table-input.ts';

const STAGES = ['ready', 'last-resort', 'panic'] as const satisfies readonly Stage[];

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
  /** Sorted by identity. */
  #members: Member[];
  #standings: Standing[];
  /** How many panic would find. */
  #able: number;
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
    this.#members = members.filter(inTable);
    if (!isSorted(this.#members)) this.#members.sort(byIdentity);
    this.#standings = this.#members.map((member) => standingOf(member, options.unknown));
    this.#options = options;
    this.#random = random;
    this.#now = now;
    this.#able = this.#standings.reduce((able, standing) => able + (isAble(standing) ? 1 : 0), 0);
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

  /** Whether panic would find anyone. */
  get hasAny(): boolean {
    return this.#able > 0;
  }

  /** See `Picker`. Tables are keyed by identity, address and weight, and lists are in the order of identities. */
  replace(before: Member, after: Member): boolean {
    const isAtPlace =
      before.identity === after.identity &&
      before.address === after.address &&
      before.weight === after.weight;
    if (!isAtPlace || inTable(before) !== inTable(after)) return false;
    if (!inTable(before)) return true;
    const place = this.#placeOf(before);
    if (place < 0) return false;
    const standing = standingOf(after, this.#options.unknown);
    this.#able += Number(isAble(standing)) - Number(isAble(this.#standings[place]!));
    this.#members[place] = after;
    this.#standings[place] = standing;
    for (const stage of STAGES) this.#views[stage]?.candidates.take(place, inStage(standing, stage));
    return true;
  }

  /** -1 when it is none of its own. */
  #placeOf(member: Member): number {
    let low = 0;
    let high = this.#members.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#members[middle]!.identity < member.identity) low = middle + 1;
      else high = middle;
    }
    return this.#members[low] === member ? low : -1;
  }

  /** Lets go of the members: nothing is picked any more. */
  release(): void {
    this.#members = [];
    this.#standings = [];
    for (const stage of STAGES) this.#views[stage] = null;
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

  /**
   * Brings the weights of a stage up to date; the stage's view is made when it is first needed.
   * @returns whether they change by themselves (slow start)
   */
  refresh(stage: Stage): boolean {
    let view = this.#views[stage];
    if (view === null) {
      view = this.#createView(stage);
      this.#views[stage] = view;
    }
    view.candidates.refresh(this.#options.slowStartMs > 0 ? this.#now() : 0);
    return view.candidates.isGrowing;
  }

  /** Only for a stage that was refreshed before. */
  pick(stage: Stage, hash: number, tried: readonly Member[]): Member | undefined {
    const view = this.#views[stage];
    if (view === null) return undefined;
    const index = view.algorithm.pick(hash, tried);
    return index < 0 ? undefined : view.candidates.members[index];
  }

  #createView(stage: Stage): View {
    const taking = Uint8Array.from(this.#standings, (standing) => Number(inStage(standing, stage)));
    const candidates = new Candidates(this.#members, taking, {
      slowStartMs: this.#options.slowStartMs,
      ignoreEjection: stage === 'panic',
    });
    const algorithm = createAlgorithm(this.#options, candidates, this.table, this.#random, this.#now);
    return new View(candidates, algorithm);
  }
}

const isAble = (standing: Standing): boolean => inStage(standing, 'panic');

/** By `byIdentity`, whose rest only parts members that are listed twice. */
function isSorted(members: readonly Member[]): boolean {
  for (let index = 1; index < members.length; index++) {
    if (members[index - 1]!.identity >= members[index]!.identity) return false;
  }
  return true;
}
