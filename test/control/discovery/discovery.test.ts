// Several clusters together: cold start, readiness, scopes, reloads, and that nothing is left behind.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { NamespaceScope } from '../../../src/control/discovery/cluster-discovery.ts';
import { createDiscovery, type Discovery, type Scopes } from '../../../src/control/discovery/discovery.ts';
import { createInventoryStore, type InventoryStore } from '../../../src/control/discovery/inventory-store.ts';
import type { ReflectorState } from '../../../src/control/discovery/reflector-options.ts';
import type { ClusterConfig } from '../../../src/model/config.ts';
import type { ClusterInventory, Inventory } from '../../../src/model/inventory.ts';
import { faults, StandInApi, type StandInRequest } from '../../support/stand-in-api.ts';
import {
  type CountRecord,
  clusterConfig,
  eventually,
  HandClock,
  node,
  recordCounts,
  recordLog,
  service,
  settle,
  slice,
  temporaryDirectory,
  writeKubeconfig,
} from './world.ts';

interface Rig {
  readonly discovery: Discovery;
  readonly clock: HandClock;
  readonly counts: CountRecord;
  readonly changes: { readonly inventory: Inventory; readonly receivedAtMs: number }[];
  readonly lines: string[];
  cluster(name?: string): ClusterInventory;
  live(name?: string): boolean;
  /** Every reflector of every cluster is in this state. */
  allAre(state: ReflectorState): boolean;
  /** Hands out the change that is waiting to be coalesced. */
  deliver(): void;
}

interface RigOptions {
  readonly store?: InventoryStore;
  readonly onChange?: () => void;
}

function start(
  context: TestContext,
  clusters: readonly ClusterConfig[],
  scopes: Scopes,
  { store, onChange }: RigOptions = {},
): Rig {
  const clock = new HandClock();
  const counts = recordCounts();
  const { log, lines } = recordLog();
  const changes: Rig['changes'] = [];
  const discovery = createDiscovery({
    clusters,
    scopes,
    store: store ?? createInventoryStore({ directory: null, clock, log, onCount: counts.onCount }),
    clock,
    random: () => 0.5,
    log,
    environment: {},
    onChange: (inventory, receivedAtMs) => {
      changes.push({ inventory, receivedAtMs });
      onChange?.();
    },
    onCount: counts.onCount,
  });
  context.after(() => discovery.close());
  const status = (name: string) => discovery.status().find((each) => each.cluster === name);
  return {
    discovery,
    clock,
    counts,
    changes,
    lines,
    cluster: (name = 'iad') => {
      const inventory = discovery.inventory().clusters[name];
      assert.ok(inventory !== undefined);
      return inventory;
    },
    live: (name = 'iad') => status(name)?.live === true,
    allAre: (state) =>
      discovery
        .status()
        .flatMap(({ kinds }) => Object.values(kinds))
        .flatMap(({ scopes: each }) => each)
        .every((scope) => scope.state === state),
    deliver: () => clock.advance(20),
  };
}

async function standIn(context: TestContext): Promise<StandInApi> {
  const api = await StandInApi.start();
  context.after(() => api.close());
  api.put('nodes', node('n1'));
  api.put('services', service('web', 'app'));
  api.put('services', service('db', 'pg', 30090));
  api.put('endpointslices', slice('web', 'app'));
  return api;
}

function config(context: TestContext, name: string, api: StandInApi): ClusterConfig {
  return clusterConfig(name, writeKubeconfig(temporaryDirectory(context), { server: api.url }));
}

const names = (facts: readonly { readonly name: string }[]): string[] =>
  facts.map((fact) => fact.name).sort();

const all: NamespaceScope = 'all';

