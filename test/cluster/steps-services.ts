// Steps about services and endpoints: traffic policy, rolling slices and pods, deletion and other node ports.

import { setTimeout as delay } from 'node:timers/promises';
import { runProgram } from './clients.ts';
import type { WatchedEvent } from './events.ts';
import { type ServiceName, serviceObject } from './objects.ts';
import type { Step } from './steps.ts';
import { HTTP_PORT, KUBE_PROXY_LAG_MS, type World } from './world.ts';

const isService =
  (name: ServiceName, fits: (event: WatchedEvent) => boolean) =>
  (event: WatchedEvent): boolean =>
    event.kind === 'Service' &&
    event.object.metadata.namespace === name.namespace &&
    event.object.metadata.name === name.name &&
    fits(event);

/** An endpoint of the service on the node, in the given condition, has appeared (or, with null, none is left). */
const isSlice =
  (service: ServiceName, node: string, condition: 'ready' | 'terminating' | null) =>
  (event: WatchedEvent): boolean => {
    const { metadata, endpoints = [] } = event.object;
    if (
      event.kind !== 'EndpointSlice' ||
      metadata.namespace !== service.namespace ||
      metadata.labels?.['kubernetes.io/service-name'] !== service.name
    ) {
      return false;
    }
    const here = endpoints.filter((endpoint) => endpoint.nodeName === node);
    return condition === null
      ? here.length === 0
      : here.some((endpoint) => endpoint.conditions[condition] === true);
  };

const setPolicy = async (world: World, policy: 'Cluster' | 'Local'): Promise<number> =>
  await world.change(
    `unicorn ${policy}`,
    isService(world.unicorn, (event) => event.object.spec?.externalTrafficPolicy === policy),
    () => {
      const patch = JSON.stringify({ spec: { externalTrafficPolicy: policy } });
      return world.kubectl.run(['patch', 'service', 'unicorn', '-n', world.unicorn.namespace, '-p', patch]);
    },
  );

export const SERVICE_STEPS: readonly Step[] = [
  {
    name: 'traffic-policy',
    title: '`externalTrafficPolicy` Cluster, then Local, then Cluster again',
    async run(world) {
      const nodePort = world.ports.unicornNodePort;
      const local = await setPolicy(world, 'Local');
      // The node ports follow when kube-proxy has synced.
      const closing = delay(KUBE_PROXY_LAG_MS).then(() => world.syncNodePorts('unicorn', nodePort, 'Local'));
      await world.shows('policy Local', local, ['unicorn'], {
        'node-1': { state: 'active', reasons: ['local-endpoints'] },
        'node-2': { state: 'active', reasons: ['local-endpoints'] },
        'node-3': { state: 'excluded', reasons: ['no-local-endpoint'] },
      });
      await world.showTargets('unicorn');
      await closing;
      await world.isLeftAlone('policy Local', local, 'unicorn', 'node-3');
      const cluster = await setPolicy(world, 'Cluster');
      const opening = delay(KUBE_PROXY_LAG_MS).then(() =>
        world.syncNodePorts('unicorn', nodePort, 'Cluster'),
      );
      // Listed at once, and proven by a probe when its port opens.
      await world.report.check(
        'policy Cluster: node-3 is listed at once, and active once its port answers',
        async () => {
          await opening;
          await world.portico.awaitTargets('unicorn', { 'node-3': { state: 'active' } }, 3000);
        },
      );
      world.report.measured({
        event: `policy Cluster (unicorn, port opens ${KUBE_PROXY_LAG_MS} ms after the event)`,
        shownMs: performance.now() - cluster,
        lastRequestMs: null,
      });
      await world.isUsed('policy Cluster', 'unicorn', 'node-3');
    },
  },
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
  {
    name: 'service-life',
    title: 'A service is made, gets another node port, becomes ClusterIP, is deleted and made again',
    async run(world) {
      const { late, kubectl, ports } = world;
      const options = { port: HTTP_PORT, policy: 'Cluster', app: late.name } as const;
      await world.shows('before it exists', performance.now(), ['review-lab'], {}, 2000);
      await expectAnswer(world, '503', 'before the service exists');
      await world.portico.command(['targets', 'review-lab', ...world.portico.adminFlags]);

      const pod = await world.startPod(late, 'node-1');
      await world.syncNodePorts(late.name, ports.lateNodePort, 'Cluster');
      const sliced = world.events.next('review-lab has a ready endpoint', isSlice(late, 'node-1', 'ready'));
      await kubectl.apply([serviceObject(late, { ...options, nodePort: ports.lateNodePort })]);
      const active = { state: 'active', port: ports.lateNodePort } as const;
      const made = (await sliced).atMs;
      await world.shows('service made', made, ['review-lab'], { 'node-1': active, 'node-3': active });
      await expectAnswer(world, '200', 'after the service was made');

      await world.syncNodePorts(late.name, ports.otherNodePort, 'Cluster');
      const moved = await world.change(
        'other node port',
        isService(late, (e) => e.object.spec?.ports?.[0]?.nodePort === ports.otherNodePort),
        () => kubectl.apply([serviceObject(late, { ...options, nodePort: ports.otherNodePort })]),
      );
      const other = { state: 'active', port: ports.otherNodePort } as const;
      await world.shows('other node port', moved, ['review-lab'], { 'node-1': other, 'node-3': other });
      await expectAnswer(world, '200', 'at the other node port');

      const patch = JSON.stringify({
        spec: { type: 'ClusterIP', externalTrafficPolicy: null, ports: [{ port: 80, nodePort: null }] },
      });
      const hidden = await world.change(
        'ClusterIP',
        isService(late, (e) => e.object.spec?.type === 'ClusterIP'),
        () => kubectl.run(['patch', 'service', late.name, '-n', late.namespace, '-p', patch]),
      );
      await world.shows('made ClusterIP', hidden, ['review-lab'], {
        'node-1': { state: 'excluded', reasons: ['service-type'] },
      });
      await world.showTargets('review-lab');

      const deleted = await world.change(
        'deleted',
        isService(late, (e) => e.type === 'DELETED'),
        () => kubectl.run(['delete', 'service', late.name, '-n', late.namespace]),
      );
      await world.report.check('service deleted: the pool says service-not-found', async () => {
        for (;;) {
          const rows = (await world.portico.targets()).filter((row) => row.pool === 'review-lab');
          if (rows.some((row) => row.reasons.some((reason) => reason.code === 'service-not-found'))) {
            const shownMs = performance.now() - deleted;
            world.report.measured({ event: 'service deleted (review-lab)', shownMs, lastRequestMs: null });
            return;
          }
          if (performance.now() - deleted > 3000) {
            throw new Error(`after 3 s: ${JSON.stringify(rows)}`);
          }
          await delay(10);
        }
      });
      await expectAnswer(world, '503', 'after the service was deleted');

      await world.syncNodePorts(late.name, ports.lateNodePort, 'Cluster');
      const again = world.events.next('review-lab again', isSlice(late, 'node-1', 'ready'));
      await kubectl.apply([serviceObject(late, { ...options, nodePort: ports.lateNodePort })]);
      const againAt = (await again).atMs;
      await world.shows('service made again', againAt, ['review-lab'], {
        'node-1': active,
        'node-3': active,
      });
      await expectAnswer(world, '200', 'after the service was made again');
      await world.nodePorts.remove(late.name);
      await kubectl.run(['delete', 'service', late.name, '-n', late.namespace], { quiet: true });
      await endPodObject(world, late, pod.name);
      await pod.end();
      world.forget(pod);
    },
  },
];

