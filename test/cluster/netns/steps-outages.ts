// The API server away, ill or silent, kube-proxy behind it, and Portico restarted while it knows nothing new.

import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../child.ts';
import { isSlice } from '../events.ts';
import { follows } from './following.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import { FRONT_PORT } from './ports.ts';
import { activeNodes, countsOf, restarts } from './staying.ts';

const OUTAGE_MS = { short: 20_000, long: 60_000 };
/** How far kube-proxy stays behind the API after an outage: 47 s were measured in life. */
const LAG_MS = { short: 10_000, long: 45_000 };
/** Back-off of a reflector may have grown to 30 s. */
const FOLLOW_LIMIT_MS = 35_000;
/** Nothing was heard for 90 s; the short form does not wait for it. */
const INACTIVE_LIMIT_MS = 100_000;
const LOCAL = ['api', 'ssh'] as const;
const SILENCE = ['inactive', 'timeout', 'connection'];

export const OUTAGE_STEPS: readonly NetStep[] = [
  {
    name: 'kube-proxy-behind',
    title:
      'All pods of Local services move just after an API outage, while every kube-proxy is behind the API',
    async run(world) {
      const lagMs = world.options.long ? LAG_MS.long : LAG_MS.short;
      await setProxiesCut(world, true);
      await delay(500);
      await moveAll(world, `pods change while kube-proxy is ${lagMs / 1000} s behind`, async () => {
        await delay(lagMs);
        await setProxiesCut(world, false);
      });
    },
  },
  {
    name: 'after-an-outage',
    title: 'The same after a real outage of the API server: each kube-proxy comes back when it does',
    longOnly: true,
    async run(world) {
      const { controlPlane } = world.options;
      await controlPlane.killApiServer();
      await delay(24_000);
      await controlPlane.startApiServer();
      await moveAll(world, 'pods change just after an API outage of 24 s', () => delay(60_000));
    },
  },
  {
    name: 'api-down',
    title: 'The API server is away, and Portico is replaced meanwhile',
    async run(world) {
      const outageMs = world.options.long ? OUTAGE_MS.long : OUTAGE_MS.short;
      const { controlPlane } = world.options;
      const mark = world.mark();
      await controlPlane.killApiServer();
      await delay(outageMs / 2);
      const targets = await activeNodes(world);
      world.portico.signal('SIGUSR2');
      await delay(outageMs / 4);
      await world.promise(
        'API server down, Portico replaced by SIGUSR2',
        'its targets come from disk',
        async () => {
          const text = await until('the same targets', 8000, async () => {
            const now = await activeNodes(world).catch(() => '');
            return now === targets ? now : undefined;
          });
          return `active as before: ${text}`;
        },
      );
      await world.promise(`API server down ${outageMs / 1000} s`, 'staleness is shown', () =>
        staleness(world),
      );
      await delay(outageMs / 4);
      await world.promise(`API server down ${outageMs / 1000} s, Portico replaced`, '0 failed', () =>
        world.servedSince(mark),
      );
      await world.promise(
        'Portico stopped and started while the API is down',
        'serves from disk, 0 failed',
        async () => {
          return await coldStart(world);
        },
      );
      const back = world.mark();
      await controlPlane.startApiServer();
      await world.promise(
        'API server back',
        `followed within ${FOLLOW_LIMIT_MS / 1000} s, 0 failed`,
        async () => {
          const text = await follows(world, FOLLOW_LIMIT_MS);
          return `${text}, ${world.servedSince(back)}`;
        },
      );
    },
  },
  {
    name: 'api-black-hole',
    title: 'The watches fall silent: every packet to and from the API server is dropped',
    longOnly: true,
    async run(world) {
      const mark = world.mark();
      const counted = await countsOf(world, SILENCE);
      await blackHole(world, true);
      const targets = await activeNodes(world);
      // A change that nobody can hear of, then longer than the inactivity ceiling.
      await delay(95_000);
      await blackHole(world, false);
      await world.promise(
        'black-holed watch',
        'recovers by itself, counted, nothing lost, 0 failed',
        async () => {
          const text = await follows(world, INACTIVE_LIMIT_MS);
          const now = await activeNodes(world);
          if (now !== targets) throw new Error(`${now}, not ${targets}`);
          const count = await restarts(world, SILENCE, counted);
          return `${text}; ${count}; ${world.servedSince(mark)}`;
        },
      );
    },
  },
];

