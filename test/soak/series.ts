// What the probes of a soak run wrote, as series by process and measure, and the verdict on each.

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ProbeLine } from './probe.ts';
import { type Sample, type Trend, trendOf } from './trend.ts';

export interface Measure {
  readonly name: string;
  readonly unit: string;
  /** @param reference what the idle process wrote at about the same time */
  readonly of: (line: ProbeLine, reference: ProbeLine) => number;
  /**
   * Growth over the judged time below which nothing is said, in the unit: what one page, one compiled function or one
   * connection more or less at the moment of a sample makes.
   */
  readonly resolution: number;
  /** The same for runs that are all warm-up: code is still compiled, caches fill. */
  readonly warmingResolution: number;
}

/** Shorter runs, in minutes, are all warm-up for what a process remembers of its code and its clients. */
export const WARMING_MINUTES = 20;

const MIB = 1024 * 1024;

export const MEASURES: readonly Measure[] = [
  {
    name: 'resident memory',
    unit: 'MiB',
    of: ({ rssBytes }) => rssBytes / MIB,
    resolution: 4,
    warmingResolution: 24,
  },
  {
    name: 'heap after a collection',
    unit: 'MiB',
    of: ({ heapBytes }) => heapBytes / MIB,
    resolution: 0.25,
    warmingResolution: 6,
  },
  {
    name: 'external memory',
    unit: 'MiB',
    of: ({ externalBytes }) => externalBytes / MIB,
    resolution: 0.25,
    warmingResolution: 1,
  },
  { name: 'handles', unit: '', of: ({ handles }) => handles, resolution: 2, warmingResolution: 4 },
  {
    name: 'descriptors',
    unit: '',
    of: ({ descriptors }) => descriptors,
    resolution: 2,
    warmingResolution: 4,
  },
  { name: 'sockets', unit: '', of: ({ sockets }) => sockets, resolution: 2, warmingResolution: 4 },
  {
    name: 'event-loop delay above that of an idle process, 99th percentile',
    unit: 'ms',
    of: ({ delayP99Ms }, reference) => Math.max(0, delayP99Ms - reference.delayP99Ms),
    resolution: 5,
    warmingResolution: 20,
  },
];

export interface ProcessSeries {
  /** `worker 1234`. */
  readonly process: string;
  readonly lines: readonly ProbeLine[];
}

export interface Verdict {
  readonly process: string;
  readonly measure: Measure;
  /** Growth that is not spoken of in a run of this length. */
  readonly resolution: number;
  readonly trend: Trend;
  readonly grows: boolean;
}

/** Chance that one run raises a false alarm anywhere; each of its tests gets an equal part (Bonferroni). */
export const FALSE_ALARMS = 0.01;

export interface SoakSeries {
  readonly processes: readonly ProcessSeries[];
  readonly reference: readonly ProbeLine[];
}

/** Processes that were there to the end, the supervisor first. */
export async function readSeries(directory: string): Promise<SoakSeries> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.jsonl'));
  const series = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(path.join(directory, file), 'utf8');
      const lines = text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as ProbeLine);
      return { process: `${lines[0]?.role} ${lines[0]?.pid}`, lines };
    }),
  );
  const order = ['supervisor', 'controller', 'worker'];
  const roleOf = ({ lines }: ProcessSeries): string => lines[0]!.role;
  const processes = series
    .filter((one) => one.lines.length > 0 && order.includes(roleOf(one)))
    .sort((a, b) => order.indexOf(roleOf(a)) - order.indexOf(roleOf(b)));
  return { processes, reference: series.find((one) => roleOf(one) === 'reference')?.lines ?? [] };
}

/** Seconds since `startedAtMs` beside the value. */
export function samplesOf(
  lines: readonly ProbeLine[],
  reference: readonly ProbeLine[],
  measure: Measure,
  startedAtMs: number,
): readonly Sample[] {
  return lines.map((line) => {
    const beside = reference.find(({ atMs }) => atMs >= line.atMs) ?? reference.at(-1)!;
    return { atS: (line.atMs - startedAtMs) / 1000, value: measure.of(line, beside) };
  });
}

/** Judges everything after the warm-up, at the level that keeps false alarms of the whole run below `FALSE_ALARMS`. */
export function judge(
  { processes, reference }: SoakSeries,
  startedAtMs: number,
  warmUpS: number,
  minutes: number,
): readonly Verdict[] {
  const level = FALSE_ALARMS / (processes.length * MEASURES.length);
  return processes.flatMap(({ process, lines }) =>
    MEASURES.map((measure) => {
      const all = samplesOf(lines, reference, measure, startedAtMs);
      const trend = trendOf(all.filter(({ atS }) => atS >= warmUpS));
      const resolution = minutes < WARMING_MINUTES ? measure.warmingResolution : measure.resolution;
      return {
        process,
        measure,
        resolution,
        trend,
        grows: trend.chance < level && trend.growth > resolution,
      };
    }),
  );
}
