// Back-off: bounds, growth and reset.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../../src/control/discovery/backoff.ts';
import { fc } from '../../support/properties.ts';

test('every delay lies between 0 and a bound that doubles up to the cap', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
        minLength: 1,
        maxLength: 60,
      }),
      (chances) => {
        let index = 0;
        const backoff = new Backoff({ baseMs: 200, capMs: 30_000, random: () => chances[index] ?? 0 });
        for (; index < chances.length; index += 1) {
          const delayMs = backoff.next();
          assert.ok(delayMs >= 0 && delayMs < Math.min(30_000, 200 * 2 ** index));
        }
      },
    ),
  );
});

test('an outage of any length keeps the delay finite, and reset begins anew', () => {
  const backoff = new Backoff({ baseMs: 200, capMs: 30_000, random: () => 0.5 });
  for (let attempt = 0; attempt < 5_000; attempt += 1) backoff.next();
  assert.equal(backoff.next(), 15_000);
  backoff.reset();
  assert.equal(backoff.next(), 100);
});
