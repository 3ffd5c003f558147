// Tests of median and spread.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, spread } from '../../bench/measure/statistics.ts';
import { fc } from '../support/properties.ts';

test('the median of an odd count is the middle value, whatever the order', () => {
  assert.equal(median([9, 1, 5]), 5);
});

test('the median of an even count is the mean of the two in the middle', () => {
  assert.equal(median([4, 1, 3, 10]), 3.5);
});

test('no values have no median', () => {
  assert.throws(() => median([]), RangeError);
  assert.throws(() => spread([]), RangeError);
});

test('the median does not change its input', () => {
  const values = [3, 1, 2];
  median(values);
  assert.deepEqual(values, [3, 1, 2]);
});

test('one wild value moves maximum, but neither median nor deviation', () => {
  assert.deepEqual(spread([10, 11, 12, 13, 900]), { median: 12, min: 10, max: 900, deviation: 1 });
});

test('the median lies between minimum and maximum, and at least half of the values within the deviation', () => {
  const values = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(values, (list) => {
      const { median: middle, min, max, deviation } = spread(list);
      assert.ok(min <= middle && middle <= max);
      const near = list.filter((value) => Math.abs(value - middle) <= deviation * (1 + 1e-9));
      assert.ok(near.length * 2 >= list.length);
    }),
  );
});
