// What is measured in a stage of the bed, and how it becomes figures.

export interface Latencies {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface StageFigures extends Latencies {
  /** What the well-behaved client saw that was not its answer. */
  readonly errors: readonly string[];
}

/** The nearest-rank percentiles; 0 where nothing was measured. */
export function latenciesOf(latenciesMs: readonly number[]): Latencies {
  const sorted = latenciesMs.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { requests: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

/** Counters that say which limit refused or ended something, by the reason, summed over listeners. */
const LIMIT_FAMILIES = [
  'portico_connections_refused_total',
  'portico_connections_ended_total',
  'portico_failures_total',
] as const;

/** Failures that no limit is the cause of. */
const NO_LIMITS: ReadonlySet<string> = new Set(['client-aborted', 'upstream-reset', 'bad-request']);

/** What each limit has counted, from a page of metrics. */
export function limitCounts(metrics: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of metrics.split('\n')) {
    const [, family, labels, value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
    if (!LIMIT_FAMILIES.some((name) => name === family)) continue;
    const reason = /reason="([^"]*)"/.exec(labels!)?.[1] ?? '';
    if (NO_LIMITS.has(reason)) continue;
    counts.set(reason, (counts.get(reason) ?? 0) + Number(value));
  }
  return counts;
}

/** What was counted between two pages, most first; what did not move is left out. */
export function countedSince(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): readonly (readonly [reason: string, count: number])[] {
  return [...after]
    .map(([reason, count]) => [reason, count - (before.get(reason) ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .sort(([, left], [, right]) => right - left);
}
