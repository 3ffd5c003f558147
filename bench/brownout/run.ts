// `npm run bench:brownout`: half of a pool's targets become slow or fail, with and without what Portico does about it.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { Portico } from '../../test/integration/portico.ts';
import { readOptions } from '../../test/support/command-line.ts';
import { type PlotPanel, renderPlot } from '../measure/line-plot.ts';
import { describeMachine, nodeVersion } from '../measure/report.ts';
import { markdownTable } from '../measure/table.ts';
import { type Asked, askAtRate } from './load.ts';
import { BrownTarget, type Mood } from './targets.ts';

const TARGETS = 6;
const PER_SECOND = 60;
const RUN_MS = 26_000;
/** When half of the targets change their mood, and when they are sound again. */
const FROM_MS = 5000;
const UNTIL_MS = 18_000;
/** A success that takes longer is none to whoever waits for it. */
const SOON_MS = 500;
const MARKS = [
  '<!-- brownout: begin, made by `npm run bench:brownout -- --markdown FILE` -->',
  '<!-- brownout: end -->',
] as const;

interface Variant {
  readonly name: string;
  readonly pool: object;
  readonly rule: object;
}

/** Both answer within a second or not at all; the policy is the default. */
const TIMEOUTS = { responseHeader: '1s' };
const VARIANTS: readonly Variant[] = [
  {
    name: 'without',
    pool: { ejection: { gatewayErrors: 0, connectFailures: 0 }, panicThreshold: 0, timeouts: TIMEOUTS },
    rule: { retry: { attempts: 0 } },
  },
  {
    name: 'with',
    // The defaults of ejection, panic and budget; the statuses to retry are a rule's own choice.
    pool: { timeouts: TIMEOUTS, connections: { perTarget: 64 } },
    rule: { retry: { attempts: 2, statuses: [503] } },
  },
];
const MOODS: readonly Exclude<Mood, 'sound'>[] = ['failing', 'slow'];

interface Result {
  readonly mood: string;
  readonly variant: string;
  readonly asked: readonly Asked[];
  readonly ejections: number;
  readonly retries: number;
  readonly exhausted: number;
}

async function run(mood: Mood, variant: Variant): Promise<Result> {
  const targets = await Promise.all(Array.from({ length: TARGETS }, () => BrownTarget.start()));
  const portico = await Portico.start(
    {
      workers: 1,
      stateDirectory: null,
      admin: { bind: '127.0.0.1:0' },
      log: { access: { path: 'off' } },
      listeners: [{ name: 'web', bind: '127.0.0.1:0', protocol: 'http' }],
      pools: [{ name: 'app', sources: [{ static: targets.map(({ at }) => at) }], ...variant.pool }],
      routes: [{ name: 'all', hosts: ['*'], rules: [{ ...variant.rule, pools: [{ name: 'app' }] }] }],
    },
    'info',
    {},
    1,
  );
  try {
    const half = targets.slice(0, TARGETS / 2);
    const asked = await askAtRate(portico.port(), PER_SECOND, RUN_MS, (atMs) => {
      const now = atMs >= FROM_MS && atMs < UNTIL_MS ? mood : 'sound';
      for (const target of half) target.mood = now;
    });
    return {
      mood,
      variant: variant.name,
      asked,
      ejections: await portico.metric('portico_ejections_total'),
      retries: await portico.metric('portico_retries_total'),
      exhausted: await portico.metric('portico_retry_budget_exhausted_total'),
    };
  } finally {
    await portico.close();
    for (const target of targets) await target.close();
  }
}

const isGood = ({ status, tookMs }: Asked): boolean => status === 200 && tookMs <= SOON_MS;
const share = (asked: readonly Asked[], fits: (one: Asked) => boolean): number =>
  asked.filter(fits).length / asked.length;

function quantile(asked: readonly Asked[], part: number): number {
  const sorted = asked.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

function rows(results: readonly Result[]): readonly (readonly string[])[] {
  const body = results.map(({ mood, variant, asked, ejections, retries, exhausted }) => {
    const brown = asked.filter(({ atMs }) => atMs >= FROM_MS && atMs < UNTIL_MS);
    const settled = brown.filter(({ atMs }) => atMs >= FROM_MS + 5000);
    const percent = (value: number): string => `${(value * 100).toFixed(1)}%`;
    return [
      `half are ${mood}, ${variant}`,
      percent(share(brown, ({ status }) => status === 200)),
      percent(share(brown, isGood)),
      percent(share(settled, isGood)),
      quantile(brown, 0.5).toFixed(0),
      quantile(brown, 0.95).toFixed(0),
      quantile(brown, 0.99).toFixed(0),
      String(ejections),
      String(retries),
      String(exhausted),
    ];
  });
  return [
    [
      '',
      'answered 200',
      `within ${SOON_MS} ms`,
      'the same after 5 s',
      'p50 ms',
      'p95 ms',
      'p99 ms',
      'ejections',
      'retries',
      'budget used up',
    ],
    ...body,
  ];
}

function plot(results: readonly Result[]): string {
  const shaded = [{ from: FROM_MS / 1000, to: UNTIL_MS / 1000 }];
  const perSecond = (result: Result, of: (asked: readonly Asked[]) => number) =>
    [...Map.groupBy(result.asked, ({ atMs }) => Math.floor(atMs / 1000))].map(([second, asked]) => ({
      x: second,
      y: of(asked),
    }));
  const panels = MOODS.flatMap((mood): PlotPanel[] => {
    const those = results.filter((result) => result.mood === mood);
    const lines = (of: (asked: readonly Asked[]) => number): PlotPanel['lines'] =>
      those.map((result) => ({ name: result.variant, points: perSecond(result, of) }));
    return [
      {
        title: `Half are ${mood}: good answers, %`,
        shaded,
        lines: lines((asked) => share(asked, isGood) * 100),
      },
      { title: `Half are ${mood}: p95, ms`, shaded, lines: lines((asked) => quantile(asked, 0.95)) },
    ];
  });
  return renderPlot({ title: 'Brown-out of half of the targets', xTitle: 'seconds', panels, columns: 2 });
}

const USAGE = `Usage: npm run bench:brownout -- [OPTIONS]

  --markdown FILE  write the report into this page, between its marks, and the plot beside it
  -h, --help       print this

Two minutes.
`;

const { values } = readOptions('bench:brownout', USAGE, { options: { markdown: { type: 'string' } } });
const results: Result[] = [];
for (const mood of MOODS) for (const variant of VARIANTS) results.push(await run(mood, variant));
const date = new Date().toISOString().slice(0, 10);
const report = `${date}, ${describeMachine()}, Node ${nodeVersion}; ${PER_SECOND} requests a second to ${TARGETS} targets, one worker.\n\n${markdownTable(rows(results))}`;
process.stdout.write(`${report}\n`);
if (values.markdown !== undefined) {
  const page = await readFile(values.markdown, 'utf8');
  const [begin, end] = MARKS.map((mark) => page.indexOf(mark)) as [number, number];
  if (begin < 0 || end < begin) throw new Error(`${values.markdown} lacks the marks ${MARKS.join(' and ')}`);
  const picture = `${path.basename(values.markdown, '.md')}.svg`;
  const text = `${MARKS[0]}\n\n${report}\n![Good answers and p95 over time](${picture})\n\n`;
  await writeFile(values.markdown, page.slice(0, begin) + text + page.slice(end));
  await writeFile(path.join(path.dirname(values.markdown), picture), plot(results));
}
