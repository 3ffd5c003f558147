// One measurement of the growth benchmark: a fresh Portico, its CPU for each request when it is busy, and latencies at half of that.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import { type GoLoadResult, runLoad, startBackend } from '../drivers/go-load.ts';
import { makeCertificate } from '../measure/certificate.ts';
import { loadCores } from '../measure/cores.ts';
import { awaitCase } from '../measure/verify.ts';
import { PorticoRun, type ProcessUse } from '../scale/portico-run.ts';
import { adminOf, configurationOf, type Place, type Setup } from './setup.ts';

export interface Sample {
  /** Microseconds of the workers' CPU for one request. */
  readonly cpuUs: number;
  /** CPU of controller and supervisor in the same time, as a share of a core. */
  readonly besideShare: number;
  readonly perSecond: number;
  /** Milliseconds from when a request was due, at half of that rate. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Resident memory of all workers afterwards. */
  readonly workersMiB: number;
}

const EVERY_ADDRESS = '0.0.0.0';
const SCRAPE_MS = 1000;
const WARM_UP_SECONDS = 2;
/** A connection to every target is made by requests that find it by chance. */
const WARM_UP_REQUESTS_PER_TARGET = 8;
const WARM_UP_REQUESTS_PER_CONNECTION = 4;
const PATIENCE_MS = 180_000;
const LOOK_MS = 250;

/** @param program the built load @param seconds of each of the two loads */
export async function measure(setup: Setup, program: string, seconds: number): Promise<Sample> {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-growth-'));
  const place: Place = {
    directory,
    http: await freePort(),
    https: await freePort(),
    backend: await freePort(),
  };
  makeCertificate(directory);
  const file = path.join(directory, 'portico.yaml');
  await writeFile(file, configurationOf(setup, place));
  const backend = await startBackend(program, loadCores(), [place.backend], setup.bodyBytes, EVERY_ADDRESS);
  const portico = PorticoRun.start(
    workerCores(setup.workers),
    file,
    adminOf(directory),
    path.join(directory, 'log'),
    'error',
  );
  const scrapes = setup.scraped ? setInterval(() => void portico.metrics().catch(() => {}), SCRAPE_MS) : null;
  try {
    await portico.ready();
    const load = (long: number, rate = 0): Promise<GoLoadResult> =>
      runLoad(program, loadCores(), loadParameters(setup, place, long, rate));
    await awaitCase(() => load(0.2), portico.child);
    await settled(portico);
    await warmUp(setup, load);
    const before = portico.processes();
    const busy = right(await load(seconds));
    const after = portico.processes();
    const perSecond = busy.requests / busy.seconds;
    const { latency } = right(await load(seconds, perSecond / 2));
    const workers = portico.processes().filter(({ role }) => role === 'worker');
    return {
      cpuUs: (usedMs(before, after, true) * 1000) / busy.requests,
      besideShare: usedMs(before, after, false) / 1000 / busy.seconds,
      perSecond,
      p50Ms: latency!.p50,
      p99Ms: latency!.p99,
      workersMiB: workers.reduce((sum, { rssMiB }) => sum + rssMiB, 0),
    };
  } finally {
    if (scrapes !== null) clearInterval(scrapes);
    await portico.stop();
    await backend.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The first checks of thousands of targets are spread over an interval, and each changes what the workers know. */
async function settled(portico: PorticoRun): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (!/^portico_target_health\{[^}]*health="unknown"[^}]*\} 0$/m.test(await portico.metrics())) {
    if (performance.now() > untilMs) throw new Error('not every target was checked in time');
    await delay(LOOK_MS);
  }
}

async function warmUp(
  { targets, connections }: Setup,
  load: (seconds: number) => Promise<GoLoadResult>,
): Promise<void> {
  const enough = targets * WARM_UP_REQUESTS_PER_TARGET + connections * WARM_UP_REQUESTS_PER_CONNECTION;
  const untilMs = performance.now() + PATIENCE_MS;
  let requests = 0;
  do {
    if (performance.now() > untilMs)
      throw new Error(`${requests} requests of warm-up in three minutes are too few`);
    requests += right(await load(WARM_UP_SECONDS)).requests;
  } while (requests < enough);
}

/** Each worker has a core where there are so many; the load takes part in what it measures on a machine with too few. */
const workerCores = (workers: number): string =>
  workers === 1 ? '0' : `0-${Math.min(workers, availableParallelism()) - 1}`;

function loadParameters(setup: Setup, place: Place, seconds: number, rate: number): readonly string[] {
  const { connections, bodyBytes, headers, hosts, tlsShare } = setup;
  const options = {
    address: `127.0.0.1:${place.http}`,
    'tls-address': `127.0.0.1:${place.https}`,
    'tls-share': tlsShare,
    connections,
    seconds,
    body: bodyBytes,
    headers,
    hosts,
    rate: rate.toFixed(1),
  };
  return ['http', ...Object.entries(options).flatMap(([name, value]) => [`-${name}`, String(value)])];
}

function right(result: GoLoadResult): GoLoadResult {
  if (result.problems.length > 0) throw new Error(result.problems.join(', '));
  return result;
}

/** Milliseconds between two looks: of the workers, or of everything else. */
function usedMs(before: readonly ProcessUse[], after: readonly ProcessUse[], ofWorkers: boolean): number {
  return after
    .filter(({ role }) => (role === 'worker') === ofWorkers)
    .reduce((sum, { pid, cpuMs }) => sum + cpuMs - (before.find((use) => use.pid === pid)?.cpuMs ?? 0), 0);
}
