// Shares of pods behind node ports: kube-proxy draws a pod for each connection, and clients keep theirs.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { busiestOverMean } from '../../../bench/fairness/shares.ts';
import { type CpuTime, readProcesses, sumTree } from '../../../bench/measure/proc-stat.ts';
import { until } from '../child.ts';
import { serviceObject } from '../objects.ts';
import type { Portico } from '../portico.ts';
import { once as ask } from './fresh-client.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import { HTTP_PORT, NODE_PORTS } from './ports.ts';
import { startBeside } from './second-portico.ts';
import type { SteadyCounts } from './steady-clients.ts';

const CLIENTS_PROGRAM = fileURLToPath(new URL('steady-clients.ts', import.meta.url));
const PORTS = { web: 8083, ssh: 2224, admin: 9903 };
const PODS_EACH = 2;
const CLIENTS = 64;
const WARM_UP_MS = 2000;
/** Settings take turns, so that neither has the younger process or the quieter machine. */
const TURNS = 2;
/**
 * Connections are drawn like lots: what the busiest of 8 pods gets above the mean is chance, and shrinks with their
 * number. With 100 requests on each, these make 2,000 draws, whose busiest pod is above 1.2 times the mean in one run of
 * three hundred; a slower machine takes longer for as many.
 */
const REQUESTS = 200_000;
const LEAST_MS = 20_000;
const MOST_MS = 80_000;
const LIMIT = 1.2;
/** Pods tell their counts ten times a second. */
const TOLD_MS = 500;

const POOLS = {
  defaults: {},
  unbounded: { connections: { requests: 0, age: '0s' } },
} as const;
type PoolName = keyof typeof POOLS;

export const SHARE_STEPS: readonly NetStep[] = [
  {
    name: 'pod-shares',
    title: '8 pods of one service behind node ports, and clients that keep their connections',
    run: shares,
  },
];

async function shares(world: NetWorld): Promise<void> {
  const service = world.services.shares;
  const nodes = [...world.machines.keys()];
  await world.kubectl.apply([
    serviceObject(service, {
      nodePort: NODE_PORTS.shares,
      port: HTTP_PORT,
      policy: 'Cluster',
      app: service.name,
    }),
  ]);
  for (let turn = 0; turn < PODS_EACH; turn += 1)
    await Promise.all(nodes.map((node) => world.startPod('shares', node)));
  const portico = await startForShares(world);
  try {
    await everyNodeKnowsAll(world);
    const pools: readonly PoolName[] = world.options.long ? ['defaults', 'unbounded'] : ['defaults'];
    const loads = new Map<PoolName, Load[]>(pools.map((pool) => [pool, []]));
    for (let turn = 0; turn < TURNS; turn += 1)
      for (const [pool, turns] of loads) turns.push(await loaded(world, portico, pool));
    const [bounded, unbounded] = pools.map((pool) => sumOf(loads.get(pool)!));
    await world.promise(
      `${world.pods.shares.length} pods behind node ports, ${CLIENTS} clients that keep their connections`,
      `the busiest pod has at most ${LIMIT} times the mean, 0 failed`,
      () => {
        const text =
          wordsOf(bounded!) +
          (unbounded === undefined ? '' : `; with connections unbounded ${wordsOf(unbounded)}`);
        const failures = [...bounded!.failures, ...(unbounded?.failures ?? [])];
        if (failures.length > 0) throw new Error(`${failures.length} failed (${failures[0]}): ${text}`);
        if (busiestOverMean(bounded!.requests) > LIMIT) throw new Error(text);
        return text;
      },
    );
  } finally {
    await portico.drain(10_000);
  }
  const pods = [...world.pods.shares];
  for (const pod of pods) world.forget('shares', pod);
  await Promise.all(pods.map((pod) => pod.end()));
  await world.kubectl.run(['delete', 'service', service.name, '-n', service.namespace]);
  await world.settled();
}

