// Idle connections of a worker: a few idle for as long as they may, thousands for less the more there are.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PoolLoad } from '../../../src/proxy/upstream/pool-load.ts';

const LIMIT_MS = 55_000;

describe('idle connections of a worker', () => {
  for (const [held, limitMs, expected] of [
    [1, LIMIT_MS, LIMIT_MS],
    [128, LIMIT_MS, LIMIT_MS],
    [256, LIMIT_MS, LIMIT_MS / 2],
    [1280, LIMIT_MS, LIMIT_MS / 10],
    [12_800, LIMIT_MS, 1000],
    [12_800, 300, 300],
  ] as const)
    it(`idle for ${expected} ms of ${limitMs} where there are ${held}`, () => {
      const load = new PoolLoad({ idle: held - 1 });
      assert.equal(load.beginIdle(limitMs), expected);
    });

  it('are counted over all pools, and each pool knows its own', () => {
    const worker = { idle: 0 };
    const [one, other] = [new PoolLoad(worker), new PoolLoad(worker)];
    for (let count = 0; count < 300; count += 1) one.beginIdle(LIMIT_MS);
    assert.ok(other.beginIdle(LIMIT_MS) < LIMIT_MS);
    for (let count = 0; count < 300; count += 1) one.endIdle();
    assert.deepEqual([one.idle, other.idle, worker.idle], [0, 1, 1]);
    assert.equal(other.beginIdle(LIMIT_MS), LIMIT_MS);
  });
});
