// A pool's picker: the stages of eligibility and the priority groups, the same for every algorithm.

import type { Member, Picker, PickerOptions } from '../model/picker.ts';
import { checksumOf } from './checksum.ts';
import type { Stage } from './eligibility.ts';
import { FRACTION_FOR, hashFraction } from './hash-fraction.ts';
import { HashTables } from './hash-tables.ts';
import { PriorityGroup } from './priority-group.ts';
import { spreadLoad } from './priority-load.ts';

/**
 * How many picks pass until shares and weights are brought up to date, which takes a pass over the members: a pick pays
 * for one of them. Until then a share that has changed is not seen, unless `invalidate` tells of it; an ejection that
 * has begun always is, and a pick that finds nobody looks again at once. The bound of a bounded load follows the flows in
 * flight, so it has to be fresher: in a small pool each flow counts.
 */
function picksPerRefresh(members: number, boundedLoad: number): number {
  return boundedLoad > 0 ? Math.max(1, members >> 3) : Math.max(8, members);
}

/** As many picks at most while a member is in slow start. */
const PICKS_IN_SLOW_START = 256;

const LATER_STAGES = ['last-resort', 'panic'] as const satisfies readonly Stage[];

/**
 * Makes the picker of one pool for one snapshot.
 * @param random from 0 (inclusive) to 1 (exclusive)
 * @param now milliseconds on the clock of `TargetLive`
 * @param tables hand the worker's own to all of its pickers: without it every picker makes its hash table anew
 * @param before the pool's picker of the snapshot before, whose hash tables go on where members and weights are the same
 * @throws RangeError for a seed that is not 32 hex digits or a maglev table size that is not prime
 */
export function createPoolPicker(
  members: readonly Member[],
  options: PickerOptions,
  random: () => number,
  now: () => number,
  tables: HashTables = new HashTables(),
  before?: Picker,
): Picker {
  const known = before instanceof PoolPicker ? before : null;
  return new PoolPicker(members, options, random, now, tables, known);
}

class PoolPicker implements Picker {
  /** In order of priority. */
  #groups: readonly PriorityGroup[];
  readonly #share: Float64Array;
  readonly #load: Float64Array;
  /** The stage that each group is in; null takes nothing. */
  readonly #stages: (Stage | null)[];
  readonly #options: PickerOptions;
  readonly #random: () => number;
  readonly #hashes: boolean;
  readonly #picksPerRefresh: number;
  #picksLeft = 0;
  /** As many were left after the last refresh. */
  #picksAtRefresh = 0;
  #capacity = 0;
  #checksum: string | null = null;

  constructor(
    members: readonly Member[],
    options: PickerOptions,
    random: () => number,
    now: () => number,
    tables: HashTables,
    before: PoolPicker | null,
  ) {
    this.#options = options;
    this.#random = random;
    const byPriority = Map.groupBy(members, (member) => member.priority);
    this.#groups = Array.from(byPriority.keys())
      .sort((a, b) => a - b)
      .map((priority) => {
        const known =
          before === null ? undefined : before.#groups.find((group) => group.priority === priority);
        return new PriorityGroup(
          priority,
          byPriority.get(priority) ?? [],
          options,
          random,
          now,
          tables,
          known ?? null,
        );
      });
    this.#hashes = this.#groups.some((group) => group.table !== null);
    this.#share = new Float64Array(this.#groups.length);
    this.#load = new Float64Array(this.#groups.length);
    this.#stages = this.#groups.map(() => null);
    this.#picksPerRefresh = picksPerRefresh(members.length, options.policy.boundedLoad);
  }

