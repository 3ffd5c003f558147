// Buffers that are reused: which come back, and what is known of those that do not.

import assert from 'node:assert/strict';
import process from 'node:process';
import { it } from 'node:test';
import { BufferPool, OUT_BUFFER_BYTES } from '../../../src/proxy/wire/buffer-pool.ts';

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
