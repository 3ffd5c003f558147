// Which inventories reach the targets: all of them at a first start, and only live ones while workers have newer targets.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { InventoryFeed } from '../../src/control/inventory-feed.ts';
import type { Config } from '../../src/model/config.ts';
import type { Inventory } from '../../src/model/inventory.ts';
import { StandInApi } from '../support/stand-in-api.ts';
import {
  clusterConfig,
  eventually,
  HandClock,
  node,
  recordCounts,
  recordLog,
  settle,
  temporaryDirectory,
  writeKubeconfig,
} from './discovery/world.ts';

interface Rig {
  readonly feed: InventoryFeed;
  readonly clock: HandClock;
  readonly config: Config;
  /** Origins of the one cluster, one for each inventory that was handed on. */
  readonly origins: string[];
}

function start(context: TestContext, server: string, serving: boolean): Rig {
  const clock = new HandClock();
  const origins: string[] = [];
  const feed = new InventoryFeed({
    serving,
    clock,
    random: () => 0.5,
    log: recordLog().log,
    environment: {},
    onCount: recordCounts().onCount,
    onSecrets: () => {},
    onInventory: ({ clusters }: Inventory) => origins.push(clusters['iad']!.origin),
  });
  context.after(() => feed.close());
  const cluster = clusterConfig('iad', writeKubeconfig(temporaryDirectory(context), { server }));
  const config = {
    clusters: [cluster],
    listeners: [],
    pools: [],
    routes: [],
    stateDirectory: null,
  } as unknown as Config;
  return { feed, clock, config, origins };
}

async function standIn(context: TestContext): Promise<StandInApi> {
  const api = await StandInApi.start();
  context.after(() => api.close());
  api.put('nodes', node('n1'));
  return api;
}

const isLive = (feed: InventoryFeed): boolean => feed.status()[0]?.live === true;

test('at a first start what is known is handed on at once, and what is listed follows', async (t) => {
  const { feed, clock, config, origins } = start(t, (await standIn(t)).url, false);
  assert.deepEqual(feed.status(), []);
  feed.follow(config);
  assert.deepEqual(origins, ['none']);
  await eventually(() => isLive(feed));
  clock.advance(20);
  assert.deepEqual(origins, ['none', 'live']);
});

test('a reload that names another state directory has the inventory kept there', async (t) => {
  const { feed, clock, config } = start(t, (await standIn(t)).url, false);
  const [first, second] = [temporaryDirectory(t), temporaryDirectory(t)];
  feed.follow({ ...config, stateDirectory: first });
  await eventually(() => isLive(feed));
  clock.advance(20);
  await eventually(() => readdirSync(first).length === 1);
  feed.follow({ ...config, stateDirectory: second });
  await eventually(() => {
    // The write before may still be under way, and the next one is a pause after it.
    clock.advance(100);
    return readdirSync(second).length === 1;
  }, 'an inventory in the second directory');
});

test('workers that serve keep their targets until the lists are there', async (t) => {
  const { feed, clock, config, origins } = start(t, (await standIn(t)).url, true);
  feed.follow(config);
  assert.deepEqual(origins, []);
  await eventually(() => isLive(feed));
  clock.advance(20);
  assert.deepEqual(origins, ['live']);
  feed.follow(config);
  assert.deepEqual(origins, ['live', 'live']);
});

test('workers that serve wait three seconds for an API server that does not answer, and no longer', async (t) => {
  const api = await standIn(t);
  const { url } = api;
  await api.close();
  const { feed, clock, config, origins } = start(t, url, true);
  feed.follow(config);
  clock.advance(2_999);
  await settle();
  assert.deepEqual(origins, []);
  clock.advance(1);
  assert.deepEqual(origins, ['none']);
});
