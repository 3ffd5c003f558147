// Copies into buffers of the pool, small and large, beside what they should give.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BufferPool, copyInto } from '../../../src/proxy/wire/buffer-pool.ts';
import { fc } from '../../support/properties.ts';

it('copies any part of a buffer to any place, and nothing around it', () => {
  const pool = new BufferPool();
  const from = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 7) % 251));
  const part = fc.tuple(fc.nat(10_000), fc.nat(9_000), fc.nat(9_000));
  fc.assert(
    fc.property(part, ([start, length, at]) => {
      const to = pool.take().fill(255);
      copyInto(to, at, from, start, start + length);
      assert.ok(to.subarray(at, at + length).equals(from.subarray(start, start + length)));
      assert.ok(to.subarray(0, at).every((byte) => byte === 255));
      assert.ok(to.subarray(at + length).every((byte) => byte === 255));
      pool.give(to);
    }),
    { numRuns: 50 },
  );
});
