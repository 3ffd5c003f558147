import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProbeTarget } from '../../../src/control/health/probe-result.ts';
import type { Prober } from '../../../src/control/health/probes.ts';
import { EXCLUDE_LABEL } from '../../../src/control/targets/nodes.ts';
import type { Config } from '../../../src/model/config.ts';
import { NOTHING_UNLISTED } from '../../../src/model/inventory.ts';
import { NO_SECRETS } from '../../../src/model/secrets.ts';
import { encodeDifference, encodeWhole } from '../../../src/snapshot/encode.ts';
import { Bench } from './engine-bench.ts';
import {
  clusterConfig,
  config,
  endpointFact,
  HTTP_HEALTH,
  nodeFact,
  poolConfig,
  poolRoute,
  serviceFact,
  serviceRoute,
  serviceSource,
  sliceFact,
  staticSource,
  TERMINATING,
} from './facts.ts';

const local = serviceFact('web', { externalTrafficPolicy: 'Local' });
const nodes = (...numbers: number[]) => numbers.map((number) => nodeFact(`node-${number}`));
const on = (...names: string[]) => [
  sliceFact(
    'web',
    names.map((name) => endpointFact(name)),
  ),
];
const THREE = [
  '10.0.0.1:30080 active unknown',
  '10.0.0.2:30080 active unknown',
  '10.0.0.3:30080 active unknown',
];
const probed = (): Config => config({ pools: [poolConfig('web', { health: HTTP_HEALTH })] });

