// Rolling updates: pods move from node to node, each with the whole of its grace period.

import { setTimeout as delay } from 'node:timers/promises';
import { isSlice } from '../events.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import { poolOf } from './observations.ts';
import { LEFT_PROMISE } from './steps-leaving.ts';

/** Enough for kube-proxy, which syncs at most once a second, and for what the pod has in flight. */
const GRACE_MS = 3000;
const DRAINING = { state: 'draining', reasons: ['local-endpoints-terminating'] } as const;

export const ROLLOUT_STEPS: readonly NetStep[] = [
  {
    name: 'rolling-local',
    title: 'Rolling update, externalTrafficPolicy Local: pods move from node to node',
    async run(world) {
      const mark = world.mark();
      const left: string[] = [];
      for (const [from, to] of [
        ['node-1', 'node-3'],
        ['node-2', 'node-4'],
        ['node-3', 'node-1'],
        ['node-4', 'node-2'],
      ] as const) {
        left.push(...(await moveLocal(world, ['api', 'ssh'], from, to)));
      }
      await world.promise('rolling update, Local', 'no failed request', () => world.servedSince(mark));
      world.report.say(`        ${left.join('; ')}`);
    },
  },
  {
    name: 'rolling-cluster',
    title: 'Rolling update, externalTrafficPolicy Cluster',
    async run(world) {
      const mark = world.mark();
      await moveCluster(world, 'node-1', 'node-3');
      await moveCluster(world, 'node-2', 'node-4');
      await moveCluster(world, 'node-3', 'node-1');
      await moveCluster(world, 'node-4', 'node-2');
      await world.promise('rolling update, Cluster', 'no failed request', () => world.servedSince(mark));
    },
  },
];

async function moveLocal(
  world: NetWorld,
  keys: readonly ('api' | 'ssh')[],
  from: string,
  to: string,
): Promise<string[]> {
  const old = keys.map((key) => ({ key, pod: world.podOn(key, from) }));
  await Promise.all(keys.map((key) => world.startPod(key, to)));
  for (const key of keys) {
    await world.promise(`Local, ${key} to ${to}`, 'the new node is used', async () => {
      const startedAt = performance.now();
      await world.used(key, to, 6000);
      return `used ${Math.round(performance.now() - startedAt)} ms after its slice`;
    });
  }
  const events = await Promise.all(
    old.map(async ({ key, pod }) => ({ key, atMs: await world.terminate(key, pod) })),
  );
  const shown = await Promise.all(
    events.map(({ key, atMs }) => world.shown(poolOf(key), { [from]: DRAINING }, atMs)),
  );
  for (const { key, atMs } of events) {
    await world.promise(`Local, ${key} terminating on ${from}`, LEFT_PROMISE, () =>
      world.left(key, from, atMs, GRACE_MS),
    );
  }
  await Promise.all(
    old.map(async ({ key, pod }) => {
      const gone = world.events.next(`${pod.name} gone`, isSlice(world.services[key], from, null));
      world.forget(key, pod);
      await Promise.all([gone, pod.end()]);
    }),
  );
  return shown.map((ms, index) => `${events[index]!.key} draining shown after ${Math.round(ms)} ms`);
}

async function moveCluster(world: NetWorld, from: string, to: string): Promise<void> {
  const old = world.podOn('unicorn', from);
  await world.startPod('unicorn', to);
  await world.terminate('unicorn', old);
  await delay(GRACE_MS);
  world.forget('unicorn', old);
  const gone = world.events.next(`${old.name} gone`, isSlice(world.services.unicorn, from, null));
  await Promise.all([gone, old.end()]);
}