/** A Portico of its own, whose pools are the same pods: one as a pool is by default, one that keeps its connections. */
async function startForShares(world: NetWorld): Promise<Portico> {
  const { namespace, name } = world.services.shares;
  const source = { cluster: 'lab', service: `${namespace}/${name}`, port: HTTP_PORT.name };
  return await startBeside(world, 'portico-shares', PORTS, (configuration) => {
    configuration.listeners = configuration.listeners.slice(0, 1);
    configuration.pools = Object.entries(POOLS).map(([pool, settings]) => ({
      name: pool,
      sources: [source],
      ...settings,
    }));
    configuration.routes = Object.keys(POOLS).map((pool) => ({
      name: pool,
      hosts: [hostOf(pool)],
      rules: [{ pools: [{ name: pool }] }],
    }));
  });
}

const hostOf = (pool: string): string => `${pool}.shares.test`;

/** Every kube-proxy has heard of every pod: asked past Portico, each node port leads to all of them. */
async function everyNodeKnowsAll(world: NetWorld): Promise<void> {
  const wanted = world.pods.shares.length;
  for (const { place } of world.machines.values()) {
    const seen = new Set<string>();
    const edge = { address: place.address, port: NODE_PORTS.shares, host: hostOf('defaults') };
    await until(
      `all pods behind ${place.name}`,
      20_000,
      async () => {
        const pod = await ask(edge, '/').catch(() => null);
        if (pod !== null) seen.add(pod);
        return seen.size === wanted ? true : undefined;
      },
      5,
    );
  }
}

interface Load {
  /** Of each pod. */
  readonly requests: readonly number[];
  /** Begun to the node ports in the time. */
  readonly connections: number;
  readonly ms: number;
  /** Of Portico, all its processes; the kernel's part holds most of the way to the pod, through all namespaces. */
  readonly userMs: number;
  readonly systemMs: number;
  readonly failures: readonly string[];
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

function sumOf(turns: readonly Load[]): Load {
  return turns.reduce((sum, turn) => ({
    requests: sum.requests.map((count, pod) => count + turn.requests[pod]!),
    connections: sum.connections + turn.connections,
    ms: sum.ms + turn.ms,
    userMs: sum.userMs + turn.userMs,
    systemMs: sum.systemMs + turn.systemMs,
    failures: [...sum.failures, ...turn.failures],
  }));
}

function wordsOf({ requests, connections, ms, userMs, systemMs }: Load): string {
  const count = total(requests);
  const us = (cpuMs: number): string => ((cpuMs * 1000) / count).toFixed(1);
  const cpu = `${us(userMs + systemMs)} us of CPU a request, ${us(userMs)} of them Portico's own`;
  return `${busiestOverMean(requests).toFixed(2)} times (${count} requests in ${Math.round(ms / 1000)} s, ${connections} new connections, ${cpu})`;
}

/** One turn of the clients. */
async function loaded(world: NetWorld, portico: Portico, pool: PoolName): Promise<Load> {
  const clients = fork(CLIENTS_PROGRAM, [String(PORTS.web), hostOf(pool), String(CLIENTS)]);
  const pods = [...world.pods.shares];
  try {
    await delay(WARM_UP_MS);
    const before = pods.map((pod) => pod.requests);
    const cpuBefore = cpuOf(portico);
    const startedAtMs = performance.now();
    const counted = (): number[] => pods.map((pod, index) => pod.requests - before[index]!);
    const ranMs = (): number => performance.now() - startedAtMs;
    while (ranMs() < LEAST_MS / TURNS || (total(counted()) < REQUESTS / TURNS && ranMs() < MOST_MS / TURNS))
      await delay(200);
    const requests = counted();
    const ms = ranMs();
    const cpu = cpuOf(portico);
    const userMs = cpu.userMs - cpuBefore.userMs;
    const systemMs = cpu.systemMs - cpuBefore.systemMs;
    const connections = [...world.machines.values()].flatMap(({ place }) =>
      world.options.syns.between(place.address, [NODE_PORTS.shares], startedAtMs, startedAtMs + ms),
    ).length;
    const { failures } = await countsOf(clients);
    return { requests, connections, ms, userMs, systemMs, failures };
  } finally {
    const exit = once(clients, 'exit');
    clients.disconnect();
    await exit;
    await delay(TOLD_MS);
  }
}

function cpuOf(portico: Portico): CpuTime {
  return sumTree(readProcesses(), portico.pid);
}

async function countsOf(clients: ChildProcess): Promise<SteadyCounts> {
  const answer = once(clients, 'message');
  clients.send('counts');
  return (await answer)[0] as SteadyCounts;
}