describe('publication', () => {
  test('nothing is published before every cluster is known, then all at once', async () => {
    const bench = new Bench();
    await bench.time.move(5000);
    assert.equal(bench.snapshots.length, 0);
    await bench.list({}, 123);
    assert.deepEqual(bench.targets(), THREE);
    assert.deepEqual([bench.snapshot.version, bench.snapshot.eventAtMs], [100, 123]);
    await bench.engine.close();
  });
  test('a cluster that stays unknown is waited for only so long', async () => {
    const bench = new Bench();
    await bench.time.move(10_000);
    assert.deepEqual([bench.snapshots.length, bench.targets()], [1, []]);
    assert.deepEqual(bench.rows(), { '-': 'excluded inventory-missing' });
    await bench.engine.close();
  });
  test('while workers serve an earlier snapshot it is waited for without end', async () => {
    const bench = new Bench(config(), { graceMs: Number.POSITIVE_INFINITY });
    await bench.time.move(3_600_000);
    assert.equal(bench.snapshots.length, 0);
    await bench.engine.close();
  });
  test('while workers serve an earlier snapshot, the health of targets is waited for', async () => {
    const pool = poolConfig('app', {
      sources: [staticSource(['127.0.0.1:9001', '127.0.0.1:9002'])],
      health: HTTP_HEALTH,
    });
    const bench = new Bench(null, { firstResultsMs: 3000 });
    bench.up.add('127.0.0.1:9001');
    bench.engine.setConfig(config({ clusters: [], pools: [pool], routes: [poolRoute('app')] }));
    await bench.time.move(1000);
    assert.equal(bench.snapshots.length, 1);
    assert.deepEqual(bench.targets('app'), [
      '127.0.0.1:9001 active healthy',
      '127.0.0.1:9002 active unhealthy',
    ]);
    await bench.engine.close();
  });
  test('a probe that says nothing is waited for only so long', async () => {
    const pool = poolConfig('app', { sources: [staticSource(['127.0.0.1:9001'])], health: HTTP_HEALTH });
    const bench = new Bench(config({ clusters: [], pools: [pool], routes: [poolRoute('app')] }), {
      firstResultsMs: 3000,
      prober: (_target, _timeoutMs, signal) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    });
    await bench.time.move(2999);
    assert.equal(bench.snapshots.length, 0);
    await bench.time.move(1);
    assert.deepEqual(bench.targets('app'), ['127.0.0.1:9001 active unknown']);
    await bench.engine.close();
  });
  test('a configuration without clusters is published at once, host names kept', async () => {
    const pool = poolConfig('app', { sources: [staticSource(['127.0.0.1:9001', 'app.internal:80'])] });
    const bench = new Bench(config({ clusters: [], pools: [pool], routes: [poolRoute('app')] }));
    await bench.time.move(0);
    assert.deepEqual(bench.targets('app'), [
      'app.internal:80 active unknown',
      '127.0.0.1:9001 active unknown',
    ]);
    await bench.engine.close();
  });
  test('a static address waits for its proof where a pool holds what is unknown', async () => {
    const held = { sources: [staticSource(['127.0.0.1:9001'])], unknown: 'hold' } as const;
    const pools = [poolConfig('probed', { ...held, health: HTTP_HEALTH }), poolConfig('unprobed', held)];
    const routes = pools.map(({ name }) => poolRoute(name));
    const bench = new Bench(config({ clusters: [], pools, routes }));
    const both = (): string[] => [...bench.targets('probed'), ...bench.targets('unprobed')];
    await bench.time.move(0);
    assert.match(both().join(), /^127\.0\.0\.1:9001 filling \w+,127\.0\.0\.1:9001 filling \w+$/);
    bench.up.add('127.0.0.1:9001');
    await bench.time.move(5000);
    assert.deepEqual(both(), ['127.0.0.1:9001 active healthy', '127.0.0.1:9001 active healthy']);
    await bench.engine.close();
  });
  test('an event that changes no content publishes nothing, and events at once publish once', async () => {
    const bench = new Bench();
    await bench.list();
    await bench.list({ nodes: bench.inventory.nodes.map((node) => ({ ...node, resourceVersion: '2' })) });
    assert.equal(bench.snapshots.length, 1);
    for (const number of [4, 5, 6]) {
      bench.engine.setInventory(
        { clusters: { iad: { ...bench.inventory, nodes: nodes(1, 2, 3, number) } } },
        50 + number,
      );
    }
    await bench.time.move(0);
    assert.deepEqual(
      [bench.snapshots.length, bench.snapshot.version, bench.snapshot.eventAtMs],
      [2, 101, 54],
    );
    await bench.engine.close();
  });
  test('a pass that took long is followed by a rest of that length, and one more answers all that came meanwhile', async () => {
    let tookMs = 0;
    let nowMs = (): number => 0;
    const bench: Bench = new Bench(null, {
      monotonic: () => nowMs() + tookMs,
      onSnapshot: (snapshot) => {
        bench.snapshots.push(snapshot);
        tookMs += 20;
      },
    });
    nowMs = bench.time.monotonic;
    bench.engine.setConfig(config());
    const excluded = (...numbers: number[]) =>
      [1, 2, 3].map((number) =>
        nodeFact(`node-${number}`, { labels: numbers.includes(number) ? { [EXCLUDE_LABEL]: '' } : {} }),
      );
    await bench.list();
    assert.equal(bench.snapshots.length, 1);
    await bench.list({ nodes: excluded(1) });
    await bench.list({ nodes: excluded(1, 2) });
    await bench.time.move(19);
    assert.equal(bench.snapshots.length, 1);
    await bench.time.move(1);
    assert.equal(bench.snapshots.length, 2);
    assert.deepEqual(bench.targets(), ['10.0.0.3:30080 active unknown']);
    await bench.time.move(1000);
    await bench.list({ nodes: excluded(1) });
    assert.equal(bench.snapshots.length, 3);
    await bench.engine.close();
  });
  test('an inventory of origin none never replaces what is known', async () => {
    const bench = new Bench();
    await bench.list();
    await bench.list({ origin: 'none', nodes: [], services: [], slices: [] });
    assert.deepEqual([bench.snapshots.length, bench.targets()], [1, THREE]);
    await bench.engine.close();
  });
});

