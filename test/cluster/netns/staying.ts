// What an ill API server must not change, and what of it must be counted: active targets, restarts by reason, objects left out.

import type { NetWorld } from './net-world.ts';
import { poolOf } from './observations.ts';

/** Which nodes are active in which pool, in one line. */
export async function activeNodes(world: NetWorld): Promise<string> {
  const rows = await world.portico.targets();
  return (['unicorn', 'api', 'ssh'] as const)
    .map((key) => {
      const nodes = rows
        .filter((row) => row.pool === poolOf(key) && row.state === 'active')
        .map((row) => row.node);
      return `${key} ${nodes.toSorted().join(' ')}`;
    })
    .join('; ');
}

/** Counts so far, so that a step tells of its own. */
export async function countsOf(
  world: NetWorld,
  reasons: readonly string[],
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const reason of reasons) {
    counts[reason] =
      (reason === 'unlisted'
        ? await world.portico.metric('portico_k8s_unlisted_objects_total')
        : await world.portico.metric('portico_k8s_watch_restarts_total', { reason })) ?? 0;
  }
  return counts;
}

/** What was counted since, by reason; throws when nothing was, or not what a list has left out. */
export async function restarts(
  world: NetWorld,
  reasons: readonly string[],
  before: Readonly<Record<string, number>>,
): Promise<string> {
  const now = await countsOf(world, reasons);
  const counts = reasons.flatMap((reason) => {
    const count = (now[reason] ?? 0) - (before[reason] ?? 0);
    return count > 0 ? [`${reason} ${count}`] : [];
  });
  if (counts.length === 0) throw new Error(`none of ${reasons.join(', ')} was counted`);
  if (reasons.includes('unlisted') && !counts.some((text) => text.startsWith('unlisted'))) {
    throw new Error('what the list left out was not counted');
  }
  return `counted: ${counts.join(', ')}`;
}
