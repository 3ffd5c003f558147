// Changes of objects: nodes that are NotReady or cordoned, services that change, machines under other names.

import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../child.ts';
import { REVIEW_HOST } from '../configuration.ts';
import { isService } from '../events.ts';
import { serviceObject } from '../objects.ts';
import { once } from './fresh-client.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import { HTTP_PORT, NODE_PORTS } from './ports.ts';
import { isNode } from './steps-leaving.ts';

const FOLLOW_MS = 1000;

export const OBJECT_STEPS: readonly NetStep[] = [
  {
    name: 'not-ready',
    title: 'NotReady yet serving, all nodes at once; cordoned',
    async run(world) {
      const mark = world.mark();
      const machines = [...world.machines.values()];
      for (const machine of machines) await machine.setReady('Unknown');
      await delay(3000);
      await world.promise('every node NotReady, all serving', 'nothing removed, 0 failed', async () => {
        const rows = (await world.portico.targets()).filter((row) => row.pool === 'unicorn');
        const lost = rows.filter((row) => row.state !== 'active');
        if (lost.length > 0) throw new Error(`not active: ${lost.map((row) => row.node).join(', ')}`);
        await Promise.all(['node-1', 'node-2'].map((node) => world.used('api', node)));
        return world.servedSince(mark);
      });
      for (const machine of machines) await machine.setReady('True');
      await world.settled();
      const cordoned = world.mark();
      await world.change(
        'cordoned',
        isNode('node-1', (e) => e.object.spec?.unschedulable === true),
        () => world.kubectl.run(['cordon', 'node-1']),
      );
      await delay(2000);
      await world.promise('node cordoned', 'used as before, 0 failed', async () => {
        await world.used('api', 'node-1');
        return world.servedSince(cordoned);
      });
      await world.kubectl.run(['uncordon', 'node-1']);
    },
  },
  {
    name: 'service-changes',
    title: 'A service: Cluster, Local, Cluster, other node port, ClusterIP, deleted, made again',
    run: serviceChanges,
  },
  {
    name: 'same-address',
    title: 'A machine comes back under another name: two Node objects claim one address',
    async run(world) {
      const old = world.machine('node-4');
      const mark = world.mark();
      await old.unregister();
      world.machines.delete('node-4');
      const renamed = await old.rename('node-5');
      world.machines.set('node-5', renamed);
      await world.promise(
        'another node with the same address',
        'one target for the address, 0 failed',
        async () => {
          await world.portico.awaitTargets('unicorn', { 'node-5': { state: 'active' } }, 8000);
          const rows = (await world.portico.targets()).filter((row) => row.pool === 'unicorn');
          const same = rows.filter((row) => row.address === renamed.place.address && row.state === 'active');
          if (same.length !== 1) throw new Error(`${same.map((row) => row.node).join(' and ')} at once`);
          await delay(1000);
          return `${same[0]!.node} alone; ${world.servedSince(mark)}`;
        },
      );
      // Both at once: the old object is back, the machine is still the new one.
      const both = world.mark();
      await old.register();
      await world.promise(
        'two Node objects with one address',
        'one target, the other explained, 0 failed',
        async () => {
          await until('node-4 explained', 3000, async () => {
            const rows = (await world.portico.targets()).filter((row) => row.pool === 'unicorn');
            const explained = rows.some((row) =>
              row.reasons.some((reason) => reason.code === 'address-shared'),
            );
            return explained ? true : undefined;
          });
          await delay(1500);
          return world.servedSince(both);
        },
      );
      const back = world.mark();
      await renamed.unregister();
      world.machines.delete('node-5');
      // The object is there already.
      await old.unregister();
      world.machines.set('node-4', await renamed.rename('node-4'));
      await world.settled();
      await world.promise('and back', '0 failed', () => world.servedSince(back));
    },
  },
];

