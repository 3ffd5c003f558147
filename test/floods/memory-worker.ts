// A worker alone in its process, which says after a collection of garbage how large it is.
// usage: forked by test/floods/idle-memory.ts with the port of a target; every message asks for the memory

import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataPlane } from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import type { WorkerMemory } from './idle-memory.ts';

const plane = new DataPlane();
const idleMs = 3_600_000;
plane.apply(
  snapshotOf({
    pools: [
      {
        targets: [`127.0.0.1:${process.argv[2]}`],
        timeouts: {
          connectMs: 10_000,
          responseHeaderMs: idleMs,
          streamIdleMs: idleMs,
          tunnelIdleMs: idleMs,
          tunnelLifetimeMs: 0,
          totalMs: 0,
        },
      },
    ],
    listeners: [
      listenerConfig({
        limits: {
          connections: 100_000,
          connectionsPerClient: 100_000,
          requests: 100_000,
          requestsPerClient: 100_000,
        },
        timeouts: { headerMs: idleMs, idleMs },
      }),
    ],
  }),
);

/** Finalizers run between the rounds; what waits to be released while a connection is idle is released by then. */
async function measure(): Promise<WorkerMemory> {
  for (let round = 0; round < 6; round += 1) {
    globalThis.gc!();
    await sleep(500);
  }
  plane.said.length = 0;
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentBytes: rss, heapBytes: heapUsed + external };
}

process.on('message', () => void measure().then((memory) => process.send!(memory)));
process.once('disconnect', () => process.exit(0));
process.send!(plane.port());
