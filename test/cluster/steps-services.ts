// Steps about services: traffic policy, other node ports, types, deletion and return.

import { setTimeout as delay } from 'node:timers/promises';
import { REVIEW_HOST } from './configuration.ts';
import { isService, isSlice } from './events.ts';
import { serviceObject } from './objects.ts';
import type { Step } from './steps.ts';
import { HTTP_PORT, KUBE_PROXY_LAG_MS, type World } from './world.ts';

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
      await world.endPodObject(late, pod.name);
      await pod.end();
      world.forget(pod);
    },
  },
];

/** Real curl to the review lab's host, once, into the transcript. */
async function expectAnswer(world: World, status: string, when: string): Promise<void> {
  await world.report.check(`review-lab answers ${status} ${when}`, async () => {
    const printed = await world.curl(REVIEW_HOST, '/');
    if (!printed.startsWith(`HTTP/1.1 ${status} `)) {
      throw new Error(printed.split('\r\n')[0]);
    }
    if (status === '503' && !/^proxy-status:/im.test(printed)) {
      throw new Error('the 503 carries no Proxy-Status');
    }
  });
}
