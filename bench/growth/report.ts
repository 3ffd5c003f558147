// The growth benchmark for people: a table and a plot for each axis, and where a curve is not as it should be.

import { type Plot, renderPlot } from '../measure/line-plot.ts';
import { type Spread, spread } from '../measure/statistics.ts';
import { markdownTable } from '../measure/table.ts';
import type { Axis } from './axes.ts';
import type { Sample } from './measure.ts';
import { lineOf, type Shape, shapeOf } from './shape.ts';

export interface AxisResult {
  readonly axis: Pick<Axis, 'name' | 'title' | 'expected' | 'why' | 'twoWorkers'>;
  readonly series: readonly {
    readonly name: string;
    /** Samples of all rounds at each point. */
    readonly points: readonly { readonly x: number; readonly samples: readonly Sample[] }[];
  }[];
}

const HEADING = [
  '',
  'CPU us',
  'min..max',
  'to the first',
  'requests/s',
  'p50 ms',
  'p99 ms',
  'workers MiB',
  'beside',
];

type Series = AxisResult['series'][number];

const over = ({ samples }: Series['points'][number], value: keyof Sample): Spread =>
  spread(samples.map((sample) => sample[value]));

/** Rows of text; the first one is the heading. */
export function axisTable({ series }: AxisResult): readonly (readonly string[])[] {
  const rows = series.flatMap(({ name, points }) =>
    points.map((point) => {
      const cpu = over(point, 'cpuUs');
      return [
        series.length === 1 ? String(point.x) : `${name}, ${point.x}`,
        cpu.median.toFixed(1),
        `${cpu.min.toFixed(1)}..${cpu.max.toFixed(1)}`,
        (cpu.median / over(points[0]!, 'cpuUs').median).toFixed(2),
        over(point, 'perSecond').median.toFixed(0),
        over(point, 'p50Ms').median.toFixed(2),
        over(point, 'p99Ms').median.toFixed(2),
        over(point, 'workersMiB').median.toFixed(0),
        `${(over(point, 'besideShare').median * 100).toFixed(0)}%`,
      ];
    }),
  );
  return [HEADING, ...rows];
}

export interface Finding {
  readonly series: string;
  readonly shape: Shape;
  /** Whether it is what the axis expects, or better. */
  readonly asExpected: boolean;
  /** CPU for each request as a line over x: where it begins, and what each unit adds. Microseconds. */
  readonly startUs: number;
  readonly perUnitUs: number;
}

/** Of every series with two points or more; a single one has no shape. */
export function findingsOf({ axis, series }: AxisResult): readonly Finding[] {
  const curves = series.filter(({ points }) => points.length > 1);
  return curves.map(({ name, points }) => {
    const curve = points.map((point) => ({ x: point.x, y: over(point, 'cpuUs').median }));
    const shape = shapeOf(curve);
    const line = lineOf(curve);
    return {
      series: name,
      shape,
      asExpected: shape === 'flat' || shape === axis.expected,
      startUs: line(0),
      perUnitUs: line(1) - line(0),
    };
  });
}

/** Microseconds of CPU for one request, of every process. */
const wholeTreeUs = ({ cpuUs, besideShare, perSecond }: Sample): number =>
  cpuUs + (besideShare * 1e6) / perSecond;

/**
 * How many times as much as one worker two can do, each on a core of its own, from what a request costs in CPU; null for an
 * axis that does not count workers. Rounds are compared one by one.
 */
export function timesOne({ axis, series }: AxisResult): string | null {
  const [one, two] = [1, 2].map((workers) => series[0]?.points.find(({ x }) => x === workers)?.samples ?? []);
  if (axis.twoWorkers === undefined || one!.length === 0 || one!.length !== two!.length) return null;
  const by = (us: (sample: Sample) => number): Spread =>
    spread(one!.map((sample, round) => (2 * us(sample)) / us(two![round]!)));
  const told = ({ median, min, max }: Spread): string =>
    `${median.toFixed(2)} (${min.toFixed(2)}..${max.toFixed(2)})`;
  const all = by(wholeTreeUs);
  return (
    `Two workers on cores of their own: ${told(all)} times one by the CPU of all processes, ${told(by(({ cpuUs }) => cpuUs))} ` +
    `by that of the workers; the goal is ${axis.twoWorkers}${all.median >= axis.twoWorkers ? ', reached' : ''}.`
  );
}

export function axisPlot({ axis, series }: AxisResult): string {
  const panel = (title: string, value: keyof Sample): Plot['panels'][number] => ({
    title,
    lines: series.map(({ name, points }) => ({
      name,
      points: points.map((point) => ({ x: point.x, y: over(point, value).median })),
    })),
  });
  return renderPlot({
    title: axis.name,
    xTitle: axis.title,
    panels: [
      panel('CPU of the workers, us a request', 'cpuUs'),
      panel('p99 at half of saturation, ms', 'p99Ms'),
    ],
    columns: 2,
  });
}

function words({ series, shape, asExpected, startUs, perUnitUs }: Finding, many: boolean): string {
  const line =
    shape === 'linear' ? `, ${startUs.toFixed(1)} us and ${perUnitUs.toPrecision(2)} us for each unit` : '';
  return `${many ? `${series}: ` : ''}${asExpected ? shape : `**${shape}**`}${line}`;
}

/** @param images path from the page to its plots */
export function axisMarkdown(result: AxisResult, images: string): string {
  const { axis, series } = result;
  const findings = findingsOf(result).map((finding) => words(finding, series.length > 1));
  const times = timesOne(result);
  return [
    `### ${axis.name}: ${axis.title}`,
    `Expected: ${axis.expected}. ${axis.why} ${findings.length === 0 ? 'One point has no shape.' : `Found: ${findings.join('; ')}.`}${times === null ? '' : ` ${times}`}`,
    `![${axis.name}](${images}/growth-${axis.name}.svg)`,
    markdownTable(axisTable(result)).trimEnd(),
  ].join('\n\n');
}