describe('events', () => {
  test('exclude label, taint and operator drain act at once, and are explained', async () => {
    const bench = new Bench();
    await bench.list();
    const [one, two, three] = nodes(1, 2, 3);
    const labels = { 'node.kubernetes.io/exclude-from-external-load-balancers': '' };
    const taints = [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }];
    await bench.list({ nodes: [{ ...one!, labels }, { ...two!, taints }, three!] });
    assert.deepEqual(bench.targets(), ['10.0.0.2:30080 draining unknown', '10.0.0.3:30080 active unknown']);
    assert.deepEqual(bench.rows(), {
      'node-1': 'excluded excluded-label',
      'node-2': 'draining tainted-cluster-autoscaler',
      'node-3': 'active ready',
    });
    bench.engine.drain('iad', 'node-3');
    await bench.time.move(0);
    assert.deepEqual(bench.targets(), ['10.0.0.2:30080 draining unknown', '10.0.0.3:30080 draining unknown']);
    bench.engine.undrain('iad', 'node-3');
    await bench.list({ nodes: nodes(1, 2, 3) });
    assert.equal(bench.targets().filter((text) => text.includes('active')).length, 2);
    assert.deepEqual(bench.engine.drains(), []);
    await bench.engine.close();
  });
  test('a cluster that is drained drains all of its nodes', async () => {
    const bench = new Bench();
    await bench.list();
    bench.engine.drain('iad', null);
    await bench.time.move(0);
    assert.ok(bench.targets().every((text) => text.includes('draining')));
    const [drain] = bench.engine.drains();
    assert.deepEqual([drain?.cluster, drain?.node, bench.engine.drains().length], ['iad', null, 1]);
    assert.equal(bench.engine.standing('iad', null), null);
    await bench.engine.close();
  });
  test('a drained node that comes back stays drained, another machine of its name is used', async () => {
    const ended: (string | null)[] = [];
    const bench = new Bench(config(), {
      onDrainsEnded: (drains) => ended.push(...drains.map(({ node }) => node)),
    });
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list();
    bench.engine.drain('iad', 'node-3');
    await bench.list({ nodes: nodes(1, 2) });
    await bench.list({ nodes: nodes(1, 2, 3) });
    assert.equal(bench.targets()[2], '10.0.0.3:30080 draining unknown');
    assert.equal(bench.engine.standing('iad', 'node-3'), null);
    await bench.list({ nodes: [...nodes(1, 2), nodeFact('node-3', { uid: 'another' })] });
    await bench.time.move(1000);
    assert.equal(bench.targets()[2], '10.0.0.3:30080 active unknown');
    assert.deepEqual([ended, bench.engine.drains()], [['node-3'], []]);
    assert.equal(bench.engine.standing('iad', 'node-3'), 'active');
    await bench.engine.close();
  });
  test('a node that is held although the API lists it no more can be drained, and its drain is for no other machine', async () => {
    const bench = new Bench();
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list();
    const unlisted = { ...NOTHING_UNLISTED, nodes: ['node-3'] };
    await bench.list({ nodes: nodes(1, 2), unlisted });
    assert.equal(bench.targets()[2], '10.0.0.3:30080 active unknown');
    bench.engine.drain('iad', 'node-3');
    await bench.time.move(0);
    assert.equal(bench.engine.standing('iad', 'node-3'), null);
    assert.ok(!bench.targets().some((text) => text.startsWith('10.0.0.3:30080 active')));
    assert.deepEqual(bench.engine.drains()[0]?.uid, 'uid-node-3');
    await bench.engine.close();
  });
  test('a node whose endpoints are held after they vanished can be drained', async () => {
    const bench = new Bench();
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list({ services: [local], slices: on('node-1', 'node-2', 'node-3') });
    await bench.list({ services: [local], slices: on('node-1') });
    assert.equal(bench.rows()['node-3'], 'active held-by-removal-guard');
    bench.engine.drain('iad', 'node-3');
    await bench.time.move(0);
    assert.equal(bench.engine.standing('iad', 'node-3'), null);
    assert.equal(bench.engine.standing('iad', 'node-2'), 'active');
    await bench.engine.close();
  });
  test('drains of an earlier process hold before the cluster is known', async () => {
    const bench = new Bench(null);
    bench.engine.restoreDrains([{ cluster: 'iad', node: 'node-2', uid: 'uid-node-2', sinceMs: 1 }]);
    bench.engine.setConfig(config());
    await bench.list();
    assert.equal(bench.targets()[1], '10.0.0.2:30080 draining unknown');
    await bench.engine.close();
  });
  test('a new node is proven by a connect before it takes traffic', async () => {
    const bench = new Bench();
    await bench.list();
    await bench.list({ nodes: nodes(1, 2, 3, 4) });
    assert.equal(bench.targets()[3], '10.0.0.4:30080 filling unknown*');
    bench.up.add('10.0.0.4:30080');
    await bench.time.move(1000);
    assert.equal(bench.targets()[3], '10.0.0.4:30080 active unknown');
    assert.equal(bench.engine.probes().total, 0);
    await bench.engine.close();
  });
  test('or by a connection of a worker', async () => {
    const bench = new Bench();
    await bench.list();
    await bench.list({ nodes: nodes(1, 2, 3, 4) });
    bench.engine.proven('10.0.0.4:30080');
    await bench.time.move(0);
    assert.equal(bench.targets()[3], '10.0.0.4:30080 active unknown');
    await bench.engine.close();
  });
  test('a node replaced under the same name and address is proven anew', async () => {
    const bench = new Bench();
    await bench.list();
    bench.engine.proven('10.0.0.3:30080');
    await bench.list({ nodes: [...nodes(1, 2), nodeFact('node-3', { uid: 'another' })] });
    assert.equal(bench.targets()[2], '10.0.0.3:30080 filling unknown*');
    await bench.engine.close();
  });
  test('pods that move under Local: new nodes prove themselves before old ones go', async () => {
    const bench = new Bench(probed());
    for (const number of [1, 2]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list({ services: [local], slices: on('node-1') });
    await bench.time.move(100);
    assert.deepEqual(bench.targets(), ['10.0.0.1:30080 active healthy']);
    bench.up.delete('10.0.0.2:30080');
    await bench.list({ slices: on('node-2') });
    await bench.time.move(5);
    assert.deepEqual(bench.targets(), ['10.0.0.1:30080 active healthy', '10.0.0.2:30080 filling unhealthy*']);
    bench.up.add('10.0.0.2:30080');
    await bench.time.move(3000);
    assert.deepEqual(bench.targets(), ['10.0.0.2:30080 active healthy']);
    await bench.engine.close();
  });
  test('what terminates at a port that nobody has tried is proven too: it may be all that is left', async () => {
    const bench = new Bench();
    await bench.list({ services: [local], slices: on('node-1') });
    const ports = [{ name: 'http', port: 80, nodePort: 30090, protocol: 'TCP' as const }];
    const moved = serviceFact('web', { externalTrafficPolicy: 'Local', ports });
    bench.up.add('10.0.0.1:30090');
    await bench.list({
      services: [moved],
      slices: [sliceFact('web', [endpointFact('node-1', TERMINATING)])],
    });
    await bench.time.move(1000);
    assert.deepEqual(bench.targets(), ['10.0.0.1:30090 active unknown']);
    await bench.engine.close();
  });
  test('Cluster to Local and back, another nodePort, ClusterIP and back', async () => {
    const bench = new Bench();
    for (const number of [1, 2, 3])
      for (const port of [30080, 30090]) bench.up.add(`10.0.0.${number}:${port}`);
    await bench.list();
    await bench.list({ services: [local] });
    assert.deepEqual(bench.targets(), THREE.slice(0, 2));
    await bench.list({ services: [serviceFact('web')] });
    await bench.time.move(1000);
    assert.deepEqual(bench.targets(), THREE);
    const other = serviceFact('web', {
      ports: [{ name: 'http', port: 80, nodePort: 30090, protocol: 'TCP' }],
    });
    await bench.list({ services: [other] });
    await bench.time.move(1000);
    assert.deepEqual(
      bench.targets(),
      THREE.map((text) => text.replace('30080', '30090')),
    );
    await bench.list({ services: [serviceFact('web', { type: 'ClusterIP' })] });
    assert.deepEqual(bench.targets(), []);
    assert.equal(bench.rows()['node-1'], 'excluded service-type');
    await bench.list({ services: [serviceFact('web')] });
    assert.deepEqual(bench.targets().length, 3);
    await bench.time.move(1000);
    assert.deepEqual(bench.targets(), THREE);
    assert.equal(bench.engine.probes().total, 0);
    await bench.engine.close();
  });
  test('half of the nodes missing in the list loses no target that still answers', async () => {
    const bench = new Bench();
    for (let number = 1; number <= 5; number++) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list({ nodes: nodes(1, 2, 3, 4, 5) });
    await bench.list({ nodes: nodes(1, 2) });
    await bench.time.move(60_000);
    assert.equal(bench.targets().length, 5);
    assert.ok(bench.targets().every((text) => text.endsWith('active unknown')));
    assert.equal(bench.rows()['node-5'], 'active held-by-removal-guard');
    bench.up.delete('10.0.0.5:30080');
    await bench.time.move(3000);
    assert.equal(bench.targets().length, 4);
    await bench.list({ nodes: nodes(1, 2, 3, 4, 5) });
    assert.equal(bench.rows()['node-4'], 'active ready');
    await bench.engine.close();
  });
  test('one deleted service among several goes at once, all services at once stay until probes agree', async () => {
    const services = ['web', 'api', 'git'].map((name) => serviceFact(name));
    const slices = services.map(({ name }) => sliceFact(name, [endpointFact('node-1')]));
    const bench = new Bench();
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list({ services, slices });
    await bench.list({ services: [] });
    await bench.time.move(5000);
    assert.equal(bench.targets().length, 3);
    await bench.list({ services });
    await bench.time.move(60_000);
    assert.deepEqual(bench.targets(), THREE);
    await bench.list({ services: services.slice(1) });
    assert.deepEqual(bench.targets(), []);
    assert.deepEqual(bench.rows()['node-1'], 'excluded service-not-found');
    await bench.engine.close();
  });
  test('what has not been read yet is not said to be missing', async () => {
    const bench = new Bench();
    const nothing = { services: [], slices: [] };
    await bench.list({ ...nothing, unread: { services: ['shop'], slices: ['shop'] } });
    assert.equal(bench.rows()['node-1'], 'excluded inventory-missing');
    const [row] = bench.engine.explained({ pool: 'web' });
    assert.match(row!.reasons[0]!.text, /: the services of the namespace shop have not been listed\.$/);
    await bench.list({ services: [serviceFact('web')], unread: { services: [], slices: ['shop'] } });
    assert.equal(bench.rows()['node-1'], 'excluded inventory-missing');
    await bench.list({ unread: nothing });
    assert.equal(bench.rows()['node-1'], 'excluded no-endpoints');
    await bench.list({ services: [] });
    assert.equal(bench.rows()['node-1'], 'excluded service-not-found');
    await bench.engine.close();
  });
  test('one service that a list leaves out keeps its targets until probes agree or its deletion is announced', async () => {
    const services = ['web', 'api', 'git'].map((name) => serviceFact(name));
    const slices = services.map(({ name }) => sliceFact(name, [endpointFact('node-1')]));
    const bench = new Bench();
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list({ services, slices });
    const leftOut = { nodes: [], services: ['shop/web'], endpoints: ['shop/web'] };
    await bench.list({ services: services.slice(1), slices: slices.slice(1), unlisted: leftOut });
    await bench.time.move(60_000);
    assert.equal(bench.targets().length, 3);
    assert.equal(bench.rows()['node-1'], 'active held-by-removal-guard');
    bench.up.delete('10.0.0.3:30080');
    await bench.time.move(3000);
    assert.equal(bench.targets().filter((text) => text.endsWith('*')).length, 1);
    await bench.time.move(31_000);
    assert.equal(bench.targets().length, 2);
    await bench.list({ unlisted: NOTHING_UNLISTED });
    assert.deepEqual(bench.targets(), []);
    await bench.engine.close();
  });
  test('one node that a list leaves out keeps its targets in shared tables, too', async () => {
    const bench = new Bench();
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list();
    await bench.list({ nodes: nodes(1, 2), unlisted: { nodes: ['node-3'], services: [], endpoints: [] } });
    await bench.time.move(30_000);
    assert.deepEqual(bench.targets(), THREE);
    await bench.list({ unlisted: NOTHING_UNLISTED });
    assert.deepEqual(bench.targets(), THREE.slice(0, 2));
    await bench.engine.close();
  });
  test('the probe of a dead node takes it out in time, and a good one back in', async () => {
    const bench = new Bench(probed());
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list();
    await bench.time.move(100);
    bench.up.delete('10.0.0.3:30080');
    await bench.time.move(4200);
    assert.equal(bench.targets()[2], '10.0.0.3:30080 active unhealthy');
    assert.equal(bench.engine.explained({ node: 'node-3' })[0]?.reasons.at(-1)?.code, 'probe-failed');
    bench.up.add('10.0.0.3:30080');
    await bench.time.move(3000);
    assert.equal(bench.targets()[2], '10.0.0.3:30080 active healthy');
    await bench.engine.close();
  });
  test('a node that falls silent and is deleted is lost, for pools with a probe and for those that share a table', async () => {
    const kubeProxy = { healthz: true, port: 10256, intervalMs: 2000, timeoutMs: 1000 };
    const pools = [poolConfig('web', { health: HTTP_HEALTH }), poolConfig('plain')];
    const bench = new Bench(config({ clusters: [clusterConfig({ kubeProxy })], pools }));
    const lost = (): (readonly string[])[] => bench.snapshot.pools.map((pool) => pool.lost);
    for (const number of [1, 2, 3])
      for (const port of [10256, 30080]) bench.up.add(`10.0.0.${number}:${port}`);
    await bench.list();
    await bench.time.move(3000);
    for (const port of [10256, 30080]) bench.failures.set(`10.0.0.3:${port}`, 'timeout');
    await bench.time.move(30_000);
    assert.deepEqual(lost(), [[], []]);
    await bench.list({ nodes: nodes(1, 2) });
    assert.deepEqual(lost(), [['10.0.0.3:30080'], ['10.0.0.3:30080']]);
    await bench.time.move(60_000);
    assert.deepEqual(lost(), [[], []]);
    await bench.engine.close();
  });
  test("a pool's gRPC probe asks each target for the service, with the pool's TLS", async () => {
    const tls = {
      verify: true,
      ca: null,
      serverName: 'a.test',
      serverNameFromHost: false,
      certificate: null,
    };
    const health = {
      ...HTTP_HEALTH,
      probe: { kind: 'grpc', service: 'calls.v1.Calls', host: 'b.test' },
    } as const;
    const asked: ProbeTarget[] = [];
    const prober: Prober = async (target, _timeoutMs, _signal, onResult) => {
      asked.push(target);
      onResult({ failure: 'answered', detail: 'NOT_SERVING', durationMs: 1, weight: null });
    };
    const pools = [poolConfig('web', { health, tls, protocol: 'http2' })];
    const bench = new Bench(config({ pools }), { prober });
    await bench.list({ nodes: nodes(1) });
    await bench.time.move(5000);
    assert.deepEqual(asked[0], {
      kind: 'grpc',
      host: '10.0.0.1',
      port: 30080,
      service: 'calls.v1.Calls',
      hostHeader: 'b.test',
      proxyProtocol: null,
      tls,
    });
    assert.deepEqual(bench.targets(), ['10.0.0.1:30080 active unhealthy']);
    const reason = bench.engine.explained({ pool: 'web' })[0]?.reasons.at(-1);
    assert.deepEqual([reason?.code, reason?.text], ['probe-failed', 'The probe fails: NOT_SERVING.']);
    await bench.engine.close();
  });
  test('kube-proxy is asked once for each node, whatever the number of pools', async () => {
    const kubeProxy = { healthz: true, port: 10256, intervalMs: 2000, timeoutMs: 1000 };
    const bench = new Bench(
      config({
        clusters: [clusterConfig({ kubeProxy })],
        pools: [poolConfig('web'), poolConfig('again'), poolConfig('own', { unknown: 'hold' })],
      }),
    );
    for (const number of [1, 2, 3])
      for (const port of [10256, 30080]) bench.up.add(`10.0.0.${number}:${port}`);
    await bench.list();
    await bench.time.move(1000);
    assert.equal(bench.engine.probes().total, 3);
    bench.failures.set('10.0.0.2:10256', 'answered');
    await bench.time.move(3000);
    assert.equal(bench.targets('again')[1], '10.0.0.2:30080 active unknown*');
    assert.equal(bench.targets('own')[1], '10.0.0.2:30080 active healthy*');
    await bench.engine.close();
  });
});

