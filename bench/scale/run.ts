// Portico at scale: 4 workers as real processes before stand-in API servers of several sizes; what an event costs and
// how long it takes, memory, cold start, and what clients notice.

import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readOptions } from '../../test/support/command-line.ts';
import { freePort } from '../../test/support/free-port.ts';
import { type Child, startNode } from '../measure/child.ts';
import { writeJson } from '../measure/write-result.ts';
import type { ApiAnswer, ApiCommand, SentEvent } from './api.ts';
import {
  answeringPorts,
  configuration,
  idleConfiguration,
  kubeconfig,
  type Place,
  trafficPools,
} from './configuration.ts';
import { type EventLatency, eventLatencies, percentile } from './latency.ts';
import type { LoadReport } from './load.ts';
import { CLUSTERS, type Size } from './objects.ts';
import { PorticoRun, type ProcessUse } from './portico-run.ts';
import { COLD_SECONDS, chartFiles, markdown, type Result, summary } from './report.ts';

const USAGE = `Usage: npm run bench:scale -- [OPTIONS]

  --sizes A,B      nodes of the three clusters together (500,1000,2000,5000)
  --events N       events a second under churn (200)
  --seconds N      seconds at rest, and as many under churn, for each size (20)
  --json FILE      write the result into this file
  --markdown FILE  write this page anew, and its charts into images/ beside it
  -h, --help       print this

Linux. About four minutes.
`;

const { values } = readOptions('bench:scale', USAGE, {
  options: {
    sizes: { type: 'string', default: '500,1000,2000,5000' },
    events: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '20' },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
});
const EVENTS_PER_SECOND = Number(values.events);
const SECONDS = Number(values.seconds);
const REQUESTS_PER_SECOND = 300;
const WORKERS = 4;
const KUBE_PROXY_INTERVAL = '10s';
const ALL_CORES = `0-${availableParallelism() - 1}`;
const SETTLE_MS = 3000;

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

async function reply<T>(child: Child, command?: unknown): Promise<T> {
  const answer = once(child.process, 'message');
  if (command !== undefined) child.process.send(command as object);
  const ended = once(child.process, 'exit').then(() => {
    throw new Error(`a process of the benchmark ended: ${child.errors()}`);
  });
  return (await Promise.race([answer, ended]))[0] as T;
}

async function main(): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-scale-'));
  const results: Result[] = [];
  try {
    const kubeProxyPort = await freePort();
    const sizes = values.sizes.split(',').map(Number).map(sizeOf);
    const largest = sizes.reduce((one, other) => (other.nodes > one.nodes ? other : one));
    const ports = [kubeProxyPort, ...answeringPorts(largest)].map(String);
    const backend = startNode(ALL_CORES, [here('backend.ts'), ...ports], true);
    await reply(backend);
    const idle = await measureIdle(directory, kubeProxyPort);
    for (const size of sizes) {
      const result = await measure(size, idle, directory, kubeProxyPort);
      results.push(result);
      process.stdout.write(`${summary(result)}\n`);
    }
    await backend.stop();
  } finally {
    await rm(directory, { recursive: true });
  }
  const machine = `${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores`;
  const run = {
    machine,
    node: process.version,
    workers: WORKERS,
    events: EVENTS_PER_SECOND,
    seconds: SECONDS,
    requests: REQUESTS_PER_SECOND,
    kubeProxyInterval: KUBE_PROXY_INTERVAL,
    results,
  };
  if (values.json !== undefined) await writeJson(values.json, run);
  if (values.markdown !== undefined) {
    const page = path.resolve(values.markdown);
    await writeFile(page, markdown(run));
    const images = path.join(path.dirname(page), 'images');
    await mkdir(images, { recursive: true });
    for (const [name, svg] of chartFiles(results)) await writeFile(path.join(images, name), svg);
  }
}

const sizeOf = (nodes: number): Size => ({ nodes, services: Math.round(nodes / 10), endpoints: nodes * 10 });

async function placeOf(directory: string, name: string, kubeProxyPort: number): Promise<Place> {
  const own = path.join(directory, name);
  await mkdir(own);
  return {
    directory: own,
    port: await freePort(),
    admin: `unix:${own}/admin.sock`,
    workers: WORKERS,
    kubeProxyPort,
    kubeProxyInterval: KUBE_PROXY_INTERVAL,
  };
}

/** Resident memory of a worker that has nothing to know, MiB. */
async function measureIdle(directory: string, kubeProxyPort: number): Promise<number> {
  const place = await placeOf(directory, 'idle', kubeProxyPort);
  const file = path.join(place.directory, 'portico.yaml');
  await writeFile(file, idleConfiguration(place));
  const portico = PorticoRun.start(ALL_CORES, file, place.admin, path.join(place.directory, 'log'));
  await portico.ready();
  await delay(SETTLE_MS);
  const idle = mean(workers(portico.processes()).map(({ rssMiB }) => rssMiB));
  await portico.stop();
  return idle;
}

const workers = (uses: readonly ProcessUse[]): readonly ProcessUse[] =>
  uses.filter(({ role }) => role === 'worker');
const mean = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;

