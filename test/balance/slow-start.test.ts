// Truth table of the weight of a new target.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { slowStartShare } from '../../src/balance/slow-start.ts';

describe('slowStartShare', () => {
  for (const [startedAtMs, nowMs, slowStartMs, expected] of [
    [0, 5_000, 0, 1],
    [0, 5_000, 10_000, 0.1],
    [5_000, 5_000, 10_000, 0.1],
    [6_000, 5_000, 10_000, 0.1],
    [1_000, 6_000, 10_000, 0.55],
    [1_000, 11_000, 10_000, 1],
    [1_000, 99_000, 10_000, 1],
  ] as const)
    it(`is ${expected} at ${nowMs} ms for a start at ${startedAtMs} over ${slowStartMs} ms`, () => {
      assert.ok(Math.abs(slowStartShare(startedAtMs, nowMs, slowStartMs) - expected) < 1e-12);
    });
});
