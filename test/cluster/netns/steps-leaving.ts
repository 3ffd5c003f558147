// Machines that leave: by label, by taint, by deletion, and without a word.

import { setTimeout as delay } from 'node:timers/promises';
import type { WatchedEvent } from '../events.ts';
import { AUTOSCALER_TAINT, EXCLUDE_LABEL } from '../objects.ts';
import { movePods } from './evictions.ts';
import { Machine } from './machine.ts';
import type { NetStep } from './net-steps.ts';
import { LEAVE_LIMIT_MS, type NetWorld } from './net-world.ts';
import { poolOf } from './observations.ts';
import { spread } from './promises.ts';

const ALL = ['unicorn', 'api', 'ssh'] as const;

export const isNode =
  (name: string, fits: (event: WatchedEvent) => boolean) =>
  (event: WatchedEvent): boolean =>
    event.kind === 'Node' && event.object.metadata.name === name && fits(event);

const KARPENTER_TAINT = 'karpenter.sh/disrupted';
export const LEFT_PROMISE = `no new request after ${LEAVE_LIMIT_MS} ms, no connections but probes`;

/** Times that a node leaves and comes back. */
const ROUNDS = { short: 12, long: 40 };

export const LEAVING_STEPS: readonly NetStep[] = [
  {
    name: 'propagation',
    title:
      'The exclude label put on a node and taken off again, many times: how soon nothing new comes to it',
    async run(world) {
      const mark = world.mark();
      const rounds = world.options.long ? ROUNDS.long : ROUNDS.short;
      const before = world.leavingMs.length;
      for (let round = 0; round < rounds; round++) {
        const atMs = await world.change(
          'excluded',
          isNode('node-4', (e) => EXCLUDE_LABEL in (e.object.metadata.labels ?? {})),
          () => world.kubectl.run(['label', 'node', 'node-4', `${EXCLUDE_LABEL}=`], { quiet: true }),
        );
        await world.left('unicorn', 'node-4', atMs, 400);
        await world.change(
          'used again',
          isNode('node-4', (e) => !(EXCLUDE_LABEL in (e.object.metadata.labels ?? {}))),
          () => world.kubectl.run(['label', 'node', 'node-4', `${EXCLUDE_LABEL}-`], { quiet: true }),
        );
        await world.used('unicorn', 'node-4', 10_000);
      }
      const { leavingMs } = world;
      await world.promise('a node is excluded, many times', 'no new request after the propagation time', () =>
        spread(leavingMs.slice(before)),
      );
      await world.promise('a node is excluded, many times', '0 failed', () => world.servedSince(mark));
    },
  },
  {
    name: 'exclude-and-delete',
    title: 'The exclude label, then the node is deleted and switched off; another takes its place',
    async run(world) {
      await removeMachine(world, 'exclude label, then node deleted', 'node-2', {
        words: ['label', 'node', 'node-2', `${EXCLUDE_LABEL}=true`],
        seen: (event) => EXCLUDE_LABEL in (event.object.metadata.labels ?? {}),
        state: { state: 'excluded', reasons: ['excluded-label'] },
      });
    },
  },
  {
    name: 'autoscaler-taint',
    title: "The cluster autoscaler's taint, then the node is gone",
    async run(world) {
      await removeMachine(world, 'autoscaler taint, then node gone', 'node-2', {
        words: ['taint', 'node', 'node-2', `${AUTOSCALER_TAINT}=1:NoSchedule`],
        seen: (event) => event.object.spec?.taints?.some((taint) => taint.key === AUTOSCALER_TAINT) === true,
        state: { state: 'draining', reasons: ['tainted-cluster-autoscaler'] },
      });
    },
  },
  {
    name: 'karpenter-taint',
    title: "Karpenter's taint, then the node is gone",
    longOnly: true,
    async run(world) {
      await removeMachine(world, 'Karpenter taint, then node gone', 'node-1', {
        words: ['taint', 'node', 'node-1', `${KARPENTER_TAINT}=:NoSchedule`],
        seen: (event) => event.object.spec?.taints?.some((taint) => taint.key === KARPENTER_TAINT) === true,
        state: { state: 'draining', reasons: ['tainted-karpenter'] },
      });
    },
  },
];

interface Announcement {
  readonly words: readonly string[];
  readonly seen: (event: WatchedEvent) => boolean;
  readonly state: Parameters<NetWorld['shown']>[1][string];
}

/**
 * What an autoscaler does: announce, evict the pods (their replacements run elsewhere first), delete the node, switch
 * the machine off. Then a new machine under the same name brings the world back to where it was.
 */
async function removeMachine(
  world: NetWorld,
  event: string,
  node: string,
  announcement: Announcement,
): Promise<void> {
  const machine = world.machine(node);
  const mark = world.mark();
  const atMs = await world.change(event, isNode(node, announcement.seen), () =>
    world.kubectl.run(announcement.words),
  );
  await world.promise(event, 'shown within 1 s', async () => {
    const times = await Promise.all(
      ALL.map((key) => world.shown(poolOf(key), { [node]: announcement.state }, atMs)),
    );
    return spread(times);
  });
  for (const key of ALL) {
    await world.promise(`${event} (${key})`, LEFT_PROMISE, () => world.left(key, node, atMs, 2000));
  }

  await movePods(world, node, 'node-3');
  await world.change(
    'node deleted',
    isNode(node, (e) => e.type === 'DELETED'),
    () => machine.unregister(),
  );
  await delay(500);
  world.machines.delete(node);
  await machine.scrap();
  await delay(2500);
  await world.promise(event, 'no failed request, streams and clones in flight finish', () =>
    world.servedSince(mark),
  );

  const again = world.mark();
  const replacement = await Machine.start(world.options.kubelet, node, machine.place.index);
  world.machines.set(node, replacement);
  await movePods(world, 'node-3', node, true);
  await world.settled();
  await world.promise(
    `${event}: a new machine under the same name and address`,
    'used, no failed request',
    async () => {
      for (const key of ALL) await world.used(key, node);
      return world.servedSince(again);
    },
  );
}
