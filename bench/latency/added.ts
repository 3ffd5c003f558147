// From rounds of latencies to what each proxy adds to the backend's own.

import type { Latency } from '../drivers/go-load.ts';
import { type Spread, spread } from '../measure/statistics.ts';

export interface LatencyRound {
  /** Requests a second, the same for all. */
  readonly rate: number;
  /** Requests a second of each proxy as fast as answers came. */
  readonly saturations: Readonly<Record<string, number>>;
  /** Of each proxy, and of the backend without one. */
  readonly latencies: Readonly<Record<string, Latency>>;
}

/** What a proxy adds to a quantile, round by round: milliseconds. */
export function addedBy(
  rounds: readonly LatencyRound[],
  name: string,
  direct: string,
  quantile: 'p50' | 'p99',
): Spread {
  return spread(rounds.map(({ latencies }) => latencies[name]![quantile] - latencies[direct]![quantile]));
}

/** Rows of text; the first one is the heading. */
export function latencyTable(
  rounds: readonly LatencyRound[],
  direct: string,
  names: readonly string[],
): readonly (readonly string[])[] {
  const rows = names.map((name) => {
    const [p50, p99] = [addedBy(rounds, name, direct, 'p50'), addedBy(rounds, name, direct, 'p99')];
    const own = (quantile: 'p50' | 'p99'): string =>
      spread(rounds.map(({ latencies }) => latencies[name]![quantile])).median.toFixed(3);
    return [
      ...[name, p50.median.toFixed(3), rangeOf(p50), p99.median.toFixed(3), rangeOf(p99)],
      ...[
        own('p50'),
        own('p99'),
        spread(rounds.map(({ saturations }) => saturations[name]!)).median.toFixed(0),
      ],
    ];
  });
  const rate = spread(rounds.map((round) => round.rate)).median.toFixed(0);
  return [
    [
      `at ${rate} requests/s`,
      'adds to p50, ms',
      'min..max',
      'adds to p99, ms',
      'min..max',
      'p50',
      'p99',
      'saturated, requests/s',
    ],
    ...rows,
  ];
}

const rangeOf = ({ min, max }: Spread): string => `${min.toFixed(3)}..${max.toFixed(3)}`;