test('nothing is shown before every kind is listed once, then all of it at once', async (t) => {
  const api = await standIn(t);
  const slow = (request: StandInRequest): boolean => request.resource === 'endpointslices' && !request.watch;
  api.script(slow, faults.status(500, 'InternalError'));
  const rig = start(t, [config(t, 'iad', api)], { iad: all });
  assert.equal(rig.cluster().origin, 'none');
  await eventually(() => api.watches('nodes') === 1 && api.watches('services') === 1);
  await eventually(() => rig.discovery.status()[0]?.kinds.endpointslices.failing === true);
  assert.equal(rig.cluster().origin, 'none');
  assert.deepEqual(rig.cluster().nodes, []);
  rig.clock.advance(100);
  await eventually(() => rig.live());
  rig.deliver();
  assert.equal(rig.changes.length, 1);
  const inventory = rig.changes[0]?.inventory.clusters['iad'];
  assert.equal(inventory?.origin, 'live');
  assert.deepEqual(names(inventory?.nodes ?? []), ['n1']);
  assert.deepEqual(names(inventory?.services ?? []), ['app', 'pg']);
  assert.deepEqual(names(inventory?.slices ?? []), ['app-abc']);
});

test('changes within 20 ms become one, stamped with the arrival of the first', async (t) => {
  const api = await standIn(t);
  const rig = start(t, [config(t, 'iad', api)], { iad: all });
  await eventually(() => rig.live() && rig.allAre('watching'));
  rig.deliver();
  rig.clock.advance(1_000);
  const firstMs = rig.clock.now();
  api.put('nodes', node('n2'));
  await eventually(() => rig.cluster().nodes.length === 2);
  rig.clock.advance(10);
  api.put('nodes', node('n3'));
  api.delete('services', 'pg', 'db');
  await eventually(() => rig.cluster().nodes.length === 3 && rig.cluster().services.length === 1);
  assert.equal(rig.changes.length, 1);
  rig.clock.advance(10);
  assert.equal(rig.changes.length, 2);
  assert.equal(rig.changes[1]?.receivedAtMs, firstMs);
  rig.clock.advance(1_000);
  assert.equal(rig.changes.length, 2, 'quiet is quiet');
});

test('a cold start serves the kept inventory at once, and the live lists replace it when complete', async (t) => {
  const api = await standIn(t);
  const directory = temporaryDirectory(t);
  const { log } = recordLog();
  const store = (clock: HandClock): InventoryStore =>
    createInventoryStore({ directory, clock, log, onCount: recordCounts().onCount });
  const cluster = config(t, 'iad', api);
  const first = start(t, [cluster], { iad: all }, { store: store(new HandClock()) });
  await eventually(() => first.live());
  await first.discovery.close();

  api.script(() => true, faults.hangUp(), 3);
  const second = start(t, [cluster], { iad: all }, { store: store(new HandClock()) });
  const cold = second.cluster();
  assert.equal(cold.origin, 'disk');
  assert.deepEqual(names(cold.services), ['app', 'pg']);
  assert.ok(cold.syncedAtMs > 0);
  api.put('nodes', node('n2'));
  api.delete('services', 'pg', 'db');
  await eventually(() => second.counts.restarts().length === 3);
  assert.equal(second.cluster().origin, 'disk');
  second.clock.advance(100);
  await eventually(() => second.live());
  assert.equal(second.cluster().origin, 'live');
  assert.deepEqual(names(second.cluster().nodes), ['n1', 'n2']);
  assert.deepEqual(names(second.cluster().services), ['app']);
});

test('an API server that lists nothing after a cold start changes nothing before it has said so three times', async (t) => {
  const api = await standIn(t);
  const empty = await StandInApi.start();
  t.after(() => empty.close());
  const directory = temporaryDirectory(t);
  const { log } = recordLog();
  const options = { directory, clock: new HandClock(), log, onCount: recordCounts().onCount };
  const store = createInventoryStore(options);
  const first = start(t, [config(t, 'iad', api)], { iad: all }, { store });
  await eventually(() => first.live());
  await first.discovery.close();
  const second = start(t, [config(t, 'iad', empty)], { iad: all }, { store });
  await eventually(() => second.counts.restarts().filter((reason) => reason === 'empty-list').length === 3);
  assert.deepEqual(names(second.cluster().nodes), ['n1']);
  assert.equal(second.cluster().origin, 'disk');
  assert.equal(second.discovery.status()[0]?.kinds.nodes.suspect, true);
  second.clock.advance(1_500);
  await eventually(() => second.counts.restarts().length === 6);
  assert.deepEqual(names(second.cluster().nodes), ['n1']);
  second.clock.advance(6_000);
  await eventually(() => second.live());
  assert.deepEqual(names(second.cluster().nodes), []);
});

