// Policy `peak-ewma`: of a few members drawn by weight, the one where a further flow should wait least.

import type { Member } from '../model/picker.ts';
import { bestOfChoices } from './best-of-choices.ts';
import type { Algorithm, Candidates } from './candidates.ts';
import { WeightedDraw } from './weighted-draw.ts';

/** Time after which an old latency counts for 1/e of itself, so that a member that was slow once is tried again. */
const DECAY_MS = 10_000;

/** Latency taken for a member that has flows but no answer yet: it is not flooded before it has shown what it can do. */
const UNANSWERED_MS = 1_000;

/**
 * Cost = decayed latency x (flows in flight / relative weight + 1), where the mean weight is 1. At rest the weight
 * cancels out of it: weights set the odds of being drawn, as in `least-request`, and must not count twice.
 */
export class PeakEwma implements Algorithm {
  readonly #candidates: Candidates;
  readonly #draw: WeightedDraw;
  readonly #choices: number;
  readonly #now: () => number;
  #nowMs = 0;

  /** @param now milliseconds on the clock of `TargetLive.latencyAtMs` */
  constructor(candidates: Candidates, choices: number, random: () => number, now: () => number) {
    this.#candidates = candidates;
    this.#choices = choices;
    this.#now = now;
    this.#draw = new WeightedDraw(candidates, random);
  }

  pick(_hash: number, tried: readonly Member[]): number {
    this.#nowMs = this.#now();
    return bestOfChoices(this.#candidates, this.#draw, this.#choices, this, tried);
  }

  of(index: number): number {
    const { count, members, total, weights } = this.#candidates;
    const { inFlight, latencyMs, latencyAtMs } = members[index]!.live;
    const load = (inFlight * total) / (count * weights[index]!) + 1;
    if (latencyMs === 0) return inFlight === 0 ? 0 : UNANSWERED_MS * load;
    const age = this.#nowMs - latencyAtMs;
    return (age > 0 ? latencyMs * Math.exp(-age / DECAY_MS) : latencyMs) * load;
  }
}
