// Buffers that are reused: which come back, what is known of those that do not, and copies into them.

import assert from 'node:assert/strict';
import process from 'node:process';
import { it } from 'node:test';
import { copyInto } from '../../../src/http2/copy-into.ts';
import { BufferPool, OUT_BUFFER_BYTES } from '../../../src/proxy/wire/buffer-pool.ts';
import { fc } from '../../support/properties.ts';

it('gives a buffer that came back before it makes one', () => {
  const pool = new BufferPool();
  const buffer = pool.take();
  assert.equal(buffer.length, OUT_BUFFER_BYTES);
  pool.give(buffer);
  assert.equal(pool.take(), buffer);
  assert.equal(pool.abandonedBytes, 0);
});

it('makes no garbage that V8 counts, and counts what it keeps no longer', () => {
  const pool = new BufferPool();
  const before = process.memoryUsage().external;
  const taken = Array.from({ length: 500 }, () => pool.take());
  assert.ok(process.memoryUsage().external - before < 100 * OUT_BUFFER_BYTES);
  for (const buffer of taken) pool.give(buffer);
  const kept = 500 - pool.abandonedBytes / OUT_BUFFER_BYTES;
  assert.ok(kept > 0 && kept <= 100, `${kept}`);
  pool.abandon();
  assert.equal(pool.abandonedBytes, (501 - kept) * OUT_BUFFER_BYTES);
});

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
