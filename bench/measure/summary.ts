// From single turns to one row for each subject.

import { cpuUsOf, type Turn } from './rounds.ts';
import { median, type Spread, spread } from './statistics.ts';

export interface Row {
  readonly subject: string;
  readonly rounds: number;
  /** Microseconds of CPU for one request, user and system. */
  readonly cpuPerRequestUs: Spread;
  readonly userUs: number;
  readonly systemUs: number;
  readonly requestsPerCpuSecond: Spread;
  /** As the driver saw them: where it is slower than the proxy, this is its speed. */
  readonly requestsPerSecond: Spread;
  /** CPU time as a share of the time that passed; near 1 the proxy was the bottleneck. */
  readonly busy: number;
  /** Requests per CPU second, relative to the subject that ratios refer to, round by round; null without it. */
  readonly ratio: Spread | null;
}

/** Rows in the order of first turns. `reference` names the subject that has ratio 1. */
export function summarise(turns: readonly Turn[], reference: string): readonly Row[] {
  const bySubject = Map.groupBy(turns, ({ subject }) => subject);
  const references = bySubject.get(reference) ?? [];
  return [...bySubject].map(([subject, own]) => {
    // Both turns of a ratio lie in one round: what slows the machine down for a while slows both.
    const ratios = own.flatMap((turn) => {
      const other = references.find(({ round }) => round === turn.round);
      return other === undefined ? [] : [cpuUsOf(other) / cpuUsOf(turn)];
    });
    return {
      subject,
      rounds: own.length,
      cpuPerRequestUs: spread(own.map(cpuUsOf)),
      userUs: median(own.map(({ userMs, requests }) => (userMs * 1000) / requests)),
      systemUs: median(own.map(({ systemMs, requests }) => (systemMs * 1000) / requests)),
      requestsPerCpuSecond: spread(own.map((turn) => 1e6 / cpuUsOf(turn))),
      requestsPerSecond: spread(own.map(({ requests, seconds }) => requests / seconds)),
      busy: median(own.map(({ userMs, systemMs, seconds }) => (userMs + systemMs) / 1000 / seconds)),
      ratio: ratios.length === 0 ? null : spread(ratios),
    };
  });
}