async function measure(
  size: Size,
  idleMiB: number,
  directory: string,
  kubeProxyPort: number,
): Promise<Result> {
  const place = await placeOf(directory, `nodes-${size.nodes}`, kubeProxyPort);
  const api = startNode(ALL_CORES, [here('api.ts'), JSON.stringify(size)], true);
  const ports = await reply<Extract<ApiAnswer, { kind: 'ports' }>>(api);
  for (const [index, name] of CLUSTERS.entries())
    await writeFile(path.join(place.directory, `${name}.kubeconfig`), kubeconfig(ports.ports[index]!));
  const file = path.join(place.directory, 'portico.yaml');
  await writeFile(file, configuration(size, place));
  const portico = PorticoRun.start(ALL_CORES, file, place.admin, path.join(place.directory, 'log'));
  const readyAtMs = await portico.ready();
  const listedAtMs = Math.max(
    ...(await portico.log())
      .filter(({ message }) => message === 'inventory is live')
      .map(({ time }) => Date.parse(time)),
  );
  const hosts = trafficPools(size).map(({ host }) => host);
  const load = startNode(
    ALL_CORES,
    [here('load.ts'), String(place.port), String(REQUESTS_PER_SECOND), ...hosts],
    true,
  );
  await delay(SETTLE_MS * 2);
  const report = (): Promise<Extract<ApiAnswer, { kind: 'report' }>> =>
    reply(api, { kind: 'report' } satisfies ApiCommand);
  await report();
  await reply(load, { kind: 'report' });
  const before = portico.processes();
  await delay(SECONDS * 1000);
  const rest = portico.processes();
  const atRest = await reply<LoadReport>(load, { kind: 'report' });
  const restApi = await report();

  api.process.send({ kind: 'churn', perSecond: EVENTS_PER_SECOND } satisfies ApiCommand);
  await delay(SECONDS * 1000);
  api.process.send({ kind: 'rest' } satisfies ApiCommand);
  const inChurn = await reply<LoadReport>(load, { kind: 'report' });
  const churn = portico.processes();
  const { events } = await report();
  await delay(SETTLE_MS);
  const log = await portico.log();
  const settled = portico.processes();
  await load.stop();
  await portico.stop();
  await api.stop();

  return {
    size,
    coldStartMs: readyAtMs - listedAtMs,
    ...eventFigures(events, log),
    workerIdleMiB: idleMiB,
    workerMiB: Math.max(...workers(settled).map(({ rssMiB }) => rssMiB)),
    controllerMiB: Math.max(
      ...settled.filter(({ role }) => role === 'controller').map(({ rssMiB }) => rssMiB),
    ),
    cpu: cpuFigures(before, rest, churn, events.length),
    atRest,
    inChurn,
    restRequests: restApi.requests,
    restBookmarks: restApi.bookmarks,
    restSeconds: SECONDS,
  };
}

const timesOf = (list: readonly EventLatency[]): readonly number[] => list.map(({ tookMs }) => tookMs);

function eventFigures(
  events: readonly SentEvent[],
  log: Awaited<ReturnType<PorticoRun['log']>>,
): Pick<
  Result,
  | 'events'
  | 'timed'
  | 'snapshots'
  | 'eventP50Ms'
  | 'eventP99Ms'
  | 'eventEarlyP99Ms'
  | 'eventLateP99Ms'
  | 'applyP50Ms'
  | 'applyP99Ms'
  | 'applyMaxMs'
> {
  const latencies = eventLatencies(events, log);
  const firstAtMs = events[0]?.atMs ?? 0;
  const lateFromMs = firstAtMs + COLD_SECONDS * 1000;
  const early = latencies.filter(({ atMs }) => atMs < lateFromMs);
  const late = latencies.filter(({ atMs }) => atMs >= lateFromMs);
  const taken = log
    .filter(({ code, time }) => code === 'snapshot-taken' && Date.parse(time) >= firstAtMs)
    .map(({ tookMs }) => tookMs ?? 0);
  return {
    events: events.length,
    timed: latencies.length,
    snapshots: log.filter(({ code, time }) => code === 'snapshot-applied' && Date.parse(time) >= firstAtMs)
      .length,
    eventP50Ms: percentile(timesOf(latencies), 50),
    eventP99Ms: percentile(timesOf(latencies), 99),
    eventEarlyP99Ms: percentile(timesOf(early), 99),
    eventLateP99Ms: percentile(timesOf(late), 99),
    applyP50Ms: percentile(taken, 50),
    applyP99Ms: percentile(taken, 99),
    applyMaxMs: Math.max(...taken),
  };
}

/** CPU time that an event costs each role: what churn adds to rest. */
function cpuFigures(
  before: readonly ProcessUse[],
  rest: readonly ProcessUse[],
  churn: readonly ProcessUse[],
  events: number,
): Result['cpu'] {
  const used = (role: ProcessUse['role'], from: readonly ProcessUse[], to: readonly ProcessUse[]): number =>
    to
      .filter((use) => use.role === role)
      .reduce((sum, { pid, cpuMs }) => sum + cpuMs - (from.find((use) => use.pid === pid)?.cpuMs ?? 0), 0);
  const figures = (role: ProcessUse['role']) => {
    const atRestMs = used(role, before, rest);
    const inChurnMs = used(role, rest, churn);
    return {
      restShare: atRestMs / (SECONDS * 1000),
      churnShare: inChurnMs / (SECONDS * 1000),
      perEventMs: (inChurnMs - atRestMs) / events,
    };
  };
  return { controller: figures('controller'), workers: figures('worker'), supervisor: figures('supervisor') };
}

await main();
