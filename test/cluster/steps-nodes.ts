// Steps about nodes: label, taint, cordon, readiness, deletion and return.

import { setTimeout as delay } from 'node:timers/promises';
import { NODES } from './backends.ts';
import type { WatchedEvent } from './events.ts';
import { toDocuments } from './kubectl.ts';
import { AUTOSCALER_TAINT, EXCLUDE_LABEL, nodeObject, readyCondition } from './objects.ts';
import type { Step } from './steps.ts';
import type { World } from './world.ts';

const isNode =
  (name: string, fits: (event: WatchedEvent) => boolean) =>
  (event: WatchedEvent): boolean =>
    event.kind === 'Node' && event.object.metadata.name === name && fits(event);

const hasTaint = (event: WatchedEvent): boolean =>
  event.object.spec?.taints?.some((taint) => taint.key === AUTOSCALER_TAINT) === true;
const hasLabel = (event: WatchedEvent): boolean => EXCLUDE_LABEL in (event.object.metadata.labels ?? {});
const readiness = (event: WatchedEvent): string | undefined =>
  event.object.status?.conditions?.find((condition) => condition.type === 'Ready')?.status;

/** Pools that have endpoints on node-2 whatever their policy. */
const ON_NODE_2 = ['unicorn', 'unicorn-api', 'git-ssh'] as const;

