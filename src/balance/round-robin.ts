// Policy `round-robin`: members in turn, each as often as its weight says, spread evenly over the round.

import type { Member } from '../model/picker.ts';
import type { Algorithm, Candidates } from './candidates.ts';

/** Credits are sums of fractions; this much below 1 is a rounding error and not a missing part. */
const ROUNDING = 1e-9;

/** Spreads the first turns of light members: successive multiples of it, taken modulo 1, lie far apart. */
const GOLDEN_RATIO = 0.618_033_988_749_895;

/**
 * Each visit gives a member credit of weight over largest weight; a credit of 1 buys a flow. The heaviest member
 * takes a flow at every visit, so a pick visits each member at most twice. The start is random, because each
 * snapshot makes new pickers and all workers make them together.
 */
export class RoundRobin implements Algorithm {
  readonly #candidates: Candidates;
  readonly #credit: Float64Array;
  #next: number;

  constructor(candidates: Candidates, random: () => number) {
    const { length } = candidates.members;
    this.#candidates = candidates;
    this.#credit = Float64Array.from({ length }, (_, index) => (index * GOLDEN_RATIO) % 1);
    this.#next = Math.floor(random() * length);
  }

  pick(_hash: number, tried: readonly Member[]): number {
    const { count, largest, weights } = this.#candidates;
    if (count === 0) return -1;
    const credit = this.#credit;
    for (let visits = weights.length * 2; visits > 0; visits--) {
      const index = this.#next;
      this.#next = index + 1 === weights.length ? 0 : index + 1;
      if (!this.#candidates.usable(index, tried)) continue;
      const saved = credit[index]! + weights[index]! / largest;
      if (saved < 1 - ROUNDING) {
        credit[index] = saved;
        continue;
      }
      credit[index] = saved - 1;
      return index;
    }
    // Only light members are left to this flow, and none has saved enough.
    return this.#candidates.scan(this.#next, tried);
  }
}
