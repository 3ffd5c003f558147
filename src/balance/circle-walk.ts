// The fail-over order of the tables that are circles of slots: maglev and ring-hash.

import type { Admission } from './hash-policy.ts';

/** Slots looked at for each member before the walk gives up the circle. */
const SLOTS_PER_MEMBER = 4;

/**
 * The first admitted owner of a slot from `start` on. Where nearly all members refuse, a circle may hold long runs
 * without the others: after four slots for each member the members are asked in order instead, from one that
 * `start` decides, so that the work is bounded and the answer still the same in every process.
 */
export function walkCircle(
  owners: Uint16Array | Uint32Array,
  start: number,
  members: number,
  admission: Admission,
): number {
  let slot = start;
  for (let steps = Math.min(owners.length, members * SLOTS_PER_MEMBER); steps > 0; steps--) {
    const owner = owners[slot]!;
    if (admission.admits(owner)) return owner;
    slot = slot + 1 === owners.length ? 0 : slot + 1;
  }
  for (let step = 0; step < members; step++) {
    const index = (start + step) % members;
    if (admission.admits(index)) return index;
  }
  return -1;
}
