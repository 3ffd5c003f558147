// Pods that leave a machine as `kubectl drain` does it: replacements run elsewhere first, then each ends with its grace period.

import { setTimeout as delay } from 'node:timers/promises';
import type { NetWorld } from './net-world.ts';

const ALL = ['unicorn', 'api', 'ssh'] as const;
/** Replacements are ready everywhere before anything ends. */
const OVERLAP_MS = 1500;
/** Long enough for the slow clone, the slow stream and a conversation. */
const GRACE_MS = 6000;

/**
 * The pods of a machine move to another.
 * @param isProven the new machine gets requests of the services with policy Local before anything ends
 */
export async function movePods(world: NetWorld, from: string, to: string, isProven = false): Promise<void> {
  const moved = ALL.flatMap((key) =>
    world.pods[key].filter((pod) => pod.machine.name === from).map((pod) => ({ key, pod })),
  );
  await Promise.all(moved.map(({ key }) => world.startPod(key, to)));
  const awaited = moved.filter(({ key }) => isProven && key !== 'unicorn');
  await Promise.all(awaited.map(({ key }) => world.used(key, to, 6000)));
  await delay(OVERLAP_MS);
  await Promise.all(moved.map(({ key, pod }) => world.terminate(key, pod)));
  await delay(GRACE_MS);
  for (const { key, pod } of moved) {
    world.forget(key, pod);
    await pod.end();
  }
}
