// The members that an algorithm chooses among, with the weight that each has at the moment.

import type { Member } from '../model/picker.ts';
import { slowStartShare } from './slow-start.ts';

/** What an algorithm is: it answers with an index into its candidates' `members`, or -1 when none is usable. */
export interface Algorithm {
  pick(hash: number, tried: readonly Member[]): number;
}

export interface CandidateOptions {
  readonly slowStartMs: number;
  /** Panic: ejected members count like the others. */
  readonly ignoreEjection: boolean;
}

/**
 * All members of a group, with a mark for those that take new flows: one that begins or ends to, or is replaced, costs no new
 * list. `refresh` costs one pass over the members and is called now and then, not for each pick; `usable` is exact at each
 * pick for a member that was ejected since. One whose ejection has ended takes part again after the next refresh.
 */
export class Candidates {
  readonly members: readonly Member[];
  /** By index; 0 marks one that takes nothing now. Weights in slow start are relative to the most advanced member. */
  readonly weights: Float64Array;
  /** How many weights are above 0, their sum, and the largest. */
  count = 0;
  total = 0;
  largest = 0;
  /** Flows in flight on those members. */
  inFlight = 0;
  /** Whether one of them is in slow start, so that weights change by themselves. */
  isGrowing = false;
  /** Grows with each refresh: what is derived from the weights knows when to follow. */
  version = 0;
  /** By index, 1 for members that take new flows in this stage. */
  readonly #taking: Uint8Array;
  readonly #options: CandidateOptions;

  /** @param members their owner may replace single ones */
  constructor(members: readonly Member[], taking: Uint8Array, options: CandidateOptions) {
    this.members = members;
    this.weights = new Float64Array(members.length);
    this.#taking = taking;
    this.#options = options;
  }

  /** Counts from the next `refresh` on. */
  take(index: number, takes: boolean): void {
    this.#taking[index] = takes ? 1 : 0;
  }

  refresh(nowMs: number): void {
    const { slowStartMs, ignoreEjection } = this.#options;
    // A pool whose members are all new has nobody to spare them: only the difference in age counts.
    let mostAdvanced = 0;
    this.isGrowing = false;
    for (let index = 0; index < this.members.length; index++) {
      const { live, weight } = this.members[index]!;
      const takes = this.#taking[index] === 1 && (ignoreEjection || !live.ejected);
      const share = takes ? slowStartShare(live.startedAtMs, nowMs, slowStartMs) : 0;
      this.weights[index] = share * weight;
      if (share > mostAdvanced) mostAdvanced = share;
      if (takes && share < 1) this.isGrowing = true;
    }
    this.count = 0;
    this.total = 0;
    this.largest = 0;
    this.inFlight = 0;
    this.version++;
    for (let index = 0; index < this.members.length; index++) {
      let weight = this.weights[index]!;
      if (weight === 0) continue;
      weight /= mostAdvanced;
      this.weights[index] = weight;
      this.count++;
      this.total += weight;
      this.inFlight += this.members[index]!.live.inFlight;
      if (weight > this.largest) this.largest = weight;
    }
  }

  usable(index: number, tried: readonly Member[]): boolean {
    if (this.weights[index] === 0) return false;
    const member = this.members[index]!;
    if (member.live.ejected && !this.#options.ignoreEjection) return false;
    return tried.length === 0 || !tried.includes(member);
  }

  /** The first usable member from `start` on, going round once. */
  scan(start: number, tried: readonly Member[]): number {
    const { length } = this.members;
    for (let step = 0; step < length; step++) {
      const index = (start + step) % length;
      if (this.usable(index, tried)) return index;
    }
    return -1;
  }
}