describe('rules that name services by template', () => {
  const given = config({ pools: [], routes: [serviceRoute('lab', 'lab-{branch}/web')] });
  const branch = (name: string) => ({
    service: serviceFact('web', { namespace: `lab-${name}` }),
    slice: sliceFact('web', [endpointFact('node-1')], { namespace: `lab-${name}` }),
  });
  test('environments come and go with their services', async () => {
    const bench = new Bench(given);
    const made = ['a', 'b', 'c'].map(branch);
    const listed = (count: number) => ({
      services: made.slice(0, count).map(({ service }) => service),
      slices: made.slice(0, count).map(({ slice }) => slice),
    });
    await bench.list(listed(2));
    assert.deepEqual(
      bench.snapshot.pools.map(({ name }) => name),
      ['lab/lab-a/web', 'lab/lab-b/web'],
    );
    assert.deepEqual(bench.targets('lab/lab-b/web'), THREE);
    assert.equal(bench.snapshot.hostSets.length, 1);
    await bench.list(listed(3));
    assert.equal(bench.snapshot.pools.length, 3);
    await bench.list(listed(2));
    assert.equal(bench.snapshot.pools.length, 2);
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list(listed(0));
    await bench.time.move(5000);
    assert.equal(bench.snapshot.pools.length, 2);
    bench.up.clear();
    await bench.time.move(5000);
    assert.equal(bench.snapshot.pools.length, 0);
    await bench.engine.close();
  });
});

