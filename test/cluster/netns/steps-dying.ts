// Machines that die without a word: the cable is pulled, nothing answers any more, and the API does not know yet.

import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isIdempotent, isLocal } from './client-kinds.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import type { Mark } from './observations.ts';
import { spread } from './promises.ts';
import { openTunnels } from './tunnels.ts';

/** How long the API is wrong about the machine: 50 s in life. */
const UNKNOWN_MS = { short: 15_000, long: 50_000 };
const AVOID_LIMIT_MS = 3000;
const P99_LIMIT_MS = 1000;
/** For so long after the death connections to the machine are looked at. */
const SEEN_MS = 8000;

export const DYING_STEPS: readonly NetStep[] = [
  {
    name: 'entry-node-dies',
    title: 'A node without pods of its own dies without a word: under Cluster it was only a way in',
    async run(world) {
      const machine = world.machine('node-3');
      const mark = world.mark();
      await world.options.kubelet.network.setCable(machine.place, false);
      await delay(8000);
      await diedWell(world, 'entry node dies', 'node-3', mark, (client) => !isLocal(client));
      const back = world.mark();
      await machine.boot();
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
      await diedWell(world, 'node with pods dies, Local', 'node-2', mark, isLocal);
      const cluster = (client: string): boolean => !isLocal(client);
      await diedWell(world, 'node with pods dies, Cluster', 'node-2', mark, cluster);
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
      await machine.boot();
      await machine.setReady('True');
      await Promise.all(lost.map((pod) => pod.setReady()));
      await world.settled();
      await world.promise('the node is back', 'used again, no failed request', async () => {
        await world.used('api', 'node-2', 15_000);
        return world.servedSince(back);
      });
    },
  },
  {
    name: 'tunnels-lost',
    title:
      'A machine with silent open connections dies, and is deleted from the API: their clients must hear of it',
    run: loseTunnels,
  },
];

/** Connections that say nothing, as an ssh session at a prompt or an idle WebSocket: nobody would notice by traffic. */
async function loseTunnels(world: NetWorld): Promise<void> {
  const { network } = world.options.kubelet;
  const machine = world.machine('node-2');
  const tunnels = await openTunnels(world.sshEdge, 24);
  try {
    const counts = await tunnels.homes();
    const mark = world.mark();
    await network.setCable(machine.place, false);
    await world.promise(
      'a machine dies under tcp connections, silent and talking',
      'each is reset within 10 s',
      async () => {
        const lost = counts.get('node-2') ?? [];
        if (lost.length === 0) throw new Error('no connection went to the machine');
        const times = await tunnels.endOf(lost, mark.atMs, 10_000);
        return `${spread(times)} after the death`;
      },
    );
    await world.promise(
      'a machine dies under tcp connections, silent and talking',
      'those to other machines live on',
      () => {
        const others = counts.get('node-1') ?? [];
        const ended = others.filter((tunnel) => tunnel.endedAtMs !== null);
        if (others.length === 0) throw new Error('no connection went elsewhere');
        if (ended.length > 0) throw new Error(`${ended.length} of ${others.length} were ended`);
        return `${others.length} connections`;
      },
    );
  } finally {
    tunnels.close();
  }
  await machine.boot();
  await world.settled();
}

async function diedWell(
  world: NetWorld,
  event: string,
  node: string,
  mark: Mark,
  counts: (client: string) => boolean,
): Promise<void> {
  const asked = (client: string): boolean => isIdempotent(client) && counts(client);
  await world.promise(event, 'idempotent requests: 0 failed', () => world.servedSince(mark, asked));
  await world.promise(event, `idempotent requests: p99 at most ${P99_LIMIT_MS} ms`, () => {
    const sorted = world.ledger.between(mark.atMs, Infinity, asked).toSorted((a, b) => a - b);
    const text = world.durationsSince(mark, asked);
    world.askPeers((ledger) => spread(ledger.between(mark.atMs, Infinity, asked)));
    if ((sorted[Math.ceil((sorted.length - 1) * 0.99)] ?? 0) > P99_LIMIT_MS) throw new Error(text);
    return text;
  });
  await world.promise(event, `from ${AVOID_LIMIT_MS} ms on no connection to it but probes`, () => {
    const fromMs = mark.atMs + AVOID_LIMIT_MS;
    const untilMs = mark.atMs + SEEN_MS;
    const { count, byPort } = world.connectionsTo(node, fromMs, untilMs);
    // A failing probe is repeated twice a second, at each of the three node ports.
    const probes = 3 * ((untilMs - fromMs) / 500 + 1);
    const text = `${count} connections in ${(untilMs - fromMs) / 1000} s`;
    if (count > probes) throw new Error(`${text} (${byPort}), more than ${probes} probes`);
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
