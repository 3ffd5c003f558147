// Drains reach the disk in the end, also when it was full for a while.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrainKeeper } from '../../src/control/drain-keeper.ts';
import type { Drain } from '../../src/control/targets/drains.ts';
import type { TargetEngine } from '../../src/control/targets/engine-contract.ts';
import { FakeTime } from './health/fake-time.ts';

const DRAIN: Drain = { cluster: 'iad', node: null, uid: null, sinceMs: 1 };

class World {
  readonly time = new FakeTime();
  drains: readonly Drain[] = [];
  full = false;
  /** What each write tried to keep, and where. */
  readonly writes: string[] = [];
  readonly keeper = new DrainKeeper({
    engine: { drains: () => this.drains, restoreDrains: () => {} } as unknown as TargetEngine,
    store: {
      load: () => [],
      save: async (directory, drains) => {
        this.writes.push(`${directory} ${drains.length}`);
        return directory !== null && !this.full;
      },
    },
    after: this.time.clock.after,
    retain: () => {},
  });
}

test('a write that failed is tried again every ten seconds with the drains of then, and a newer one takes its place', async () => {
  const world = new World();
  const { keeper, time, writes } = world;
  keeper.takeDirectory('state');
  world.full = true;
  world.drains = [DRAIN];
  assert.equal(await keeper.keep(), false);
  await time.move(19_999);
  assert.deepEqual(writes, ['state 1', 'state 1']);
  world.drains = [DRAIN, { ...DRAIN, node: 'n1' }];
  assert.equal(await keeper.keep(), false);
  await time.move(9_999);
  assert.deepEqual(writes.slice(2), ['state 2']);
  world.full = false;
  await time.move(1);
  assert.deepEqual(writes.slice(3), ['state 2']);
  assert.equal(time.waiting, 0);
});

test('without a directory nothing is tried again', async () => {
  const { keeper, time } = new World();
  keeper.takeDirectory(null);
  assert.equal(await keeper.keep(), false);
  assert.equal(time.waiting, 0);
});

test('a controller that has not read its configuration leaves no word of drains, since it knows of none', () => {
  const first = new World();
  assert.equal(first.keeper.retained, null);
  first.drains = [DRAIN];
  first.keeper.takeDirectory('state');
  assert.deepEqual(first.keeper.retained, [DRAIN]);
  const successor = new World();
  successor.keeper.restore([]);
  assert.deepEqual(successor.keeper.retained, []);
});
