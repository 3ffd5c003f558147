// Machines that die without a word: the cable is pulled, nothing answers any more, and the API does not know yet.

import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isIdempotent, isLocal } from './client-kinds.ts';
import type { NetStep } from './net-steps.ts';
import type { Mark, NetWorld } from './net-world.ts';

/** How long the API is wrong about the machine: 50 s in life. */
const UNKNOWN_MS = { short: 15_000, long: 50_000 };
const AVOID_LIMIT_MS = 3000;
const P99_LIMIT_MS = 1000;
const SLOW_MS = 400;

export const DYING_STEPS: readonly NetStep[] = [
  {
    name: 'entry-node-dies',
    title: 'A node without pods of its own dies without a word: under Cluster it was only a way in',
    async run(world) {
      const machine = world.machine('node-3');
      const mark = world.mark();
      await world.options.kubelet.network.setCable(machine.place, false);
      await delay(8000);
      await diedWell(world, 'entry node dies', mark, (client) => !isLocal(client));
      const back = world.mark();
      await world.options.kubelet.network.setCable(machine.place, true);
      await world.settled();
      await world.promise('entry node is back', 'used again, no failed request', async () => {
        await world.used('unicorn', 'node-3', 15_000);
        return world.servedSince(back);
      });
    },
  },
  {
    name: 'pod-node-dies',
    title:
      'A node with pods dies without a word: Local loses a node, Cluster half of all new connections through any node',
    async run(world) {
      const machine = world.machine('node-2');
      const { network } = world.options.kubelet;
      const unknownMs = world.options.long ? UNKNOWN_MS.long : UNKNOWN_MS.short;
      const ejectedBefore = await ejections(world);
      const mark = world.mark();
      await network.setCable(machine.place, false);
      await delay(unknownMs);
      await diedWell(world, 'node with pods dies, Local', mark, isLocal);
      const cluster = (client: string): boolean => !isLocal(client);
      await diedWell(world, 'node with pods dies, Cluster', mark, cluster);
      await world.promise(
        'node with pods dies, Cluster',
        'no good node is ejected or called unhealthy',
        async () => {
          const rows = (await world.portico.targets()).filter((row) => row.pool === 'unicorn');
          const bad = rows.filter((row) => row.node !== 'node-2' && row.health === 'unhealthy');
          if (bad.length > 0) throw new Error(`unhealthy: ${bad.map((row) => row.node).join(', ')}`);
          const ejected = await ejectedGoodNodes(world, ejectedBefore);
          if (ejected.length > 0) throw new Error(`ejected: ${ejected.join(', ')}`);
          return 'none';
        },
      );

      // The API has found out: the node controller writes Unknown and takes the pods' readiness away.
      const found = world.mark();
      const lost = (['unicorn', 'api', 'ssh'] as const).flatMap((key) =>
        world.pods[key].filter((pod) => pod.machine === machine),
      );
      await machine.setReady('Unknown');
      await Promise.all(lost.map((pod) => pod.setNotReady()));
      await delay(4000);
      await world.promise('the API calls the dead node not ready', 'idempotent: 0 failed', () =>
        world.servedSince(found, isIdempotent),
      );
      const back = world.mark();
      await network.setCable(machine.place, true);
      await machine.setReady('True');
      await Promise.all(lost.map((pod) => pod.setReady()));
      await world.settled();
      await world.promise('the node is back', 'used again, no failed request', async () => {
        await world.used('api', 'node-2', 15_000);
        return world.servedSince(back);
      });
    },
  },
];

async function diedWell(
  world: NetWorld,
  event: string,
  mark: Mark,
  counts: (client: string) => boolean,
): Promise<void> {
  const asked = (client: string): boolean => isIdempotent(client) && counts(client);
  await world.promise(event, 'idempotent requests: 0 failed', () => world.servedSince(mark, asked));
  await world.promise(event, `idempotent requests: p99 at most ${P99_LIMIT_MS} ms`, () => {
    const sorted = world.ledger.between(mark.atMs, Infinity, asked).toSorted((a, b) => a - b);
    const text = world.durationsSince(mark, asked);
    if ((sorted[Math.ceil((sorted.length - 1) * 0.99)] ?? 0) > P99_LIMIT_MS) throw new Error(text);
    return text;
  });
  await world.promise(event, `new requests avoid it within ${AVOID_LIMIT_MS} ms`, () => {
    const slow = world.ledger.lastSlowSince(mark.atMs, SLOW_MS, asked);
    const failed = world.ledger.failures.filter((f) => f.atMs > mark.atMs && asked(f.client));
    // A failure is seen at its end: late ones began 2 s earlier.
    const last = Math.max(
      slow ?? mark.atMs,
      ...failed.map((f) => f.atMs - (f.reason.startsWith('late') ? 2000 : 0)),
    );
    const sinceMs = Math.round(last - mark.atMs);
    const text =
      sinceMs === 0 ? `no request slower than ${SLOW_MS} ms` : `last slow request began after ${sinceMs} ms`;
    if (sinceMs > AVOID_LIMIT_MS) throw new Error(text);
    return text;
  });
}

/** Ejections so far that name a node: from Portico's log, which tells each. */
async function ejections(world: NetWorld): Promise<readonly string[]> {
  return (await readFile(world.portico.logFile, 'utf8'))
    .split('\n')
    .filter((line) => line.includes('"target-ejected"'));
}

async function ejectedGoodNodes(world: NetWorld, before: readonly string[]): Promise<readonly string[]> {
  const lines = (await ejections(world)).slice(before.length);
  return lines.map((line) => (JSON.parse(line) as { node: string }).node).filter((node) => node !== 'node-2');
}
