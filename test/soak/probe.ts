// Loaded into every process of a soak run with `--import`: writes what the process holds, one JSON line a period.

import { appendFileSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import v8 from 'node:v8';
import vm from 'node:vm';

export interface ProbeLine {
  readonly pid: number;
  /** `reference`: a process that does nothing, whose event-loop delay is the machine's doing. */
  readonly role: 'supervisor' | 'controller' | 'worker' | 'reference';
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly rssBytes: number;
  /** What lives but for compiled code: used right after a full collection. */
  readonly heapBytes: number;
  /** Outside of the heap, buffers included. */
  readonly externalBytes: number;
  /** Sockets, timers and the like that keep the event loop busy. */
  readonly handles: number;
  readonly descriptors: number;
  readonly sockets: number;
  /** 99th percentile and largest delay of the event loop since the line before, without the probe's own collection. */
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
}

const PAGE_BYTES = 4096;
const directory = process.env['PORTICO_SOAK_DIRECTORY'];
const periodMs = Number(process.env['PORTICO_SOAK_PERIOD_MS']);

if (directory !== undefined && periodMs > 0) start(`${directory}/${process.pid}.jsonl`);

function start(file: string): void {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const timer = setInterval(() => {
    const delayP99Ms = delay.percentile(99) / 1e6;
    const delayMaxMs = delay.max / 1e6;
    delay.disable();
    collect();
    appendFileSync(file, `${JSON.stringify({ ...look(), delayP99Ms, delayMaxMs } satisfies ProbeLine)}\n`);
    delay.reset();
    delay.enable();
  }, periodMs);
  timer.unref();
}

function look(): Omit<ProbeLine, 'delayP99Ms' | 'delayMaxMs'> {
  const { external } = process.memoryUsage();
  const resident = Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]) * PAGE_BYTES;
  const open = readdirSync('/proc/self/fd').map(kindOfDescriptor);
  return {
    pid: process.pid,
    role: roleOf(process.argv),
    atMs: Date.now(),
    rssBytes: resident,
    heapBytes: heapWithoutCode(),
    externalBytes: external,
    handles: process.getActiveResourcesInfo().length,
    descriptors: open.length,
    sockets: open.filter((kind) => kind.startsWith('socket:')).length,
  };
}

/**
 * V8 compiles for as long as traffic brings new cases, an hour and more on a busy machine, and throws code away when it
 * is not used: a worker's grew by 0.4 MiB in three minutes and shrank by as much in the next, while objects, strings and
 * closures stayed as they were.
 */
function heapWithoutCode(): number {
  let bytes = 0;
  for (const { space_name: name, space_used_size: used } of v8.getHeapSpaceStatistics()) {
    if (!/code|trusted/.test(name)) bytes += used;
  }
  return bytes;
}

/** The descriptor of the listing itself is gone by then. */
function kindOfDescriptor(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return '';
  }
}

function roleOf(argv: readonly string[]): ProbeLine['role'] {
  if (argv.includes('--role=worker')) return 'worker';
  if (argv[1] === undefined) return 'reference';
  return argv.includes('--role=controller') ? 'controller' : 'supervisor';
}
