// Idle connections of a worker: a few idle for as long as they may, thousands for less the more there are.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PoolLoad, type Waiter } from '../../../src/proxy/upstream/pool-load.ts';

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

describe('those who wait for a connection of a pool', () => {
  /** Takes what it may, and then leaves the queue. */
  function waiter(load: PoolLoad, mayTake: () => boolean): Waiter & { asked: number } {
    const made = {
      before: null,
      behind: null,
      asked: 0,
      onRoom: () => {
        made.asked += 1;
        if (!mayTake()) return false;
        load.leave(made);
        return true;
      },
    };
    load.join(made);
    return made;
  }

  it('are asked in their order, one for each connection', () => {
    const load = new PoolLoad({ idle: 0 });
    const all = [1, 2, 3].map(() => waiter(load, () => true));
    load.tell();
    assert.deepEqual(
      all.map(({ asked }) => asked),
      [1, 0, 0],
    );
    load.tell();
    assert.equal(load.waiting, 1);
  });

  it('let those behind them have what they cannot use, a few at a time', () => {
    const load = new PoolLoad({ idle: 0 });
    const choosy = [1, 2, 3].map(() => waiter(load, () => false));
    const [fourth, fifth] = [waiter(load, () => true), waiter(load, () => true)];
    load.tell();
    assert.deepEqual([fourth.asked, fifth.asked, load.waiting], [1, 0, 4]);
    load.tell();
    assert.deepEqual([fifth.asked, load.waiting], [1, 3]);
    assert.deepEqual(
      choosy.map(({ asked }) => asked),
      [2, 2, 2],
    );
    const late = [waiter(load, () => false), waiter(load, () => true)];
    load.tell();
    assert.deepEqual([late[0]!.asked, late[1]!.asked], [1, 0], 'the fifth is not asked');
  });

  it('are asked again where one that was asked has freed something', () => {
    const load = new PoolLoad({ idle: 0 });
    let freed = 0;
    waiter(load, () => {
      freed += 1;
      if (freed === 1) load.tell();
      return false;
    });
    const behind = waiter(load, () => freed === 2);
    load.tell();
    assert.deepEqual([freed, behind.asked, load.waiting], [2, 2, 1]);
  });
});
