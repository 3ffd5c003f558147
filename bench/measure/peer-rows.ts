// From turns to a row for each peer: CPU for one unit of work, and how it compares with Portico's in the same rounds.

import { goalOf } from './goals.ts';
import { cpuUsOf, type Turn } from './rounds.ts';
import { median, type Spread, spread } from './statistics.ts';

export interface PeerRow {
  readonly peer: string;
  /** Microseconds of CPU for one unit of work, user and system. */
  readonly cpuUs: Spread;
  readonly userUs: number;
  readonly systemUs: number;
  /** The peer's CPU divided by that of the reference, round by round; null for the reference itself. */
  readonly ratio: Spread | null;
  readonly goal: number | null;
  readonly perSecond: number;
  /** CPU time as a share of the time that passed. */
  readonly busy: number;
}

/** @param reference the name that has ratio 1 */
export function peerRows(
  turns: readonly Turn[],
  reference: string,
  goals: Readonly<Record<string, number>>,
): readonly PeerRow[] {
  const byPeer = Map.groupBy(turns, ({ subject }) => subject);
  const own = new Map((byPeer.get(reference) ?? []).map((turn) => [turn.round, turn]));
  return [...byPeer].map(([peer, theirs]) => {
    const ratios = theirs.flatMap((turn) => {
      const ours = own.get(turn.round);
      return ours === undefined || peer === reference ? [] : [cpuUsOf(turn) / cpuUsOf(ours)];
    });
    return {
      peer,
      cpuUs: spread(theirs.map(cpuUsOf)),
      userUs: median(theirs.map(({ userMs, requests }) => (userMs * 1000) / requests)),
      systemUs: median(theirs.map(({ systemMs, requests }) => (systemMs * 1000) / requests)),
      ratio: ratios.length === 0 ? null : spread(ratios),
      goal: goalOf(peer, goals),
      perSecond: median(theirs.map(({ requests, seconds }) => requests / seconds)),
      busy: median(theirs.map(({ userMs, systemMs, seconds }) => (userMs + systemMs) / 1000 / seconds)),
    };
  });
}

const HEADING = [
  '',
  'CPU us',
  'min..max',
  'user',
  'system',
  "of Portico's",
  'min..max',
  'goal',
  'a second',
  'core busy',
];

/** The table as rows of text; the first row is the heading. */
export function peerTable(rows: readonly PeerRow[]): readonly (readonly string[])[] {
  return [
    HEADING,
    ...rows.map(({ peer, cpuUs: cpu, userUs, systemUs, ratio, goal, perSecond, busy }) => [
      peer,
      cpu.median.toFixed(1),
      `${cpu.min.toFixed(1)}..${cpu.max.toFixed(1)}`,
      userUs.toFixed(1),
      systemUs.toFixed(1),
      ratio === null ? '' : ratio.median.toFixed(2),
      ratio === null ? '' : `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`,
      goal === null ? '' : `${goal}${ratio !== null && ratio.median >= goal ? ' reached' : ''}`,
      perSecond.toFixed(0),
      `${(busy * 100).toFixed(0)}%`,
    ]),
  ];
}