test('an API server that dies leaves the last inventory as it is, and its age grows', async (t) => {
  const api = await standIn(t);
  const rig = start(t, [config(t, 'iad', api)], { iad: all });
  await eventually(() => rig.live() && rig.allAre('watching'));
  rig.deliver();
  const before = rig.cluster();
  await api.close();
  for (let round = 1; round <= 10; round += 1) {
    await eventually(() => rig.counts.restarts().length === 3 * round && rig.allAre('waiting'));
    rig.clock.advance(30_000);
  }
  assert.deepEqual(rig.cluster(), before, 'the same facts, the same time of the last agreement');
  assert.ok(rig.clock.now() - rig.cluster().syncedAtMs >= 300_000);
  assert.equal(rig.changes.length, 1);
});

test('the first reflector that reaches the API server again calls the others out of their back-off', async (t) => {
  const api = await StandInApi.start();
  api.put('nodes', node('n1'));
  const rig = start(t, [config(t, 'iad', api)], { iad: all });
  await eventually(() => rig.live() && rig.allAre('watching'));
  const { port } = api;
  await api.close();
  for (let round = 1; round <= 9; round += 1) {
    await eventually(() => rig.counts.restarts().length === 3 * round && rig.allAre('waiting'));
    if (round < 9) rig.clock.advance(30_000);
  }
  const second = await StandInApi.start({}, port);
  t.after(() => second.close());
  second.script(({ resource }) => resource !== 'nodes', faults.hangUp(), 2);
  let answerNodes = (): void => {};
  second.script(
    ({ resource }) => resource === 'nodes',
    (request, response) => {
      answerNodes = () => second.openWatch(request, response);
      return true;
    },
  );
  rig.clock.advance(15_000);
  await eventually(() => rig.counts.restarts().length === 29 && second.requests.length === 3);
  answerNodes();
  await eventually(() => rig.clock.waits.filter((waitMs) => waitMs === 500).length === 2);
  assert.equal(second.requests.length, 3);
  rig.clock.advance(500);
  await eventually(() => rig.allAre('watching'));
});

test('namespaces are read one by one, and only nodes without any', async (t) => {
  const api = await standIn(t);
  const rig = start(t, [config(t, 'iad', api)], { iad: ['web'] });
  await eventually(() => rig.live());
  assert.deepEqual(names(rig.cluster().services), ['app']);
  const scopes = api.requests.map(({ resource, namespace }) => `${resource} ${namespace}`);
  assert.deepEqual([...new Set(scopes)].sort(), ['endpointslices web', 'nodes null', 'services web']);
  const bare = start(t, [config(t, 'sea', api)], {});
  await eventually(() => bare.live('sea'));
  assert.deepEqual([bare.cluster('sea').nodes.length, bare.cluster('sea').services.length], [1, 0]);
});

test('a namespace that RBAC refuses does not hold the others back and keeps what is known of it', async (t) => {
  const api = await standIn(t);
  const directory = temporaryDirectory(t);
  const { log } = recordLog();
  const store = createInventoryStore({
    directory,
    clock: new HandClock(),
    log,
    onCount: recordCounts().onCount,
  });
  const cluster = config(t, 'iad', api);
  const first = start(t, [cluster], { iad: all }, { store });
  await eventually(() => first.live());
  await first.discovery.close();
  api.script((request) => request.namespace === 'db', faults.status(403, 'Forbidden'), 1_000);
  const second = start(t, [cluster], { iad: ['web', 'db'] }, { store });
  await eventually(() => second.live());
  assert.deepEqual(names(second.cluster().services), ['app', 'pg']);
  const status = second.discovery.status()[0];
  assert.equal(status?.kinds.services.synced, false);
  assert.equal(status?.kinds.services.failing, true);
  assert.equal(status?.kinds.services.restarts.forbidden, 1);
  assert.deepEqual(second.cluster().unread, { services: [], slices: ['db'] });
});

