// Steps in which pods move from node to node: with slices written by hand, with the real controller, and with sshd.

import { setTimeout as delay } from 'node:timers/promises';
import { isSlice } from './events.ts';
import type { Step } from './steps.ts';
import { KUBE_PROXY_LAG_MS, type World } from './world.ts';

export const ROLLING_STEPS: readonly Step[] = [
  {
    name: 'rolling-local',
    title: 'A rolling update under Local: pods move from node to node',
    async run(world) {
      await moveApiPod(world, 'node-1', 'node-3');
      await moveApiPod(world, 'node-2', 'node-1');
      await moveApiPod(world, 'node-3', 'node-2');
    },
  },
  {
    name: 'rolling-cluster',
    title: 'A rolling update under Cluster, with the slices of the real endpoint slice controller',
    async run(world) {
      await movePod(world, 'node-1', 'node-3');
      await movePod(world, 'node-3', 'node-1');
    },
  },
  {
    name: 'rolling-ssh',
    title: 'sshd moves while clones run',
    async run(world) {
      await moveSshd(world, 'node-1', 'node-3');
      await moveSshd(world, 'node-3', 'node-1');
    },
  },
];

/** New pod first, ready when its slice says so; then the old one terminates, serves on, and ends. */
async function moveApiPod(world: World, from: string, to: string): Promise<void> {
  const { api, ports } = world;
  const event = `Local, pod from ${from} to ${to}`;
  const old = world.pods.get('unicorn-api')!.find((pod) => pod.node === from)!;
  await world.startServer('unicorn-api', `unicorn-api-${to}`, to);

  api.endpoints.push(world.handMadeEndpoint(to));
  await world.change(`${to} in the slice`, isSlice(api.service, to, 'ready'), () => world.writeSlice(api));
  await delay(KUBE_PROXY_LAG_MS);
  await world.syncNodePorts('unicorn-api', ports.apiNodePort, 'Local');
  const openAt = performance.now();
  await world.shows(`${event}: port open`, openAt, ['unicorn-api'], {
    [to]: { state: 'active', reasons: ['local-endpoints'] },
  });
  await world.isUsed(event, 'unicorn-api', to);

  old.terminate();
  api.endpoints = api.endpoints.map((endpoint) =>
    endpoint.node === from ? { ...endpoint, terminating: true } : endpoint,
  );
  const leaving = await world.change(`${from} terminating`, isSlice(api.service, from, 'terminating'), () =>
    world.writeSlice(api),
  );
  await world.shows(`${event}: old pod terminating`, leaving, ['unicorn-api'], {
    [from]: { state: 'draining', reasons: ['local-endpoints-terminating'] },
  });
  await world.isLeftAlone(event, leaving, 'unicorn-api', from);

  api.endpoints = api.endpoints.filter((endpoint) => endpoint.node !== from);
  const gone = await world.change(`${from} gone`, isSlice(api.service, from, null), () =>
    world.writeSlice(api),
  );
  world.forget(old);
  await Promise.all([old.end(), world.syncNodePorts('unicorn-api', ports.apiNodePort, 'Local')]);
  await world.shows(`${event}: old pod gone`, gone, ['unicorn-api'], {
    [from]: { state: 'excluded', reasons: ['no-local-endpoint'] },
  });
}

/** The same with pod objects: the controller writes the slices, with terminating endpoints in between. */
async function movePod(world: World, from: string, to: string): Promise<void> {
  const { unicorn, ports } = world;
  const old = world.pods.get('unicorn')!.find((pod) => pod.node === from)!;
  const arrived = world.events.next(`unicorn ready on ${to}`, isSlice(unicorn, to, 'ready'));
  await world.startPod(unicorn, to);
  await arrived;
  await delay(KUBE_PROXY_LAG_MS);
  await world.syncNodePorts('unicorn', ports.unicornNodePort, 'Cluster');

  old.terminate();
  await world.change(`unicorn terminating on ${from}`, isSlice(unicorn, from, 'terminating'), () =>
    world.kubectl.run(['delete', 'pod', old.name, '-n', unicorn.namespace, '--wait=false']),
  );
  // The grace period: kube-proxy sends new connections elsewhere, the old pod serves what it has.
  await delay(KUBE_PROXY_LAG_MS);
  await world.syncNodePorts('unicorn', ports.unicornNodePort, 'Cluster', [old]);
  await delay(1500);
  await Promise.all([old.end(), world.endPodObject(unicorn, old.name)]);
  world.forget(old);
  await world.syncNodePorts('unicorn', ports.unicornNodePort, 'Cluster');
  await world.shows(`Cluster, pod from ${from} to ${to}`, performance.now(), ['unicorn'], {
    'node-1': { state: 'active' },
    'node-2': { state: 'active' },
    'node-3': { state: 'active' },
  });
}

/** As for the API's pods; sessions that run on the old node are left to finish by themselves. */
async function moveSshd(world: World, from: string, to: string): Promise<void> {
  const { ssh } = world;
  const event = `ssh from ${from} to ${to}`;
  ssh.endpoints.push(world.handMadeEndpoint(to));
  await world.change(`ssh on ${to}`, isSlice(ssh.service, to, 'ready'), () => world.writeSlice(ssh));
  await delay(KUBE_PROXY_LAG_MS);
  await world.startSshd(to);
  world.healthCheck.set(to, 1);
  const openAt = performance.now();
  await world.shows(`${event}: sshd listens`, openAt, ['git-ssh'], {
    [to]: { state: 'active', reasons: ['local-endpoints'] },
  });
  ssh.endpoints = ssh.endpoints.map((endpoint) =>
    endpoint.node === from ? { ...endpoint, terminating: true } : endpoint,
  );
  const leaving = await world.change(
    `ssh terminating on ${from}`,
    isSlice(ssh.service, from, 'terminating'),
    () => world.writeSlice(ssh),
  );
  await world.shows(`${event}: old sshd terminating`, leaving, ['git-ssh'], {
    [from]: { state: 'draining', reasons: ['local-endpoints-terminating'] },
  });
  await world.isLeftAlone(event, leaving, 'ssh', from, 2500);
  // The health check node port follows more than a second after the deletion.
  world.healthCheck.set(from, 0);
  await world.sshPods.get(from)?.stopListening();
  ssh.endpoints = ssh.endpoints.filter((endpoint) => endpoint.node !== from);
  const gone = await world.change(`ssh gone from ${from}`, isSlice(ssh.service, from, null), () =>
    world.writeSlice(ssh),
  );
  await world.shows(`${event}: old sshd gone`, gone, ['git-ssh'], {
    [from]: { state: 'excluded', reasons: ['no-local-endpoint'] },
  });
}