describe('reload', () => {
  test('an unchanged source keeps its targets, a pool that is gone leaves', async () => {
    const bench = new Bench(config({ pools: [poolConfig('web'), poolConfig('old')] }));
    await bench.list();
    bench.engine.setConfig(config({ pools: [poolConfig('web', { slowStartMs: 5000 })] }));
    await bench.time.move(0);
    assert.deepEqual(bench.targets(), THREE);
    assert.deepEqual(
      bench.snapshot.pools.map(({ name }) => name),
      ['web'],
    );
    await bench.engine.close();
  });
  test('a selector that is added excludes at once', async () => {
    const bench = new Bench();
    const [one, ...others] = nodes(1, 2, 3);
    await bench.list({ nodes: [{ ...one!, labels: { pool: 'web' } }, ...others] });
    bench.engine.setConfig(
      config({ clusters: [clusterConfig({ nodes: { ...clusterConfig().nodes, selector: 'pool=web' } })] }),
    );
    await bench.time.move(0);
    assert.deepEqual(bench.targets(), THREE.slice(0, 1));
    await bench.engine.close();
  });
});

describe('explanations', () => {
  test('every node has a row, with its object versions and what would change it', async () => {
    const bench = new Bench();
    await bench.list({ services: [local] });
    const rows = bench.engine.explained();
    assert.deepEqual(
      rows.map(({ node, state }) => [node, state]),
      [
        ['node-1', 'active'],
        ['node-2', 'active'],
        ['node-3', 'excluded'],
      ],
    );
    assert.equal(rows[2]?.objectVersion, 'node:1 service:7');
    assert.match(rows[2]?.reasons[0]?.fix ?? '', /Schedule a pod/);
    const [answer] = bench.engine.explainNode('node-3');
    assert.deepEqual([answer?.state, answer?.targets.length], ['active', 1]);
    const [service] = bench.engine.explainService('shop/web');
    assert.deepEqual([service?.pools[0]?.policy, service?.pools[0]?.targets.length], ['Local', 3]);
    assert.deepEqual(bench.engine.explainNode('nobody'), []);
    await bench.engine.close();
  });
  test('a change names the object versions that brought it, and nothing when a probe did', async () => {
    const bench = new Bench(probed());
    bench.up.add('10.0.0.1:30080');
    bench.up.add('10.0.0.2:30080');
    await bench.list({ services: [local] });
    await bench.time.move(2500);
    const changedBy = (node: string): string | undefined => bench.engine.explained({ node })[0]?.changedBy;
    assert.equal(changedBy('node-1'), '');
    await bench.list({
      nodes: [nodeFact('node-1', { ready: 'False', resourceVersion: '2' }), ...nodes(2, 3)],
    });
    assert.deepEqual([changedBy('node-1'), changedBy('node-2')], ['node:2', '']);
    const [slice] = on('node-1', 'node-2', 'node-3');
    await bench.list({ slices: [{ ...slice!, resourceVersion: '21' }] });
    const joined = bench.changes.find(({ after }) => after?.node === 'node-3');
    assert.deepEqual([changedBy('node-1'), joined?.after?.changedBy], ['node:2', 'slice/web-abc:21']);
    await bench.time.move(5);
    assert.equal(changedBy('node-3'), '', 'a probe has looked at it since');
    const excluded = { 'node.kubernetes.io/exclude-from-external-load-balancers': '' };
    const third = nodeFact('node-3', { labels: excluded, resourceVersion: '3' });
    await bench.list({ nodes: [...nodes(1, 2), third] });
    assert.equal(changedBy('node-3'), 'node:3');
    assert.equal(
      bench.engine.explained({ node: 'node-3' })[0]?.objectVersion,
      'node:3 service:7 slice/web-abc:21',
    );
    await bench.time.move(1);
    await bench.list({ services: [{ ...local, type: 'ClusterIP', resourceVersion: '8' }] });
    assert.deepEqual([changedBy('node-1'), changedBy('node-2')], ['service:8', 'service:8']);
    await bench.engine.close();
  });
  test('the reasons of a node and of a service are told when they change, whether or not a target does', async () => {
    const told: string[] = [];
    const bench = new Bench(config(), {
      onNodeChange: ({ node, to }) => told.push(`${node.name} ${to.map(({ code }) => code).join()}`),
      onSourceChange: ({ service, to, by }) =>
        told.push(`${service} ${to.map(({ code }) => code).join()} ${by}`),
    });
    await bench.list();
    assert.deepEqual(told, []);
    await bench.list({ services: [] });
    assert.deepEqual(told.splice(0), ['shop/web service-not-found service:gone']);
    await bench.list({ nodes: [nodeFact('node-1', { unschedulable: true }), ...nodes(2, 3)] });
    assert.deepEqual(told.splice(0), ['node-1 cordoned']);
    await bench.list({ services: [serviceFact('web')] });
    assert.deepEqual(told.splice(0), ['shop/web  service:7']);
    await bench.engine.close();
  });
  test('changes are told with before and after, once for each pool', async () => {
    const bench = new Bench();
    await bench.list();
    assert.equal(bench.changes.length, 0);
    await bench.list({ nodes: [...nodes(1, 2), nodeFact('node-3', { ready: 'False' })] });
    const [change] = bench.changes;
    assert.deepEqual(
      [bench.changes.length, change?.before?.lastResort, change?.after?.lastResort],
      [1, false, true],
    );
    assert.deepEqual(
      change?.after?.reasons.map(({ code }) => code),
      ['not-ready'],
    );
    assert.equal(change?.after?.pool, 'web');
    await bench.list({ nodes: nodes(1, 2) });
    assert.equal(bench.changes.at(-1)?.after, null);
    await bench.engine.close();
  });
  test('an old inventory is called stale in the answers and changes no target', async () => {
    const bench = new Bench();
    await bench.list({ origin: 'disk', syncedAtMs: bench.time.nowMs - 60_000 });
    assert.deepEqual(
      bench.engine.explained()[0]?.reasons.map(({ code }) => code),
      ['ready', 'inventory-stale'],
    );
    assert.deepEqual(bench.targets(), THREE);
    await bench.engine.close();
  });
  test('counts cover every state and reason', async () => {
    const bench = new Bench();
    await bench.list({ services: [local] });
    const [counts] = bench.engine.counts();
    assert.deepEqual(counts?.states, { filling: 0, active: 2, draining: 0, excluded: 1 });
    assert.deepEqual(counts?.reasons, { 'local-endpoints': 2, 'no-local-endpoint': 1 });
    await bench.engine.close();
  });
  test('several sources: priorities, static fall-back, one pool', async () => {
    const sources = [serviceSource(), { ...staticSource(['192.0.2.1:80']), priority: 1 }];
    const bench = new Bench(config({ pools: [poolConfig('web', { sources })] }));
    await bench.list();
    assert.deepEqual(
      bench.snapshot.pools[0]?.groups.map(({ port, priority }) => [port, priority]),
      [
        [30080, 0],
        [80, 1],
      ],
    );
    await bench.engine.close();
  });
});

