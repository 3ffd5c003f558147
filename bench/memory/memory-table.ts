// Samples of memory as a table: each proxy at rest, and what an idle connection costs it.

import { type Spread, spread } from '../measure/statistics.ts';

export interface MemorySample {
  readonly peer: string;
  readonly endpoint: 'http' | 'https';
  /** Before any request: the largest worker, and all processes. */
  readonly workerMiB: number;
  readonly allMiB: number;
  /** The largest worker at rest after a tenth of a second of load. */
  readonly servedMiB: number;
  readonly perConnectionKiB: number;
}

/** What Portico wants to stay below. */
const GOALS = { perConnection: { http: 8, https: 30 }, workerMiB: 80 } as const;
const OWN = 'portico';

/** Rows of text; the first one is the heading. */
export function memoryTable(samples: readonly MemorySample[]): readonly (readonly string[])[] {
  const rows: (readonly string[])[] = [];
  for (const [peer, own] of Map.groupBy(samples, (sample) => sample.peer)) {
    const goal = (value: number): string => (peer === OWN ? `${value}` : '');
    const row = (what: string, unit: string, values: Spread, wanted: string): void => {
      const reached = wanted !== '' && values.median <= Number(wanted) ? ' reached' : '';
      rows.push([
        `${peer}: ${what}`,
        `${values.median.toFixed(1)} ${unit}`,
        `${values.min.toFixed(1)}..${values.max.toFixed(1)}`,
        `${wanted}${reached}`,
      ]);
    };
    row('worker at rest', 'MiB', spread(own.map(({ workerMiB }) => workerMiB)), goal(GOALS.workerMiB));
    row(
      'worker at rest after 0.1 s of load',
      'MiB',
      spread(own.map(({ servedMiB }) => servedMiB)),
      goal(GOALS.workerMiB),
    );
    row('all processes at rest', 'MiB', spread(own.map(({ allMiB }) => allMiB)), '');
    for (const [endpoint, words] of [
      ['http', 'idle connection'],
      ['https', 'idle TLS connection'],
    ] as const) {
      const these = own.filter((sample) => sample.endpoint === endpoint);
      if (these.length > 0)
        row(
          words,
          'KiB',
          spread(these.map((one) => one.perConnectionKiB)),
          goal(GOALS.perConnection[endpoint]),
        );
    }
  }
  return [['', 'memory', 'min..max', 'goal'], ...rows];
}
