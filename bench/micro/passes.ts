// Micro-benchmark of an event's way: 5,000 nodes, 500 services and 50,000 endpoints over three clusters, some events
// before each pass of the controller, then the text and what a worker makes of it. `node bench/micro/passes.ts [--events 4] [--json]`

import process from 'node:process';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { parseConfig } from '../../src/config/parse.ts';
import {
  type Projection,
  projectEndpointSlice,
  projectNode,
  projectService,
} from '../../src/control/discovery/project.ts';
import { createTargetEngine } from '../../src/control/targets/target-engine.ts';
import type { EndpointSliceFact, Inventory, NodeFact, ServiceFact } from '../../src/model/inventory.ts';
import { NO_SECRETS } from '../../src/model/secrets.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { decodePublication } from '../../src/snapshot/decode.ts';
import { encodeDifference, encodeWhole } from '../../src/snapshot/encode.ts';
import { spread } from '../measure/statistics.ts';
import { configuration } from '../scale/configuration.ts';
import {
  CLUSTERS,
  nodeObject,
  nodesOf,
  type RawObject,
  type Size,
  serviceObject,
  servicesOf,
  sliceObjects,
} from '../scale/objects.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    events: { type: 'string', default: '4' },
    passes: { type: 'string', default: '400' },
  },
});
const EVENTS = Number(values.events);
const PASSES = Number(values.passes);
const WARM_UP = 100;
const SIZE: Size = { nodes: 5000, services: 500, endpoints: 50_000 };
/** Of all events, as in the scale benchmark. */
const NODE_SHARE = 0.25;

function factOf<Fact>(projection: Projection<Fact>): Fact {
  if (projection.kind !== 'fact') throw new Error(`an object of the benchmark is ${projection.kind}`);
  return projection.fact;
}

class ClusterFacts {
  readonly nodes: NodeFact[];
  readonly services: ServiceFact[];
  readonly slices: EndpointSliceFact[];
  readonly #cluster: number;
  readonly #notReady = new Set<number>();
  readonly #moved = new Map<number, number>();
  #version = 1;

  constructor(cluster: number) {
    this.#cluster = cluster;
    const count = (length: number): number[] => Array.from({ length }, (_, index) => index);
    const services = count(servicesOf(SIZE, cluster));
    this.nodes = count(nodesOf(SIZE, cluster)).map((node) =>
      factOf(projectNode(nodeObject(cluster, node, true) as never)),
    );
    this.services = services.map((service) =>
      factOf(projectService(serviceObject(cluster, service) as never)),
    );
    this.slices = services.map((service) => this.#slice(service, 0));
  }

  #slice(service: number, moved: number): EndpointSliceFact {
    const [object] = sliceObjects(SIZE, this.#cluster, service, moved);
    return factOf(projectEndpointSlice(this.#next(object!) as never));
  }

  #next(object: RawObject): RawObject {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    return object;
  }

  change(random: () => number): void {
    if (random() < NODE_SHARE) {
      const node = Math.floor(random() * this.nodes.length);
      const ready = this.#notReady.delete(node);
      if (!ready) this.#notReady.add(node);
      this.nodes[node] = factOf(projectNode(this.#next(nodeObject(this.#cluster, node, ready)) as never));
      return;
    }
    const service = Math.floor(random() * this.services.length);
    const moved = (this.#moved.get(service) ?? 0) + 1;
    this.#moved.set(service, moved);
    this.slices[service] = this.#slice(service, moved);
  }
}

/** Park and Miller's generator: the same events in every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const place = {
  directory: '/nowhere',
  port: 1,
  admin: 'unix:/nowhere/admin',
  workers: 4,
  kubeProxyPort: 10_256,
  kubeProxyInterval: '10s',
};
const text = configuration(SIZE, place).replaceAll(/"kubeconfig":\{[^}]*\}/g, '"inCluster":true');
const parsed = parseConfig(text, { file: 'portico.yaml', env: {}, baseDirectory: '/nowhere' });
if ('problems' in parsed) throw new Error(parsed.problems.map(({ message }) => message).join('\n'));

const random = createRandom(7);
const clusters = CLUSTERS.map((_, cluster) => new ClusterFacts(cluster));
let last: Inventory = { clusters: {} };
/** What did not change is the same list, as discovery has it. */
function inventory(): Inventory {
  const same = <T>(list: readonly T[], before: readonly T[] | undefined): readonly T[] =>
    before !== undefined && list.every((item, index) => item === before[index]) ? before : [...list];
  last = {
    clusters: Object.fromEntries(
      CLUSTERS.map((name, index) => {
        const { nodes, services, slices } = clusters[index]!;
        const before = last.clusters[name];
        return [
          name,
          {
            cluster: name,
            origin: 'live',
            syncedAtMs: Date.now(),
            nodes: same(nodes, before?.nodes),
            services: same(services, before?.services),
            slices: same(slices, before?.slices),
            unlisted: before?.unlisted ?? { nodes: [], services: [], endpoints: [] },
          },
        ];
      }),
    ),
  };
  return last;
}

let made: Snapshot | null = null;
const engine = createTargetEngine({
  clock: {
    now: () => Date.now(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  },
  monotonic: () => performance.now(),
  random,
  // Passes are made by hand.
  defer: () => {},
  log: pino({ level: 'silent' }),
  prober: async (_target, _timeoutMs, _signal, onResult) =>
    onResult({ failure: null, detail: '', weight: null, durationMs: 1 }),
  firstVersion: 1,
  onSnapshot: (snapshot) => {
    made = snapshot;
  },
  onTargetChange: () => {},
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

engine.setConfig(parsed.config);
engine.setInventory(inventory(), 0);
engine.flush();
let published: Snapshot = made!;
let decoded = decodePublication(encodeWhole(published, NO_SECRETS), null).snapshot;
const times: Record<'set' | 'pass' | 'encode' | 'decode', number[]> = {
  set: [],
  pass: [],
  encode: [],
  decode: [],
};
let characters = 0;
for (let round = 0; round < PASSES + WARM_UP; round += 1) {
  for (let event = 0; event < EVENTS; event += 1)
    clusters[Math.floor(random() * clusters.length)]!.change(random);
  const facts = inventory();
  const startedMs = performance.now();
  engine.setInventory(facts, Date.now());
  const setMs = performance.now();
  engine.flush();
  const passedMs = performance.now();
  const difference = made === published ? null : encodeDifference(published, made!, null);
  const encodedMs = performance.now();
  if (difference !== null) decoded = decodePublication(difference, decoded).snapshot;
  const decodedMs = performance.now();
  published = made!;
  if (round >= WARM_UP) {
    times.set.push(setMs - startedMs);
    times.pass.push(passedMs - setMs);
    times.encode.push(encodedMs - passedMs);
    times.decode.push(decodedMs - encodedMs);
    characters += difference?.length ?? 0;
  }
  // Probes of what has joined answer.
  await turn();
}
await engine.close();
const results = Object.entries(times).map(([name, list]) => {
  const { median, min, max } = spread(list);
  return { name: `${EVENTS} events, ${name}`, medianMs: median, minMs: min, maxMs: max };
});
if (values.json === true) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  for (const { name, medianMs, minMs, maxMs } of results) {
    const range = `${minMs.toFixed(2)} to ${maxMs.toFixed(2)}`;
    process.stdout.write(`${name.padEnd(24)} ${medianMs.toFixed(2).padStart(8)} ms  (${range})\n`);
  }
  process.stdout.write(`${Math.round(characters / PASSES)} characters a difference\n`);
}
