// `npm run soak -- --minutes N`: the whole program under mixed traffic and constant change, and whether anything grows.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeMachine, nodeVersion } from '../../bench/measure/report.ts';
import { Portico } from '../integration/portico.ts';
import { certificateFor } from '../support/certificates.ts';
import { readOptions, wrongUsage } from '../support/command-line.ts';
import { Churn, configurationOf, type World } from './churn.ts';
import { type SoakRun, soakPlot, soakReport } from './report.ts';
import { judge, readSeries } from './series.ts';
import { EchoTarget, Http2Target, HttpTarget } from './targets.ts';
import { type Outcome, Traffic } from './traffic.ts';

const TARGETS = 5;
const WORKERS = 2;
/** Jobs that may fail: a target that leaves may close a connection under a request that must not be repeated. */
const FAILED_SHARE = 0.002;
const MARKS = [
  '<!-- soak: begin, made by `npm run soak -- --markdown FILE` -->',
  '<!-- soak: end -->',
] as const;

const USAGE = `Usage: npm run soak -- [OPTIONS]

  --minutes N      length of the run, 1 to 1440 (10)
  --rate N         jobs a second, of all kinds together (60)
  --change N       seconds between two changes (2)
  --markdown FILE  renews the report in this page, with its plot beside it; without it, both go to test/soak/results
  -h, --help       print this

Linux. Exit code 1: something grows or failed.
`;

interface Options {
  readonly minutes: number;
  readonly perSecond: number;
  readonly changeMs: number;
  readonly markdown: string | null;
}

function optionsOf(): Options {
  const { values } = readOptions('soak', USAGE, {
    options: {
      minutes: { type: 'string', default: '10' },
      rate: { type: 'string', default: '60' },
      change: { type: 'string', default: '2' },
      markdown: { type: 'string' },
    },
  });
  const [minutes, perSecond, changeS] = [values.minutes, values.rate, values.change].map(Number) as [
    number,
    number,
    number,
  ];
  if (!(minutes >= 1 && minutes <= 1440)) wrongUsage('soak', '--minutes must lie between 1 and 1440');
  if (!(perSecond > 0 && changeS > 0)) wrongUsage('soak', '--rate and --change must be above 0');
  return { minutes, perSecond, changeMs: changeS * 1000, markdown: values.markdown ?? null };
}

