// The worker's process: hands the worker its clock, memory and channel to the supervisor, and ends when that does.

import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { FAILURES } from '../model/failures.ts';
import type { SupervisorToWorker, WorkerToSupervisor } from '../model/messages.ts';
import type { ProcessLog } from '../telemetry/process-log.ts';
import { openFilesLimit } from './descriptors.ts';
import { loadPoller } from './wire/epoll/load-poller.ts';
import { loadTls } from './wire/epoll/tls.ts';
import { loadTcpBinding } from './wire/tcp-binding.ts';
import { Worker } from './worker.ts';

/** Without a supervisor nothing new is served; what is in flight gets this long. */
const ORPHAN_DRAIN_MS = 5000;

/** Runs a worker in this process; the supervisor is at the other end of the IPC channel. */
export function runWorker(log: Logger, lines: ProcessLog): void {
  const send = (message: WorkerToSupervisor): void => {
    // The supervisor may be gone already; then the disconnect handler below ends this process.
    // A supervisor that is going may close the channel in the middle: 'disconnect' tells of it.
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  };
  const poller = loadPoller();
  const ownTls = loadTls();
  const tcp = loadTcpBinding(process, poller, ownTls);
  const worker = new Worker({
    log,
    now: () => performance.now(),
    wallClock: () => Date.now(),
    random: Math.random,
    tcp,
    residentBytes: () => process.memoryUsage.rss(),
    // The supervisor starts workers with --expose-gc.
    collectGarbage: () => globalThis.gc?.({ type: 'major', execution: 'sync' }),
    send,
    exit: (code) => void lines.close().then(() => process.exit(code)),
    descriptorLimit: descriptorLimit(),
    resolveName: (name) => lookup(name, { all: true, order: 'ipv4first' }),
    linesLost: lines.lost,
  });
  process.on('message', (message, handle) => worker.onMessage(message as SupervisorToWorker, handle));
  // The supervisor decides when to stop; a signal sent to the whole group must not end a drain early.
  // Node would answer SIGUSR1 by opening a debugger.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => {});
  process.on('disconnect', () => worker.drain(0, ORPHAN_DRAIN_MS));
  process.on('uncaughtException', (error) => {
    log.fatal({ code: 'internal', error, text: FAILURES.internal.text }, 'worker failed');
    void lines.close().then(() => process.exit(1));
  });
  // What loading the program leaves behind: V8 keeps the pages through any lesser collection. Never later, since it also
  // forgets what it has learnt of running code (docs/decisions/0021-memory-goes-back.md).
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const sockets = tcp === null ? 'net' : poller === null ? 'libuv' : 'own';
  const tls = tcp === null || tcp.createTlsContexts === null ? 'node' : 'own';
  log.info({ code: 'sockets', sockets, tls }, 'worker has sockets');
  worker.start();
}

/** Only Linux says it; elsewhere the process finds out by its errors. */
function descriptorLimit(): number {
  try {
    return openFilesLimit(readFileSync('/proc/self/limits', 'latin1'));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