/** Real curl to the review lab's host, once, into the transcript. */
async function expectAnswer(world: World, status: string, when: string): Promise<void> {
  await world.report.check(`review-lab answers ${status} ${when}`, async () => {
    const { host, port } = { host: world.edge.address, port: world.edge.port };
    const parameters = ['-sS', '-i', '-H', 'Host: review.lab.test', `http://${host}:${port}/`];
    const result = await runProgram('curl', parameters);
    world.transcript.command(`curl ${parameters.join(' ')}`, {}, result);
    if (!result.stdout.startsWith(`HTTP/1.1 ${status} `)) {
      throw new Error(result.stdout.split('\r\n')[0] ?? result.stderr);
    }
    if (status === '503' && !/^proxy-status:/im.test(result.stdout)) {
      throw new Error('the 503 carries no Proxy-Status');
    }
  });
}

/** New pod first, ready when its slice says so; then the old one terminates, serves on, and ends. */
async function moveApiPod(world: World, from: string, to: string): Promise<void> {
  const { api, ports } = world;
  const event = `Local, pod from ${from} to ${to}`;
  const old = world.pods.get('unicorn-api')!.find((pod) => pod.node === from)!;
  await world.startServer('unicorn-api', `unicorn-api-${to}`, to);

  api.endpoints.push(world.handMadeEndpoint(to));
  await world.change(`${to} in the slice`, isSlice(api.service, to, 'ready'), () =>
    world.writeSlice(api, true),
  );
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
    world.writeSlice(api, true),
  );
  await world.shows(`${event}: old pod terminating`, leaving, ['unicorn-api'], {
    [from]: { state: 'draining', reasons: ['local-endpoints-terminating'] },
  });
  await world.isLeftAlone(event, leaving, 'unicorn-api', from);

  api.endpoints = api.endpoints.filter((endpoint) => endpoint.node !== from);
  const gone = await world.change(`${from} gone`, isSlice(api.service, from, null), () =>
    world.writeSlice(api, true),
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
  const started = await world.startPod(unicorn, to);
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
  await Promise.all([old.end(), endPodObject(world, unicorn, old.name)]);
  world.forget(old);
  await world.syncNodePorts('unicorn', ports.unicornNodePort, 'Cluster');
  await world.shows(`Cluster, pod from ${from} to ${to}`, performance.now(), ['unicorn'], {
    'node-1': { state: 'active' },
    'node-2': { state: 'active' },
    'node-3': { state: 'active' },
  });
  await world.report.check(`Cluster, pod from ${from} to ${to}: ${started.name} serves`, async () => {
    const since = performance.now();
    while (
      !['node-1', 'node-2', 'node-3'].some((node) =>
        world.arrivals.since('unicorn', node, since).some((arrival) => arrival.pod === started.name),
      )
    ) {
      if (performance.now() - since > 4000) {
        throw new Error('no request within 4 s');
      }
      await delay(20);
    }
  });
}

/** The kubelet's last word: the pod object goes. */
async function endPodObject(world: World, service: ServiceName, pod: string): Promise<void> {
  await world.kubectl.run(
    ['delete', 'pod', pod, '-n', service.namespace, '--force', '--grace-period=0', '--ignore-not-found'],
    { quiet: true },
  );
}

/** As for the API's pods; sessions that run on the old node are left to finish by themselves. */
async function moveSshd(world: World, from: string, to: string): Promise<void> {
  const { ssh } = world;
  const event = `ssh from ${from} to ${to}`;
  ssh.endpoints.push(world.handMadeEndpoint(to));
  await world.change(`ssh on ${to}`, isSlice(ssh.service, to, 'ready'), () => world.writeSlice(ssh, true));
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
    () => world.writeSlice(ssh, true),
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
    world.writeSlice(ssh, true),
  );
  await world.shows(`${event}: old sshd gone`, gone, ['git-ssh'], {
    [from]: { state: 'excluded', reasons: ['no-local-endpoint'] },
  });
}
