// `npm run bench:growth`: CPU for each request and latencies against connections, routes, targets and more.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { readOptions } from '../../test/support/command-line.ts';
import { buildLoad } from '../drivers/go-load.ts';
import { keepResult, print, runCommand, wholeNumber } from '../measure/command.ts';
import { describeMachine, nodeVersion } from '../measure/report.ts';
import { orderOf } from '../measure/rounds.ts';
import { textTable } from '../measure/table.ts';
import { replacePart } from '../measure/write-result.ts';
import { AXES, type Axis } from './axes.ts';
import { measure, type Sample } from './measure.ts';
import { type AxisResult, axisMarkdown, axisPlot, axisTable, findingsOf, timesOne } from './report.ts';

const USAGE = `Usage: npm run bench:growth -- [OPTIONS]

  --axis A,B       leave out the others: ${AXES.map(({ name }) => name).join(', ')}
  --most N         leave out what lies beyond
  --rounds N       fresh processes at each point (3)
  --seconds N      seconds under full load, and as many at half of it, at each point (3)
  --json FILE      result file (bench/results/growth-TIME.json)
  --markdown FILE  write tables into this page, between its marks, and plots into images/ beside it
  -h, --help       print this

Linux, Go. All axes take fifty minutes, one of them one to four, targets eight, policies eighteen.
`;

const { values } = readOptions('bench:growth', USAGE, {
  options: {
    axis: { type: 'string' },
    most: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
});

const MARK = 'bench:growth';
const IMAGES = 'images';

const whole = (name: 'rounds' | 'seconds'): number => wholeNumber(name, values[name]);

function chooseAxes(): readonly Axis[] {
  const wanted = values.axis?.split(',');
  const unknown = wanted?.filter((name) => AXES.every((axis) => axis.name !== name)) ?? [];
  if (unknown.length > 0) throw new RangeError(`no such axis: ${unknown.join(', ')}`);
  const most = values.most === undefined ? Number.POSITIVE_INFINITY : Number(values.most);
  if (!(most > 0)) throw new RangeError('--most must be a number above 0');
  const upTo = (axis: Axis): Axis => ({
    ...axis,
    series: axis.series.map(({ name, points }) => ({ name, points: points.filter(({ x }) => x <= most) })),
  });
  return AXES.filter(({ name }) => wanted?.includes(name) ?? true).map(upTo);
}

/** In each round the points come in another order, so that what the machine does meanwhile bends no curve. */
async function measureAxis({ series, ...axis }: Axis, program: string): Promise<AxisResult> {
  const measured = series.flatMap(({ name, points }) =>
    points.map((point) => ({ name, ...point, samples: [] as Sample[] })),
  );
  for (let round = 0; round < whole('rounds'); round += 1) {
    for (const { name, x, setup, samples } of orderOf(measured, round)) {
      try {
        samples.push(await measure(setup, program, whole('seconds')));
      } catch (error) {
        throw new Error(`${axis.name}, ${name} at ${x}`, { cause: error });
      }
      print('.');
    }
  }
  const of = (name: string) =>
    measured.filter((point) => point.name === name).map(({ x, samples }) => ({ x, samples }));
  return { axis, series: series.map(({ name }) => ({ name, points: of(name) })) };
}

async function writePage(page: string, conditions: string, results: readonly AxisResult[]): Promise<void> {
  const images = path.join(path.dirname(page), IMAGES);
  await mkdir(images, { recursive: true });
  for (const result of results)
    await writeFile(path.join(images, `growth-${result.axis.name}.svg`), axisPlot(result));
  const parts = [conditions, ...results.map((result) => axisMarkdown(result, IMAGES))];
  await writeFile(page, replacePart(await readFile(page, 'utf8'), parts.join('\n\n'), MARK));
}

async function main(): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error('the benchmark reads CPU times from /proc and so needs Linux');
  const axes = chooseAxes();
  const program = buildLoad();
  const startedAt = new Date();
  const conditions =
    `${startedAt.toISOString().slice(0, 10)}, ${describeMachine()}, Node ${nodeVersion}; load average before the run ` +
    `${loadavg()[0]!.toFixed(1)}. ${whole('rounds')} fresh processes at each point, ${whole('seconds')} s under full load and ` +
    `${whole('seconds')} s at half of it. One worker on core 0, load and backend on the others.`;
  const results: AxisResult[] = [];
  for (const axis of axes) {
    print(`${axis.name} `);
    const result = await measureAxis(axis, program);
    print(`\n${textTable(axisTable(result))}`);
    for (const { series, shape, asExpected } of findingsOf(result))
      print(`${series}: ${shape}${asExpected ? '' : `, not ${axis.expected} as expected`}\n`);
    const times = timesOne(result);
    print(times === null ? '\n' : `${times}\n\n`);
    results.push(result);
  }
  print(`${conditions}\n`);
  await keepResult('growth', startedAt, { conditions, results }, values.json);
  if (values.markdown !== undefined) await writePage(path.resolve(values.markdown), conditions, results);
}

await runCommand({ name: 'bench', main });
