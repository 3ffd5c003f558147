// Owns the counts of targets by pool, state, health and reason.

import type { ExplainedTarget, HealthState, ReasonCode, TargetState } from '../../model/targets.ts';
import { type ExplainableSource, explainTargets } from './explain.ts';

/** Counts of one pool's targets, for metrics. */
export interface PoolCounts {
  readonly pool: string;
  readonly states: Readonly<Record<TargetState, number>>;
  readonly health: Readonly<Record<HealthState, number>>;
  readonly lastResort: number;
  readonly reasons: Readonly<Partial<Record<ReasonCode, number>>>;
}

/** Above this many service x node pairs, counts leave out the reasons of excluded nodes. */
const COUNTED_ROWS = 20_000;

/** Counts by pool, in the order of the sources. */
export function countTargets(sources: readonly ExplainableSource[]): readonly PoolCounts[] {
  let rows = 0;
  for (const { nodes } of sources) rows += nodes?.list.length ?? 0;
  const counts = new Map<string, Mutable>();
  for (const source of sources) {
    const count = counts.get(source.pool) ?? emptyCounts(source.pool);
    counts.set(source.pool, count);
    if (rows <= COUNTED_ROWS) {
      for (const row of explainTargets([source])) countRow(count, row);
    } else {
      for (const entry of source.table.entries.list) countRow(count, entry);
      count.states.excluded += Math.max(0, (source.nodes?.list.length ?? 0) - source.table.entries.size);
    }
  }
  return [...counts.values()];
}

interface Mutable {
  readonly pool: string;
  readonly states: Record<TargetState, number>;
  readonly health: Record<HealthState, number>;
  lastResort: number;
  readonly reasons: Partial<Record<ReasonCode, number>>;
}

function emptyCounts(pool: string): Mutable {
  return {
    pool,
    states: { filling: 0, active: 0, draining: 0, excluded: 0 },
    health: { unknown: 0, healthy: 0, unhealthy: 0 },
    lastResort: 0,
    reasons: {},
  };
}

function countRow(
  count: Mutable,
  row: Pick<ExplainedTarget, 'state' | 'health' | 'lastResort' | 'reasons'>,
): void {
  count.states[row.state]++;
  if (row.state !== 'excluded') count.health[row.health]++;
  if (row.lastResort) count.lastResort++;
  for (const { code } of row.reasons) count.reasons[code] = (count.reasons[code] ?? 0) + 1;
}
