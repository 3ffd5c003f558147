// What the engine remembers between two passes changes nothing but time: one that has to look at everything anew agrees.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXCLUDE_LABEL } from '../../../src/control/targets/nodes.ts';
import type { Config } from '../../../src/model/config.ts';
import type { ClusterInventory, NodeFact } from '../../../src/model/inventory.ts';
import type { PoolConfig } from '../../../src/model/pool-config.ts';
import { fc } from '../../support/properties.ts';
import { Bench } from './engine-bench.ts';
import {
  clusterConfig,
  clusterInventory,
  config,
  endpointFact,
  HTTP_HEALTH,
  nodeFact,
  poolConfig,
  poolRoute,
  serviceFact,
  serviceSource,
  sliceFact,
  TERMINATING,
} from './facts.ts';

const SERVICES = ['one', 'two', 'three'];
const PORTS = { one: 30081, two: 30082, three: 30083 } as Record<string, number>;

const pool = (name: string, service: string, changes: Partial<PoolConfig> = {}): PoolConfig =>
  poolConfig(name, { sources: [serviceSource({ service })], ...changes });

const CONFIG: Config = config({
  clusters: [clusterConfig({ kubeProxy: { healthz: true, port: 10256, intervalMs: 2000, timeoutMs: 1000 } })],
  pools: [
    pool('one', 'one'),
    pool('two', 'two'),
    pool('three', 'three'),
    pool('one-probed', 'one', { health: HTTP_HEALTH }),
    pool('two-probed', 'two', { health: HTTP_HEALTH }),
    pool('three-held', 'three', { unknown: 'hold' }),
    pool('one-cut', 'one', { subset: 2 }),
  ],
  routes: ['one', 'two', 'three', 'one-probed', 'two-probed', 'three-held', 'one-cut'].map((name) =>
    poolRoute(name),
  ),
});

/** A step: the world changes, then time passes. */
type Step = (world: World) => void;

/** Facts that change, and what both engines are told of besides. */
class World {
  inventory: ClusterInventory = clusterInventory({
    nodes: [1, 2, 3, 4].map((number) => nodeFact(`node-${number}`)),
    services: SERVICES.map((name, index) =>
      serviceFact(name, {
        externalTrafficPolicy: index === 1 ? 'Local' : 'Cluster',
        ports: [{ name: 'http', port: 80, nodePort: PORTS[name]!, protocol: 'TCP' }],
      }),
    ),
    slices: SERVICES.map((name) => sliceFact(name, [endpointFact('node-1'), endpointFact('node-2')])),
  });
  version = 100;
  readonly benches: readonly Bench[];

  constructor(benches: readonly Bench[]) {
    this.benches = benches;
  }

  node(number: number, change: (fact: NodeFact) => Partial<NodeFact> | null): void {
    const name = `node-${number}`;
    const { nodes } = this.inventory;
    const known = nodes.find((fact) => fact.name === name);
    const changes = change(known ?? nodeFact(name));
    this.version += 1;
    const next = { ...(known ?? nodeFact(name)), resourceVersion: `${this.version}`, ...changes };
    const others = nodes.filter((fact) => fact.name !== name);
    const at = known === undefined ? nodes.length : nodes.indexOf(known);
    this.inventory = {
      ...this.inventory,
      nodes: changes === null ? others : others.toSpliced(at, 0, next),
    };
  }

  endpoints(service: string, on: readonly number[], leaving: readonly number[]): void {
    this.version += 1;
    const slice = sliceFact(
      service,
      [
        ...on.map((number) => endpointFact(`node-${number}`)),
        ...leaving.map((number) =>
          endpointFact(`node-${number}`, { addresses: [`10.2.0.${number}`], ...TERMINATING }),
        ),
      ],
      { resourceVersion: `${this.version}` },
    );
    this.inventory = {
      ...this.inventory,
      slices: this.inventory.slices.map((known) => (known.service === service ? slice : known)),
    };
  }

  service(name: string, changes: Partial<ReturnType<typeof serviceFact>>): void {
    this.version += 1;
    this.inventory = {
      ...this.inventory,
      services: this.inventory.services.map((known) =>
        known.name === name ? { ...known, ...changes, resourceVersion: `${this.version}` } : known,
      ),
    };
  }

  answer(identity: string, isUp: boolean): void {
    for (const { up } of this.benches) isUp ? up.add(identity) : up.delete(identity);
  }
}

const number = fc.integer({ min: 1, max: 6 });
const numbers = fc.uniqueArray(number, { maxLength: 4 });
const service = fc.constantFrom(...SERVICES);