/**
 * Every pod of the Local services moves to another node. The old ones terminate as soon as the new ones are ready, and
 * serve until the kube-proxies have caught up: for that time no pod can be reached but those that end.
 */
async function moveAll(world: NetWorld, event: string, caughtUp: () => Promise<void>): Promise<void> {
  const mark = world.mark();
  const moves = [
    ['node-1', 'node-3'],
    ['node-2', 'node-4'],
  ] as const;
  const old = LOCAL.flatMap((key) => moves.map(([from]) => ({ key, pod: world.podOn(key, from) })));
  await Promise.all(LOCAL.flatMap((key) => moves.map(([, to]) => world.startPod(key, to))));
  await delay(1000);
  await Promise.all(old.map(({ key, pod }) => world.terminate(key, pod)));
  const startedAt = performance.now();
  const used = Promise.all(LOCAL.flatMap((key) => moves.map(([, to]) => world.used(key, to, 90_000)))).then(
    () => performance.now() - startedAt,
  );
  await caughtUp();
  const usedMs = await used;
  await delay(7000);
  await Promise.all(
    old.map(async ({ key, pod }) => {
      world.forget(key, pod);
      await pod.end();
    }),
  );
  await delay(1000);
  await world.promise(event, '0 failed', () => {
    return `${world.servedSince(mark)}; all new nodes used ${(usedMs / 1000).toFixed(1)} s after the old pods began to end`;
  });
  await moveHome(world, moves);
}

/** Cuts every kube-proxy off from the API server, or lets it catch up. */
async function setProxiesCut(world: NetWorld, cut: boolean): Promise<void> {
  const port = new URL(world.options.controlPlane.server).port;
  for (const machine of world.machines.values()) {
    const rules = cut
      ? `table ip portico_cut {
 chain out {
  type filter hook output priority 0; tcp dport ${port} drop
 }
 chain in {
  type filter hook input priority 0; tcp sport ${port} drop
 }
}
`
      : 'delete table ip portico_cut\n';
    await world.options.kubelet.network.nft(machine.place.namespace, rules);
  }
}

async function blackHole(world: NetWorld, on: boolean): Promise<void> {
  const rules = on
    ? `table ip portico_hole {\n chain out {\n type filter hook output priority 0;\n tcp dport ${FRONT_PORT} drop\n tcp sport ${FRONT_PORT} drop\n}\n}\n`
    : 'delete table ip portico_hole\n';
  await world.options.kubelet.network.nft(null, rules);
}

async function moveHome(world: NetWorld, moves: readonly (readonly [string, string])[]): Promise<void> {
  for (const [home, away] of moves) {
    const old = LOCAL.map((key) => ({ key, pod: world.podOn(key, away) }));
    await Promise.all(LOCAL.map((key) => world.startPod(key, home)));
    await Promise.all(LOCAL.map((key) => world.used(key, home, 8000)));
    await Promise.all(old.map(({ key, pod }) => world.terminate(key, pod)));
    await delay(6000);
    await Promise.all(
      old.map(async ({ key, pod }) => {
        const gone = world.events.next(`${pod.name} gone`, isSlice(world.services[key], away, null));
        world.forget(key, pod);
        await Promise.all([gone, pod.end()]);
      }),
    );
  }
}

async function staleness(world: NetWorld): Promise<string> {
  const { body } = await world.portico.admin('/metrics');
  const last = /^portico_k8s_last_sync_timestamp_seconds\{[^\n]*\} (\S+)$/m.exec(body)?.[1];
  const up = /^portico_k8s_watch_up\{[^\n]*\} (\S+)$/m.exec(body)?.[1];
  if (last === undefined) throw new Error('no metric tells when the cluster was last in sync');
  const ageS = Date.now() / 1000 - Number(last);
  if (ageS < 5 || ageS > 3600) throw new Error(`the last sync is said to be ${ageS.toFixed(1)} s ago`);
  if (up !== '0') throw new Error(`watch up is ${up}`);
  return `the last sync was ${ageS.toFixed(0)} s ago, watch up ${up}`;
}

/** A whole stop and start: clients that come between are refused, those after the first answer are not. */
async function coldStart(world: NetWorld): Promise<string> {
  const code = await world.portico.drain(35_000);
  const startedAt = performance.now();
  await world.portico.start(30_000);
  const readyMs = performance.now() - startedAt;
  const from = world.mark();
  await delay(4000);
  return `exit code ${code}, ready ${Math.round(readyMs)} ms after its start, then ${world.servedSince(from, (c) => !/ssh|clone|websocket|stream/.test(c))}`;
}