test('a namespace that has not been listed is named until it has, were it empty', async (t) => {
  const api = await standIn(t);
  const isNew = ({ namespace }: StandInRequest) => namespace === 'new';
  api.script(isNew, faults.status(403, 'Forbidden'), 4);
  const rig = start(t, [config(t, 'iad', api)], { iad: ['web', 'new'] });
  await eventually(() => rig.live());
  rig.deliver();
  assert.deepEqual(rig.cluster().unread, { services: ['new'], slices: ['new'] });
  const told = rig.changes.length;
  await eventually(() => {
    rig.clock.advance(1_000);
    return rig.cluster().unread?.services.length === 0 && rig.cluster().unread?.slices.length === 0;
  });
  rig.deliver();
  assert.ok(rig.changes.length > told);
});

test('a reload keeps the watches of what has not changed', async (t) => {
  const iad = await standIn(t);
  const sea = await standIn(t);
  const configs = [config(t, 'iad', iad), config(t, 'sea', sea)];
  const rig = start(t, configs, { iad: ['web'], sea: all });
  await eventually(() => rig.live() && rig.live('sea') && rig.allAre('watching'));
  const before = [iad.requests.length, sea.requests.length];
  rig.discovery.setClusters(
    configs.map((cluster) => ({ ...cluster, maxRemovedShare: 0.1 })),
    { iad: ['web'], sea: all },
  );
  await settle();
  assert.deepEqual([iad.requests.length, sea.requests.length], before);
  assert.deepEqual([iad.watches(), sea.watches()], [3, 3]);
});

test('a namespace that joins by reload starts its own watches and leaves the others alone', async (t) => {
  const api = await standIn(t);
  const cluster = config(t, 'iad', api);
  const rig = start(t, [cluster], { iad: ['web'] });
  await eventually(() => rig.live() && rig.allAre('watching'));
  rig.discovery.setClusters([cluster], { iad: ['web', 'db'] });
  await eventually(() => api.watches() === 5);
  assert.deepEqual(names(rig.cluster().services), ['app', 'pg']);
  assert.equal(rig.cluster().origin, 'live');
  assert.equal(api.lists('nodes').length, 1);
  rig.discovery.setClusters([cluster], { iad: ['db'] });
  assert.deepEqual(names(rig.cluster().services), ['pg']);
  await eventually(() => api.watches() === 3);
});

test('widening the scope to the whole cluster keeps what is known until the wide list is there', async (t) => {
  const api = await standIn(t);
  const cluster = config(t, 'iad', api);
  const rig = start(t, [cluster], { iad: ['web'] });
  await eventually(() => rig.live() && rig.allAre('watching'));
  api.script((request) => request.namespace === null && !request.watch, faults.status(500, 'Oops'), 2);
  rig.discovery.setClusters([cluster], { iad: all });
  await eventually(() => rig.counts.restarts().filter((reason) => reason === 'http-status').length === 2);
  assert.deepEqual(names(rig.cluster().services), ['app']);
  await settle();
  rig.clock.advance(200);
  await eventually(() => rig.cluster().services.length === 2);
});

test('clusters that join, leave or move are started, ended and handed their inventory on', async (t) => {
  const old = await standIn(t);
  const other = await standIn(t);
  const rig = start(t, [config(t, 'iad', old)], { iad: all, sea: all });
  await eventually(() => rig.live());
  rig.deliver();
  const dead = clusterConfig('iad', '/nowhere/kubeconfig');
  rig.discovery.setClusters([dead, config(t, 'sea', other)], { iad: all, sea: all });
  assert.equal(rig.cluster().origin, 'disk', 'known, but not confirmed by the new source');
  assert.deepEqual(names(rig.cluster().services), ['app', 'pg']);
  await eventually(() => rig.live('sea') && old.sockets.size === 0);
  rig.discovery.setClusters([config(t, 'sea', other)], { sea: all });
  assert.equal(rig.discovery.inventory().clusters['iad'], undefined);
  rig.deliver();
  assert.deepEqual(Object.keys(rig.changes.at(-1)?.inventory.clusters ?? {}), ['sea']);
});