async function soak(options: Options): Promise<SoakRun> {
  const { minutes, perSecond, changeMs } = options;
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-soak-'));
  const probes = path.join(directory, 'probes');
  await mkdir(probes);
  // About 240 samples: a full collection for each is cheap then, and every window of the test has ten.
  const periodMs = Math.max(1000, (minutes * 60_000) / 240);
  process.env['NODE_OPTIONS'] = `--import=${path.join(import.meta.dirname, 'probe.ts')}`;
  process.env['PORTICO_SOAK_DIRECTORY'] = probes;
  process.env['PORTICO_SOAK_PERIOD_MS'] = String(periodMs);
  const world = await createWorld(directory);
  const startedAtMs = Date.now();
  // It has the probe like the others, and nothing to do.
  const idle = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const portico = await Portico.start(configurationOf(world, 0));
  const ports = { web: portico.port('web'), secure: portico.port('secure'), tunnel: portico.port('tunnel') };
  const problems: string[] = [];
  try {
    const before = await portico.processes();
    const traffic = new Traffic(ports, perSecond, Math.random);
    const churn = new Churn(portico, world, changeMs);
    for (let minute = 1; minute <= minutes; minute += 1) {
      await sleep(60_000);
      process.stderr.write(`${minute} of ${minutes} minutes, ${traffic.done} jobs\n`);
      if (portico.ended) break;
    }
    await churn.stop();
    await traffic.stop();
    const after = await portico.processes();
    if (portico.ended) problems.push('the program ended by itself');
    else if (before.join() !== after.join())
      problems.push(`processes were replaced: ${before.join(' ')} became ${after.join(' ')}`);
    const warmUpS = Math.min(900, minutes * 30);
    const series = await readSeries(probes);
    const verdicts = judge(series, startedAtMs, warmUpS, minutes);
    const { length } = series.processes;
    if (length !== WORKERS + 2) problems.push(`${length} processes wrote samples`);
    for (const { process: name, measure, trend, grows } of verdicts) {
      if (grows)
        problems.push(
          `${measure.name} of ${name} grows by ${trend.slopePerHour.toFixed(2)} ${measure.unit} an hour`,
        );
    }
    problems.push(...failuresOf(traffic.outcomes));
    const bad = portico.log.filter(({ code }) => BAD_CODES.includes(code ?? ''));
    for (const { code, message } of bad.slice(0, 10)) problems.push(`log line ${code}: ${message}`);
    const left = await portico.close();
    if (left.length > 0) problems.push(`processes outlived the program: ${left.join(' ')}`);
    const { outcomes } = traffic;
    const changes = { ...churn.counts };
    return {
      startedAtMs,
      minutes,
      warmUpS,
      perSecond,
      machine: describeMachine(),
      node: nodeVersion,
      series,
      verdicts,
      outcomes,
      changes,
      problems,
    };
  } finally {
    await portico.close();
    idle.kill();
    for (const target of world.targets) await target.close();
    await world.modern.close();
    await world.echo.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Log lines that a healthy run never has. */
const BAD_CODES = [
  'worker-died',
  'controller-died',
  'snapshot-rejected',
  'reload-failed',
  'internal',
  'bind-failed',
];

async function createWorld(directory: string): Promise<World> {
  const pair = await certificateFor('soak');
  const certificate = { cert: path.join(directory, 'cert.pem'), key: path.join(directory, 'key.pem') };
  await writeFile(certificate.cert, pair.cert);
  await writeFile(certificate.key, pair.key);
  const targets = await Promise.all(Array.from({ length: TARGETS }, () => HttpTarget.start()));
  const [modern, echo] = await Promise.all([Http2Target.start(), EchoTarget.start()]);
  return { targets, modern, echo, certificate, directory };
}

function failuresOf(outcomes: ReadonlyMap<string, Outcome>): readonly string[] {
  const all = [...outcomes.values()];
  const done = all.reduce((sum, outcome) => sum + outcome.done, 0);
  const failed = all.reduce((sum, outcome) => sum + outcome.failed, 0);
  const idle = [...outcomes]
    .filter((entry) => entry[1].done === 0)
    .map(([name]) => `no job "${name}" was done`);
  if (failed <= done * FAILED_SHARE) return idle;
  return [...idle, `${failed} jobs failed beside ${done} that were done`];
}

/** Puts the report between the marks of the page, or into a folder of its own. */
async function keep(run: SoakRun, markdown: string | null): Promise<string> {
  if (markdown === null) {
    const results = path.join(import.meta.dirname, 'results');
    await mkdir(results, { recursive: true });
    await writeFile(path.join(results, 'soak.svg'), soakPlot(run));
    await writeFile(path.join(results, 'soak.md'), soakReport(run, 'soak.svg'));
    return results;
  }
  const page = await readFile(markdown, 'utf8');
  const [begin, end] = MARKS.map((mark) => page.indexOf(mark)) as [number, number];
  if (begin < 0 || end < begin) throw new Error(`${markdown} lacks the marks ${MARKS.join(' and ')}`);
  const plot = `${path.basename(markdown, '.md')}.svg`;
  const report = `${MARKS[0]}\n\n${soakReport(run, plot)}\n`;
  await writeFile(markdown, page.slice(0, begin) + report + page.slice(end));
  await writeFile(path.join(path.dirname(markdown), plot), soakPlot(run));
  return markdown;
}

const options = optionsOf();
const run = await soak(options);
const where = await keep(run, options.markdown);
process.stdout.write(`${soakReport(run, 'soak.svg')}\nkept in ${where}\n`);
process.exit(run.problems.length === 0 ? 0 : 1);
