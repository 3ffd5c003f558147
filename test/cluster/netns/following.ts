// Whether Portico follows the API: a label put on a node and taken off again.

import { until } from '../child.ts';
import { EXCLUDE_LABEL } from '../objects.ts';
import type { NetWorld } from './net-world.ts';
import { isNode } from './steps-leaving.ts';

/** A label that the API accepted is in force, and its removal too. */
export async function follows(world: NetWorld, limitMs: number): Promise<string> {
  const startedAt = performance.now();
  await until('the API takes the label', 10_000, async () =>
    world.kubectl.run(['label', '--overwrite', 'node', 'node-4', `${EXCLUDE_LABEL}=true`]).then(
      () => true,
      () => undefined,
    ),
  );
  await world.portico.awaitTargets('unicorn', { 'node-4': { state: 'excluded' } }, limitMs);
  const tookMs = Math.round(performance.now() - startedAt);
  await world.change(
    'label removed',
    isNode('node-4', (e) => !(EXCLUDE_LABEL in (e.object.metadata.labels ?? {}))),
    () => world.kubectl.run(['label', 'node', 'node-4', `${EXCLUDE_LABEL}-`]),
  );
  await world.portico.awaitTargets('unicorn', { 'node-4': { state: 'active' } }, limitMs);
  return `first change in force after ${tookMs} ms`;
}
