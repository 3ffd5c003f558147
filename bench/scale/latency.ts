// How long events took from the API server to the last worker, told from outside: when the API server wrote them, and when
// the log says that every worker had the snapshot that answers them.

import type { SentEvent } from './api.ts';
import type { LogLine } from './portico-run.ts';

export interface EventLatency {
  /** When the event was sent, epoch milliseconds. */
  readonly atMs: number;
  readonly tookMs: number;
}

/**
 * One for each event that the log names as the cause of a change. A snapshot that was made after that line answers
 * it, and so does every later one.
 */
export function eventLatencies(
  events: readonly SentEvent[],
  log: readonly LogLine[],
): readonly EventLatency[] {
  const sent = new Map(events.map((event) => [`${event.cluster} ${event.by}`, event.atMs]));
  const latencies: EventLatency[] = [];
  let seen: number[] = [];
  let waiting: { readonly version: number; readonly atMs: number }[] = [];
  for (const line of log) {
    if (line.code === 'snapshot-made') {
      const version = line.version ?? 0;
      waiting.push(...seen.map((atMs) => ({ version, atMs })));
      seen = [];
    } else if (line.code === 'snapshot-applied') {
      const appliedAtMs = Date.parse(line.time);
      const done = line.version ?? 0;
      for (const { version, atMs } of waiting)
        if (version <= done) latencies.push({ atMs, tookMs: appliedAtMs - atMs });
      waiting = waiting.filter(({ version }) => version > done);
    } else if (line.by !== undefined) {
      for (const by of line.by.split(' ')) {
        const key = `${line.cluster} ${by}`;
        const atMs = sent.get(key);
        if (atMs === undefined) continue;
        seen.push(atMs);
        sent.delete(key);
      }
    }
  }
  return latencies;
}

/** The value below which this share of the values lies, 0 to 100; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))] ?? Number.NaN;
}
