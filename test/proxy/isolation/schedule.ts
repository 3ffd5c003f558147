// What can be done, as numbers that become smaller when a failure is made small.

import { fc } from '../../support/properties.ts';
import type { Step } from './step.ts';

const BYTES = fc.oneof(
  { weight: 8, arbitrary: fc.nat(60) },
  { weight: 4, arbitrary: fc.nat(2000) },
  { weight: 1, arbitrary: fc.nat(100_000) },
);
const SHARE = fc.oneof(
  { weight: 5, arbitrary: fc.constant(1) },
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 99 }).map((percent) => percent / 100) },
);
const STEP: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(8191),
  what: fc.nat(1023),
  kind: fc.nat(1023),
  pool: fc.nat(63),
  bytes: BYTES,
  lane: fc.nat(63),
  share: SHARE,
  turns: fc.nat(4),
});

/** What the worker takes for chance, and what is done. */
export const SCHEDULE = fc.tuple(fc.nat(1000), fc.array(STEP, { minLength: 1, maxLength: 300, size: 'max' }));

/** The same numbers each time: what the worker leaves to chance is part of the schedule. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