/** A step that a counterexample shows by its text. */
function step<Parts extends unknown[]>(
  what: string,
  parts: fc.Arbitrary<Parts>,
  take: (world: World, ...given: Parts) => void,
): fc.Arbitrary<Step> {
  return parts.map((given) =>
    Object.assign((world: World) => take(world, ...given), {
      [fc.toStringMethod]: () => `${what} ${given.join(' ')}`,
    }),
  );
}

const steps: fc.Arbitrary<Step> = fc.oneof(
  step(
    'node is ready',
    fc.tuple(number, fc.constantFrom<NodeFact['ready']>('True', 'False', 'Unknown')),
    (world, at, ready) => world.node(at, () => ({ ready })),
  ),
  step('node is excluded', fc.tuple(number, fc.boolean()), (world, at, excluded) =>
    world.node(at, () => ({ labels: excluded ? { [EXCLUDE_LABEL]: '' } : {} })),
  ),
  step('node goes', fc.tuple(number), (world, at) => world.node(at, () => null)),
  step('node is replaced', fc.tuple(number, fc.integer({ min: 1, max: 3 })), (world, at, life) =>
    world.node(at, () => ({ uid: `life-${life}` })),
  ),
  step('node moves', fc.tuple(number, number), (world, at, address) =>
    world.node(at, () => ({ addresses: [{ type: 'InternalIP', address: `10.0.0.${address}` }] })),
  ),
  step('endpoints', fc.tuple(service, numbers, numbers), (world, name, on, leaving) =>
    world.endpoints(name, on, leaving),
  ),
  step(
    'policy',
    fc.tuple(service, fc.constantFrom<'Cluster' | 'Local'>('Cluster', 'Local'), fc.constantFrom(0, 32000)),
    (world, name, externalTrafficPolicy, healthCheckNodePort) =>
      world.service(name, { externalTrafficPolicy, healthCheckNodePort }),
  ),
  step('node port', fc.tuple(service, fc.integer({ min: 30081, max: 30085 })), (world, name, nodePort) =>
    world.service(name, { ports: [{ name: 'http', port: 80, nodePort, protocol: 'TCP' }] }),
  ),
  step(
    'answers',
    fc.tuple(number, fc.constantFrom(10256, 30081, 30082, 30083, 32000), fc.boolean()),
    (world, at, port, isUp) => world.answer(`10.0.0.${at}:${port}`, isUp),
  ),
  step('drain', fc.tuple(number, fc.boolean()), ({ benches }, at, drained) => {
    for (const { engine } of benches)
      drained ? engine.drain('iad', `node-${at}`) : engine.undrain('iad', `node-${at}`);
  }),
  step('proven', fc.tuple(number, fc.constantFrom(30081, 30082, 30083)), ({ benches }, at, port) => {
    for (const { engine } of benches) engine.proven(`10.0.0.${at}:${port}`);
  }),
);

describe('what is remembered between passes', () => {
  test('changes nothing but time', async () => {
    const together = fc.array(steps, { minLength: 1, maxLength: 3 });
    // Results of probes are gathered for 5 ms: what looks more often must not see them earlier.
    const waits = fc.constantFrom(20, 300, 2000, 11_000);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(together, waits), { maxLength: 20 }), async (given) => {
        const remembers = new Bench(CONFIG);
        const forgets = new Bench(structuredClone(CONFIG));
        const world = new World([remembers, forgets]);
        for (let at = 1; at <= 6; at++)
          for (const port of [10256, 30081, 30082, 30083]) world.answer(`10.0.0.${at}:${port}`, true);
        for (const [changes, waitMs] of [[[], 11_000] as const, ...given, [[], 300] as const]) {
          for (const change of changes) change(world);
          // Objects that nothing remembered knows, and evidence that is all looked at again.
          const copy = structuredClone(world.inventory);
          await Promise.all([remembers.list(world.inventory), forgets.list(copy)]);
          await Promise.all([remembers.time.move(waitMs), forgets.time.move(waitMs)]);
          // A share of failures that has shifted is looked at after 250 ms.
          if (waitMs < 300) continue;
          forgets.engine.setConfig(structuredClone(CONFIG));
          for (const bench of [remembers, forgets]) bench.engine.flush();
          assert.deepEqual(told(remembers), told(forgets));
          assert.equal(remembers.snapshot.checksum, forgets.snapshot.checksum);
        }
        await Promise.all([remembers.engine.close(), forgets.engine.close()]);
      }),
      { numRuns: 120 },
    );
  });
});

/** Rows without the time and the cause of their last change: an operator's question sees the rest. */
function told({ engine }: Bench): readonly unknown[] {
  return engine
    .explained()
    .map(({ pool: name, node, address, port, state, health, lastResort, weight, reasons }) => [
      name,
      node,
      address,
      port,
      state,
      health,
      lastResort,
      weight,
      reasons,
    ]);
}
