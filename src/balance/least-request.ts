// Policy `least-request`: of a few members drawn by weight, the one with the fewest flows in flight for its weight.

import type { Member } from '../model/picker.ts';
import { bestOfChoices } from './best-of-choices.ts';
import type { Algorithm, Candidates } from './candidates.ts';
import { WeightedDraw } from './weighted-draw.ts';

/**
 * Flows in flight are counted by this worker alone. Weights act twice, to one end: they set the odds of being drawn
 * (so they hold while the pool is idle) and they divide the flows in flight (so they hold under load).
 */
export class LeastRequest implements Algorithm {
  readonly #candidates: Candidates;
  readonly #draw: WeightedDraw;
  readonly #choices: number;

  constructor(candidates: Candidates, choices: number, random: () => number) {
    this.#candidates = candidates;
    this.#choices = choices;
    this.#draw = new WeightedDraw(candidates, random);
  }

  pick(_hash: number, tried: readonly Member[]): number {
    return bestOfChoices(this.#candidates, this.#draw, this.#choices, this, tried);
  }

  of(index: number): number {
    return this.#candidates.members[index]!.live.inFlight / this.#candidates.weights[index]!;
  }
}
