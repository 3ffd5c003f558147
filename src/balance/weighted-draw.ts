// Random draws in proportion to the candidates' weights, for the policies that are built on chance.

import type { Candidates } from './candidates.ts';

export class WeightedDraw {
  readonly #candidates: Candidates;
  readonly #random: () => number;
  readonly #upTo: Float64Array;
  #version = -1;

  /** @param random from 0 (inclusive) to 1 (exclusive) */
  constructor(candidates: Candidates, random: () => number) {
    this.#candidates = candidates;
    this.#random = random;
    this.#upTo = new Float64Array(candidates.members.length);
  }

  /** An index of weight above 0; call it only while the candidates' `count` is above 0. */
  draw(): number {
    const upTo = this.#upTo;
    if (this.#version !== this.#candidates.version) this.#follow();
    const last = upTo.length - 1;
    const point = this.#random() * upTo[last]!;
    // The first index whose running sum exceeds the point: one of weight 0 adds nothing to its sum and is never hit.
    let low = 0;
    let high = last;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (upTo[middle]! > point) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #follow(): void {
    const { weights } = this.#candidates;
    let sum = 0;
    for (let index = 0; index < weights.length; index++) {
      sum += weights[index]!;
      this.#upTo[index] = sum;
    }
    this.#version = this.#candidates.version;
  }
}