export const NODE_STEPS: readonly Step[] = [
  {
    name: 'exclude-label',
    title: 'The exclude label takes a node out at once, and its removal brings it back',
    async run(world) {
      const on = await world.change('node-2 labelled', isNode('node-2', hasLabel), () =>
        world.kubectl.run(['label', 'node', 'node-2', `${EXCLUDE_LABEL}=true`]),
      );
      const excluded = { 'node-2': { state: 'excluded', reasons: ['excluded-label'] } } as const;
      await world.shows('exclude label on', on, ON_NODE_2, excluded);
      await world.showTargets('unicorn');
      await world.portico.command(['explain', 'node-2', ...world.portico.adminFlags]);
      await leftAlone(world, 'exclude label on', on, 'node-2');
      const off = await world.change(
        'label removed',
        isNode('node-2', (e) => !hasLabel(e)),
        () => world.kubectl.run(['label', 'node', 'node-2', `${EXCLUDE_LABEL}-`]),
      );
      await world.shows('exclude label off', off, ON_NODE_2, { 'node-2': { state: 'active' } });
      await world.isUsed('exclude label off', 'unicorn', 'node-2');
      await world.isUsed('exclude label off', 'unicorn-api', 'node-2');
    },
  },
  {
    name: 'taint',
    title: "The cluster autoscaler's taint drains a node",
    async run(world) {
      const on = await world.change('node-2 tainted', isNode('node-2', hasTaint), async () => {
        const value = Math.floor(Date.now() / 1000);
        await world.kubectl.run(['taint', 'node', 'node-2', `${AUTOSCALER_TAINT}=${value}:NoSchedule`]);
      });
      // kube-proxy's health check turns 503 with the taint, in half a second.
      setTimeout(() => world.nodePorts.setNodeEligible('node-2', false), 400).unref();
      const draining = {
        'node-2': { state: 'draining', reasons: ['tainted-cluster-autoscaler'] },
      } as const;
      await world.shows('taint on', on, ON_NODE_2, draining);
      await world.showTargets('unicorn-api');
      await leftAlone(world, 'taint on', on, 'node-2');
      const off = await world.change(
        'taint removed',
        isNode('node-2', (e) => !hasTaint(e)),
        () => world.kubectl.run(['taint', 'node', 'node-2', `${AUTOSCALER_TAINT}-`]),
      );
      world.nodePorts.setNodeEligible('node-2', true);
      await world.shows('taint off', off, ON_NODE_2, { 'node-2': { state: 'active' } });
      await world.isUsed('taint off', 'unicorn', 'node-2');
      await world.isUsed('taint off', 'unicorn-api', 'node-2');
    },
  },
  {
    name: 'cordon',
    title: 'A cordoned node goes on serving: its pods are still there',
    async run(world) {
      const isCordoned = (event: WatchedEvent): boolean => event.object.spec?.unschedulable === true;
      const on = await world.change('node-1 cordoned', isNode('node-1', isCordoned), () =>
        world.kubectl.run(['cordon', 'node-1']),
      );
      const shown = { 'node-1': { state: 'active', reasons: ['cordoned'], lastResort: false } } as const;
      await world.shows('cordon', on, ['unicorn', 'unicorn-api'], shown);
      await world.isUsed('cordon', 'unicorn', 'node-1');
      await world.isUsed('cordon', 'unicorn-api', 'node-1');
      const off = await world.change(
        'node-1 uncordoned',
        isNode('node-1', (e) => !isCordoned(e)),
        () => world.kubectl.run(['uncordon', 'node-1']),
      );
      await world.shows('uncordon', off, ['unicorn'], { 'node-1': { state: 'active' } });
    },
  },
  {
    name: 'not-ready',
    title: 'A node that is NotReady and answers its probes is kept, as a last resort',
    async run(world) {
      const down = await patchReady(world, 'node-1', 'Unknown');
      const kept = { 'node-1': { state: 'active', reasons: ['not-ready'], lastResort: true } } as const;
      await world.shows('NotReady', down, ['unicorn', 'unicorn-api'], kept);
      await world.showTargets('unicorn-api');
      const up = await patchReady(world, 'node-1', 'True');
      const back = { 'node-1': { state: 'active', lastResort: false } } as const;
      await world.shows('Ready again', up, ['unicorn', 'unicorn-api'], back);
      await world.isUsed('Ready again', 'unicorn-api', 'node-1');
    },
  },
  {
    name: 'all-not-ready',
    title: 'All nodes NotReady at once, as after a broken control plane: traffic goes on',
    async run(world) {
      let last = 0;
      for (const node of NODES) {
        last = await patchReady(world, node.name, 'Unknown');
      }
      const kept = { state: 'active', reasons: ['not-ready'] } as const;
      await world.shows('all NotReady', last, ['unicorn-api'], { 'node-1': kept, 'node-2': kept });
      await world.isUsed('all NotReady', 'unicorn', 'node-2');
      await world.isUsed('all NotReady', 'unicorn-api', 'node-1');
      for (const node of NODES) {
        last = await patchReady(world, node.name, 'True');
      }
      const ready = { state: 'active', lastResort: false } as const;
      await world.shows('all Ready again', last, ['unicorn-api'], { 'node-1': ready, 'node-2': ready });
    },
  },
  {
    name: 'node-deleted',
    title: 'A node is taken out, deleted, and made again under the same name',
    async run(world) {
      const labelled = await world.change('node-3 labelled', isNode('node-3', hasLabel), () =>
        world.kubectl.run(['label', 'node', 'node-3', `${EXCLUDE_LABEL}=true`]),
      );
      await world.shows('exclude before deletion', labelled, ['unicorn'], {
        'node-3': { state: 'excluded', reasons: ['excluded-label'] },
      });
      await world.isLeftAlone('exclude before deletion', labelled, 'unicorn', 'node-3');
      const deleted = await world.change(
        'node-3 deleted',
        isNode('node-3', (e) => e.type === 'DELETED'),
        () => world.kubectl.run(['delete', 'node', 'node-3']),
      );
      await world.shows('node deleted', deleted, ['unicorn', 'unicorn-api'], { 'node-3': { state: 'gone' } });
      await world.showTargets('unicorn');
      const made = await world.change(
        'node-3 made again',
        isNode('node-3', (e) => e.type === 'ADDED'),
        () =>
          world.kubectl.run(['create', '-f', '-'], {
            input: toDocuments([nodeObject('node-3', world.run)]),
          }),
      );
      await world.shows('node made again', made, ['unicorn'], { 'node-3': { state: 'active' } });
      await world.isUsed('node made again', 'unicorn', 'node-3');
    },
  },
];

/** Writes the Ready condition as the node controller or the kubelet would. */
async function patchReady(world: World, node: string, status: 'True' | 'Unknown'): Promise<number> {
  const patch = JSON.stringify({ status: { conditions: [readyCondition(status)] } });
  world.readiness.set(node, status);
  return await world.change(
    `${node} Ready ${status}`,
    isNode(node, (event) => readiness(event) === status),
    () => world.kubectl.run(['patch', 'node', node, '--subresource=status', '-p', patch]),
  );
}

/** All three services at once: one wait is enough. */
async function leftAlone(world: World, event: string, atMs: number, node: string): Promise<void> {
  await delay(Math.max(0, atMs + 1500 - performance.now()));
  for (const service of ['unicorn', 'unicorn-api', 'ssh']) {
    await world.isLeftAlone(event, atMs, service, node);
  }
}