test('one cluster out of reach does not touch another', async (t) => {
  const api = await standIn(t);
  const rig = start(t, [clusterConfig('sea', '/nowhere'), config(t, 'iad', api)], { iad: all, sea: all });
  await eventually(() => rig.live());
  assert.equal(rig.live('sea'), false);
  assert.equal(rig.cluster('sea').origin, 'none');
  const failure = rig.discovery.status()[0]?.kinds.nodes.scopes[0]?.failure;
  assert.equal(failure?.reason, 'credentials');
  assert.match(failure?.message ?? '', /\/nowhere cannot be read \(ENOENT\)/);
});

test('the status names objects, events, restarts and times by kind', async (t) => {
  const api = await standIn(t);
  const rig = start(t, [config(t, 'iad', api)], { iad: ['web', 'db'] });
  await eventually(() => rig.live() && rig.allAre('watching'));
  rig.clock.advance(5_000);
  api.put('services', service('db', 'redis', 30091));
  await eventually(() => rig.cluster().services.length === 3);
  const status = rig.discovery.status()[0];
  const services = status?.kinds.services;
  assert.equal(services?.objects, 3);
  assert.equal(services?.synced, true);
  assert.equal(services?.lastEventMs, rig.clock.now());
  assert.equal(services?.lastSyncMs, rig.clock.now() - 5_000, 'as old as the staler namespace');
  assert.equal(status?.syncedAtMs, rig.clock.now() - 5_000);
  assert.deepEqual(
    services?.scopes.map(({ namespace, objects }) => [namespace, objects]),
    [
      ['web', 1],
      ['db', 2],
    ],
  );
});

test('a consumer that throws is logged and called again with the next change', async (t) => {
  const api = await standIn(t);
  const onChange = (): void => {
    throw new Error('consumer');
  };
  const rig = start(t, [config(t, 'iad', api)], { iad: all }, { onChange });
  await eventually(() => rig.live() && rig.allAre('watching'));
  rig.deliver();
  api.put('nodes', node('n2'));
  await eventually(() => rig.cluster().nodes.length === 2);
  rig.deliver();
  assert.equal(rig.changes.length, 2);
  assert.equal(rig.lines.filter((line) => line.includes('inventory-consumer-failed')).length, 2);
});

test('an unchanged inventory is stamped again on disk every five minutes', async (t) => {
  const api = await standIn(t);
  const saves: number[] = [];
  const store: InventoryStore = {
    load: () => null,
    moveTo: () => {},
    save: (_cluster, inventory) => saves.push(inventory().syncedAtMs),
    flush: async () => {},
  };
  const rig = start(t, [config(t, 'iad', api)], { iad: all }, { store });
  await eventually(() => rig.live() && rig.allAre('watching'));
  const before = saves.length;
  for (let minute = 0; minute < 5; minute += 1) {
    rig.clock.advance(60_000);
    const events = rig.counts.of('watch-event').length;
    api.sendBookmark();
    await eventually(() => rig.counts.of('watch-event').length === events + 3);
  }
  assert.equal(saves.length, before + 1);
  assert.deepEqual(rig.counts.restarts(), []);
});

test('close ends every watch, leaves no socket and no timer, and writes the inventory', async (t) => {
  const api = await standIn(t);
  const directory = temporaryDirectory(t);
  const clock = new HandClock();
  const { log } = recordLog();
  const store = createInventoryStore({ directory, clock, log, onCount: recordCounts().onCount });
  const rig = start(t, [config(t, 'iad', api)], { iad: all }, { store });
  await eventually(() => rig.live() && rig.allAre('watching'));
  await rig.discovery.close();
  await eventually(() => api.sockets.size === 0);
  assert.deepEqual([...rig.clock.waits, ...clock.waits], []);
  assert.equal(store.load('iad')?.nodes.length, 1);
  rig.discovery.setClusters([config(t, 'sea', api)], { sea: all });
  await rig.discovery.close();
  assert.equal(api.sockets.size, 0);
});