  get checksum(): string {
    if (!this.#hashes) return '';
    const checksums = this.#groups.map((group) => group.table?.checksum ?? '');
    this.#checksum ??= checksums.length === 1 ? checksums[0]! : checksumOf(checksums.join(' '));
    return this.#checksum;
  }

  pick(hash: number, tried: readonly Member[]): Member | undefined {
    if (this.#picksLeft === 0) this.#refresh();
    this.#picksLeft--;
    const group = this.#groups.length === 1 ? 0 : this.#chooseGroup(hash);
    const stage = this.#stages[group];
    const member = stage ? this.#groups[group]!.pick(stage, hash, tried) : undefined;
    return member ?? this.#pickElsewhere(hash, tried);
  }

  /** What stands between the weights and the next pick is brought up to date by that pick. */
  replace(before: Member, after: Member): boolean {
    if (before.priority !== after.priority) return false;
    const group = this.#groups.find(({ priority }) => priority === before.priority);
    if (group?.replace(before, after) !== true) return false;
    this.#picksLeft = 0;
    return true;
  }

  invalidate(): void {
    this.#picksLeft = 0;
  }

  release(): void {
    for (const group of this.#groups) group.release();
    this.#groups = [];
    this.#stages.length = 0;
    this.#picksLeft = 0;
  }

  /** The same key comes to the same group as long as the shares stay, and only the keys in the difference move. */
  #chooseGroup(hash: number): number {
    const load = this.#load;
    const last = load.length - 1;
    if (last < 0 || load[0]! >= 1) return 0;
    let point = this.#hashes ? hashFraction(hash, FRACTION_FOR.priority) : this.#random();
    for (let group = 0; group < last; group++) {
      point -= load[group]!;
      if (point < 0) return group;
    }
    return last;
  }

  /**
   * All of the chosen group are tried or were ejected a moment ago: what is left, by stage and then by priority. This
   * costs a pass over the members, which only such flows pay.
   */
  #pickElsewhere(hash: number, tried: readonly Member[]): Member | undefined {
    if (this.#picksLeft !== this.#picksAtRefresh - 1) this.#refresh();
    for (let index = 0; index < this.#groups.length; index++) {
      const stage = this.#stages[index];
      const member = stage ? this.#groups[index]!.pick(stage, hash, tried) : undefined;
      if (member !== undefined) return member;
    }
    for (const stage of LATER_STAGES)
      for (let index = 0; index < this.#groups.length; index++) {
        const group = this.#groups[index]!;
        if (stage === 'panic' ? !this.#inPanic(index) : !group.hasLastResort) continue;
        group.refresh(stage);
        const member = group.pick(stage, hash, tried);
        if (member !== undefined) return member;
      }
    return undefined;
  }

  #inPanic(group: number): boolean {
    return this.#capacity < 1 && this.#share[group]! < this.#options.panicThreshold;
  }

  #refresh(): void {
    const groups = this.#groups;
    for (let index = 0; index < groups.length; index++) {
      groups[index]!.count();
      this.#share[index] = groups[index]!.availableShare;
    }
    this.#capacity = spreadLoad(this.#share, this.#options.spilloverThreshold, this.#load);
    if (this.#capacity > 0) this.#stageReady();
    else this.#stageOneGroup();
    let isGrowing = false;
    for (let index = 0; index < groups.length; index++) {
      const stage = this.#stages[index];
      if (stage && groups[index]!.refresh(stage)) isGrowing = true;
    }
    this.#picksAtRefresh = isGrowing
      ? Math.min(PICKS_IN_SLOW_START, this.#picksPerRefresh)
      : this.#picksPerRefresh;
    this.#picksLeft = this.#picksAtRefresh;
  }

  #stageReady(): void {
    for (let index = 0; index < this.#groups.length; index++)
      this.#stages[index] = this.#load[index]! > 0 && this.#inPanic(index) ? 'panic' : 'ready';
  }

  /** No group has a ready member left, so their shares say nothing: the first that can do anything takes all. */
  #stageOneGroup(): void {
    const stage = this.#groups.some((group) => group.hasLastResort) ? 'last-resort' : 'panic';
    let taken = false;
    for (let index = 0; index < this.#groups.length; index++) {
      const group = this.#groups[index]!;
      const can = stage === 'panic' ? group.hasAny && this.#inPanic(index) : group.hasLastResort;
      this.#stages[index] = can ? stage : null;
      this.#load[index] = can && !taken ? 1 : 0;
      if (can) taken = true;
    }
  }
}
