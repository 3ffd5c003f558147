// Truth table of the spill-over between priority groups.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { spreadLoad } from '../../src/balance/priority-load.ts';

// Available shares of the groups, threshold; expected loads, and whether the groups can take everything.
const CASES: readonly (readonly [readonly number[], number, readonly number[], boolean])[] = [
  [[1], 0.7, [1], true],
  [[0.5], 0.7, [1], false],
  [[0], 0.7, [0], false],
  [[1, 1], 0.7, [1, 0], true],
  [[0.7, 1], 0.7, [1, 0], true],
  [[0.35, 1], 0.7, [0.5, 0.5], true],
  [[0.35, 0.175, 1], 0.7, [0.5, 0.25, 0.25], true],
  [[0, 1], 0.7, [0, 1], true],
  [[0.14, 0.14], 0.7, [0.5, 0.5], false],
  [[0.07, 0.21, 0], 0.7, [0.25, 0.75, 0], false],
  [[0, 0], 0.7, [0, 0], false],
  [[0.01, 1], 0, [1, 0], true],
  [[0, 0.01], 0, [0, 1], true],
  [[0.99, 1], 1, [0.99, 0.01], true],
];

describe('spreadLoad', () => {
  for (const [share, threshold, expected, enough] of CASES)
    it(`spreads shares ${share.join(', ')} at ${threshold} as ${expected.join(', ')}`, () => {
      const load = new Float64Array(share.length);
      const capacity = spreadLoad(Float64Array.from(share), threshold, load);
      expected.forEach((value, group) => {
        assert.ok(Math.abs(load[group]! - value) < 1e-9, `group ${group}: ${load[group]}`);
      });
      assert.equal(capacity > 1 - 1e-9, enough);
    });
});