test('5,000 nodes and 500 services stay a small snapshot, and a change of one node too', async () => {
  const names = Array.from({ length: 500 }, (_, index) => `svc-${index}`);
  const many = Array.from({ length: 5000 }, (_, index) => nodeFact(`node-${index + 1}`));
  const pools = names.map((name) => poolConfig(name, { sources: [serviceSource({ service: name })] }));
  const bench = new Bench(config({ pools, routes: names.map((name) => poolRoute(name)) }));
  const services = names.map((name, index) =>
    serviceFact(name, { ports: [{ name: 'http', port: 80, nodePort: 30000 + index, protocol: 'TCP' }] }),
  );
  await bench.list({
    nodes: many,
    services,
    slices: names.map((name) => sliceFact(name, [endpointFact('node-1')])),
  });
  assert.deepEqual(
    [bench.snapshot.hostSets.map(({ members }) => members.length), bench.snapshot.pools.length],
    [[5000], 500],
  );
  const bytes = encodeWhole(bench.snapshot, NO_SECRETS).length;
  assert.ok(bytes < 2 * 1024 * 1024, `${bytes} bytes`);
  await bench.list({ nodes: [nodeFact('node-1', { ready: 'False' }), ...many.slice(1)] });
  assert.equal(bench.snapshots.length, 2);
  const [before, after] = bench.snapshots;
  const difference = encodeDifference(before!, after!, null).length;
  assert.ok(difference < 2048, `${difference} bytes`);
  assert.equal(bench.changes.length, 1);
  assert.equal(bench.changes[0]?.after?.pool, '*');
  await bench.engine.close();
});
