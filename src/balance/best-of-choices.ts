// The comparison of a few drawn members, shared by the policies that weigh load.

import type { Member } from '../model/picker.ts';
import type { Candidates } from './candidates.ts';
import type { WeightedDraw } from './weighted-draw.ts';

/** What a further flow would cost on a member; the smallest is chosen. */
export interface Cost {
  of(index: number): number;
}

/**
 * The cheapest of `choices` usable members that are drawn by weight; of equals, the one drawn first, so that idle
 * members take flows by weight. Draws that hit the leader again or an unusable member are repeated, at most
 * `choices` times in all. With no more candidates than choices all of them are compared.
 */
export function bestOfChoices(
  candidates: Candidates,
  draw: WeightedDraw,
  choices: number,
  cost: Cost,
  tried: readonly Member[],
): number {
  if (candidates.count === 0) return -1;
  const { length } = candidates.members;
  const all = candidates.count <= choices;
  let index = draw.draw();
  let best = -1;
  let bestCost = Number.POSITIVE_INFINITY;
  let compared = 0;
  for (let looks = all ? length : choices * 2; looks > 0; looks--) {
    if (index !== best && candidates.usable(index, tried)) {
      const itsCost = cost.of(index);
      if (best < 0 || itsCost < bestCost) {
        best = index;
        bestCost = itsCost;
      }
      compared++;
    }
    if (all) {
      index = index + 1 === length ? 0 : index + 1;
      continue;
    }
    if (compared >= choices) break;
    index = draw.draw();
  }
  return best < 0 ? candidates.scan(index, tried) : best;
}
