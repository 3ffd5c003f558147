// Policy `random`: each flow to a member drawn by weight, whatever came before.

import type { Member } from '../model/picker.ts';
import type { Algorithm, Candidates } from './candidates.ts';
import { WeightedDraw } from './weighted-draw.ts';

/** Draws before the search goes on from the last one in order; more are only needed where most were tried or ejected. */
const DRAWS = 4;

export class Random implements Algorithm {
  readonly #candidates: Candidates;
  readonly #draw: WeightedDraw;

  constructor(candidates: Candidates, random: () => number) {
    this.#candidates = candidates;
    this.#draw = new WeightedDraw(candidates, random);
  }

  pick(_hash: number, tried: readonly Member[]): number {
    if (this.#candidates.count === 0) return -1;
    let index = 0;
    for (let draws = 0; draws < DRAWS; draws++) {
      index = this.#draw.draw();
      if (this.#candidates.usable(index, tried)) return index;
    }
    return this.#candidates.scan(index, tried);
  }
}