async function serviceChanges(world: NetWorld): Promise<void> {
  const late = world.services.late;
  const { kubectl } = world;
  const pool = 'review-lab';
  const edge = { ...world.edge, host: REVIEW_HOST };
  const options = { port: HTTP_PORT, policy: 'Cluster', app: late.name } as const;
  const ask = async (): Promise<number> => {
    let count = 0;
    const endAt = performance.now() + 2500;
    while (performance.now() < endAt) {
      await once(edge, '/');
      count++;
      await delay(15);
    }
    return count;
  };
  const nodes = [...world.machines.keys()];
  const all = (
    state: 'active' | 'excluded',
    port: number,
  ): Record<string, { state: typeof state; port: number }> =>
    Object.fromEntries(nodes.map((node) => [node, { state, port }]));

  await kubectl.apply([serviceObject(late, { ...options, nodePort: NODE_PORTS.late })]);
  await world.startPod('late', 'node-1');
  await world.portico.awaitTargets(pool, all('active', NODE_PORTS.late), 8000);
  await until('the first answer', 5000, () => once(edge, '/').catch(() => undefined));

  const local = await change(world, 'policy Local', (spec) => spec?.externalTrafficPolicy === 'Local', {
    externalTrafficPolicy: 'Local',
  });
  await world.promise('service Cluster to Local', 'follows within 1 s, 0 failed', async () => {
    const [count, shown] = await Promise.all([
      ask(),
      world.shown(pool, { 'node-1': { state: 'active' }, 'node-3': { state: 'excluded' } }, local, FOLLOW_MS),
    ]);
    return `after ${Math.round(shown)} ms, 0 failed of ${count}`;
  });
  await change(world, 'policy Cluster', (spec) => spec?.externalTrafficPolicy === 'Cluster', {
    externalTrafficPolicy: 'Cluster',
  });
  await world.promise('service Local to Cluster', 'all nodes proven and used, 0 failed', async () => {
    const startedAt = performance.now();
    const [count] = await Promise.all([
      ask(),
      world.portico.awaitTargets(pool, all('active', NODE_PORTS.late), 5000),
    ]);
    return `within ${Math.round(performance.now() - startedAt)} ms, 0 failed of ${count}`;
  });
  const moved = await change(
    world,
    'other node port',
    (spec) => spec?.ports?.[0]?.nodePort === NODE_PORTS.other,
    {
      ports: [{ name: 'http', port: 80, nodePort: NODE_PORTS.other }],
    },
  );
  await world.promise('other node port', 'follows, 0 failed', async () => {
    const [count, shown] = await Promise.all([
      ask(),
      // kube-proxy opens the port up to a second later; until then nothing is proven.
      world.shown(pool, { 'node-1': { state: 'active', port: NODE_PORTS.other } }, moved, 3000),
    ]);
    return `active at the new port after ${Math.round(shown)} ms, 0 failed of ${count}`;
  });
  const hidden = await change(world, 'ClusterIP', (spec) => spec?.type === 'ClusterIP', {
    type: 'ClusterIP',
    externalTrafficPolicy: null,
    ports: [{ name: 'http', port: 80, nodePort: null }],
  });
  await world.promise('service made ClusterIP', 'explained within 1 s', async () => {
    const shown = await world.shown(
      pool,
      { 'node-1': { state: 'excluded', reasons: ['service-type'] } },
      hidden,
    );
    return `service-type after ${Math.round(shown)} ms`;
  });
  const deleted = await world.change(
    'deleted',
    isService(late, (e) => e.type === 'DELETED'),
    () => kubectl.run(['delete', 'service', late.name, '-n', late.namespace]),
  );
  await world.promise('service deleted', 'explained within 1 s', async () => {
    await until(
      'service-not-found',
      FOLLOW_MS,
      async () => {
        const rows = (await world.portico.targets()).filter((row) => row.pool === pool);
        return rows.some((row) => row.reasons.some((reason) => reason.code === 'service-not-found'))
          ? true
          : undefined;
      },
      10,
    );
    return `service-not-found after ${Math.round(performance.now() - deleted)} ms`;
  });
  await kubectl.apply([serviceObject(late, { ...options, nodePort: NODE_PORTS.late })]);
  const againAt = performance.now();
  await world.promise('service made again', 'served again, then 0 failed', async () => {
    await until('an answer', 8000, () => once(edge, '/').catch(() => undefined));
    const tookMs = Math.round(performance.now() - againAt);
    return `first answer after ${tookMs} ms, then 0 failed of ${await ask()}`;
  });
  await kubectl.run(['delete', 'service', late.name, '-n', late.namespace]);
  for (const pod of world.pods.late.splice(0)) await pod.lose();
}

async function change(
  world: NetWorld,
  what: string,
  fits: (spec: Parameters<Parameters<typeof isService>[1]>[0]['object']['spec']) => boolean,
  spec: object,
): Promise<number> {
  const { late } = world.services;
  return await world.change(
    what,
    isService(late, (event) => fits(event.object.spec)),
    () =>
      world.kubectl.run([
        'patch',
        'service',
        late.name,
        '-n',
        late.namespace,
        '-p',
        JSON.stringify({ spec }),
      ]),
  );
}
