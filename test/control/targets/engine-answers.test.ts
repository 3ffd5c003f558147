// What the engine answers and asks: filters and weights of rows, probes of each kind, proofs and absences that no longer count.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProbeTarget } from '../../../src/control/health/probe-result.ts';
import { joinNodes, viewNode } from '../../../src/control/targets/nodes.ts';
import { parseSelector } from '../../../src/control/targets/selector.ts';
import { viewService } from '../../../src/control/targets/services.ts';
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
  serviceSource,
  sliceFact,
} from './facts.ts';

const NAMES = ['web', 'api', 'git', 'wiki'];
const SERVICES = NAMES.map((name) => serviceFact(name));
const SLICES = NAMES.map((name) => sliceFact(name, [endpointFact('node-1')]));

describe('rows', () => {
  test('are those of the service that is asked for, with the weight of their source', async () => {
    const pools = [
      poolConfig('web'),
      poolConfig('api', { sources: [serviceSource({ service: 'api', weight: 3 })] }),
    ];
    const bench = new Bench(config({ pools, routes: pools.map(({ name }) => poolRoute(name)) }));
    await bench.list({ services: SERVICES, slices: SLICES });
    const rows = bench.engine.explained({ service: 'shop/api' });
    assert.deepEqual(
      rows.map(({ pool, node, weight }) => [pool, node, weight]),
      [
        ['api', 'node-1', 3],
        ['api', 'node-2', 3],
        ['api', 'node-3', 3],
      ],
    );
    assert.deepEqual(bench.engine.explained({ service: 'shop/none' }), []);
    await bench.engine.close();
  });

  test('follow the address families of the configuration', async () => {
    const bench = new Bench();
    await bench.list();
    assert.equal(bench.rows()['node-1'], 'active ready');
    const { nodes } = clusterConfig();
    bench.engine.setConfig(
      config({ clusters: [clusterConfig({ nodes: { ...nodes, families: ['ipv6'] } })] }),
    );
    await bench.time.move(1000);
    assert.equal(bench.rows()['node-1'], 'excluded family-mismatch');
    await bench.engine.close();
  });
});

test('the ports that a service has are named by number where they have no name', () => {
  const ports = [{ name: '', port: 80, nodePort: 30080, protocol: 'TCP' }];
  const named = [{ ...ports[0]!, name: 'http' }];
  const source = serviceSource({ port: 'grpc' });
  const texts = [ports, named].map((given) => {
    const view = viewService('shop/web', source, serviceFact('web', { ports: given }), [], ['ipv4']);
    return view.reasons[0]?.text;
  });
  assert.deepEqual(texts, [
    'The service has no such port: grpc is missing; it has 80.',
    'The service has no such port: grpc is missing; it has http (80).',
  ]);
});

test('of two nodes alike that claim an address the first by name has it, in whatever order they come', () => {
  const { nodes } = clusterConfig();
  const claim = { addresses: [{ type: 'InternalIP', address: '10.0.0.9' }] };
  const views = ['node-1', 'node-2'].map((name) =>
    viewNode('iad', nodeFact(name, claim), nodes, parseSelector(''), false),
  );
  for (const given of [views, views.toReversed()]) {
    const { list } = joinNodes('iad', ['ipv4'], given);
    assert.deepEqual(
      list.map(({ node, addresses }) => [node.name, addresses.ipv4]),
      [
        ['node-1', '10.0.0.9'],
        ['node-2', ''],
      ],
    );
  }
});

test('each kind of health check is asked as it was configured', async () => {
  const asked: ProbeTarget[] = [];
  const kinds = [
    HTTP_HEALTH.probe,
    { kind: 'tcp' },
    { kind: 'ssh' },
    { kind: 'grpc', service: 'a.B', host: 'b.example' },
  ] as const;
  for (const probe of kinds) {
    const health = { ...HTTP_HEALTH, probe };
    const bench = new Bench(config({ pools: [poolConfig('web', { health })] }), {
      prober: async (target, _timeoutMs, _signal, onResult) => {
        asked.push(target);
        onResult({ failure: null, detail: '', durationMs: 1, weight: null });
      },
    });
    await bench.list({ nodes: [nodeFact('node-1')] });
    await bench.engine.close();
  }
  const at = { host: '10.0.0.1', port: 30080, proxyProtocol: null };
  assert.deepEqual(asked, [
    { kind: 'http', ...at, path: '/_ping', hostHeader: null, statuses: [[200, 299]], tls: null },
    { kind: 'tcp', ...at },
    { kind: 'ssh', ...at },
    { kind: 'grpc', ...at, service: 'a.B', hostHeader: 'b.example', tls: null },
  ]);
});

test('a connection to the machine that had the address before proves nothing of the next', async () => {
  const bench = new Bench(config({ pools: [poolConfig('web', { unknown: 'hold' })] }));
  await bench.list({ nodes: [nodeFact('node-1')] });
  bench.engine.proven('10.0.0.1:30080');
  await bench.time.move(1000);
  assert.equal(bench.rows()['node-1'], 'active ready');
  await bench.list({ nodes: [nodeFact('node-1', { uid: 'another machine' })] });
  assert.match(bench.rows()['node-1']!, /^filling /);
  bench.engine.proven('10.0.0.1:30080');
  await bench.time.move(1000);
  assert.equal(bench.rows()['node-1'], 'active ready');
  await bench.engine.close();
});

describe('services that vanish one after the other', () => {
  const whileGone = async (pauseMs: number) => {
    const bench = new Bench(
      config({ pools: [poolConfig('web', { sources: [serviceSource({ service: 'git' })] })] }),
    );
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list({ services: SERVICES, slices: SLICES });
    for (const left of [3, 2, 1]) {
      await bench.list({ services: SERVICES.toReversed().slice(0, left) });
      await bench.time.move(pauseMs);
    }
    const targets = bench.targets();
    await bench.engine.close();
    return targets.length;
  };

  test('in one step are doubted once they are too many', async () => {
    assert.equal(await whileGone(1000), 3);
  });

  test('in steps of their own are believed', async () => {
    assert.equal(await whileGone(20_000), 0);
  });
});

test('a node that an event deletes leaves at once, one that a list leaves out stays until it is found dead', async () => {
  for (const unlisted of [false, true]) {
    const bench = new Bench(config({ pools: [poolConfig('web', { health: HTTP_HEALTH })] }));
    for (const number of [1, 2, 3]) bench.up.add(`10.0.0.${number}:30080`);
    await bench.list();
    await bench.time.move(5000);
    const { unlisted: nothing } = bench.inventory;
    await bench.list({
      nodes: [nodeFact('node-1'), nodeFact('node-2')],
      unlisted: { ...nothing, nodes: unlisted ? ['node-3'] : [] },
    });
    await bench.time.move(1000);
    assert.equal(bench.targets().length, unlisted ? 3 : 2);
    await bench.engine.close();
  }
});
