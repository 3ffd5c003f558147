// `npm run bench:peers`: Portico beside HAProxy, nginx, Envoy, Traefik and Caddy with the same duties, case by case.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { readOptions } from '../test/support/command-line.ts';
import { CASES, type Case } from './cases.ts';
import { runCaseRounds } from './drivers/case-rounds.ts';
import { buildLoad } from './drivers/go-load.ts';
import { hasH2load } from './drivers/h2load.ts';
import { barChart } from './measure/bar-chart.ts';
import { keepResult, messageOf, print, runCommand, wholeNumber } from './measure/command.ts';
import { loadCores, PROXY_CORES } from './measure/cores.ts';
import { type PeerRow, peerRows, peerTable } from './measure/peer-rows.ts';
import { describeMachine, nodeVersion } from './measure/report.ts';
import { markdownTable, textTable } from './measure/table.ts';
import { replacePart } from './measure/write-result.ts';
import { NODE_SCRIPTS } from './subjects/node-scripts.ts';
import { findPeers, type Peer, portico } from './subjects/peer.ts';

const USAGE = `Usage: npm run bench:peers -- [OPTIONS]

  --cases A,B      leave out the others: ${CASES.map(({ name }) => name).join(', ')}
  --peers A,B      only peers whose name begins so (Portico always takes part); "goals" for those that a case has a goal for
  --rounds N       interleaved rounds with fresh processes (5)
  --warm-up N      seconds of load for each fresh process before those that count (4); what V8 runs gets
                   more until its compiler is quiet, a minute at most
  --slices N       seconds of load that each proxy gets in a round, one at a time (3)
  --against FILE   another checkout's src/portico.js, measured as "portico (other)"
  --markdown FILE  write the tables into this page, between its marks, and charts beside it
  -h, --help       print this

Linux, Go; all cases take more than an hour. bench/peers/install.sh brings the peers; those that are missing are named and
left out.
`;

const { values } = readOptions('bench:peers', USAGE, {
  options: {
    cases: { type: 'string' },
    peers: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '4' },
    slices: { type: 'string', default: '3' },
    against: { type: 'string' },
    markdown: { type: 'string' },
  },
});

const MARK = 'bench:peers';
/** A value of `--peers`. */
const ONLY_GOALS = 'goals';

interface CaseResult {
  readonly case: Case;
  readonly rows: readonly PeerRow[];
  /** Names of those that cannot do it. */
  readonly unable: readonly string[];
}

const whole = (name: 'rounds' | 'slices' | 'warm-up'): number => wholeNumber(name, values[name]);

function chooseCases(): readonly Case[] {
  const wanted = values.cases?.split(',');
  const unknown = wanted?.filter((name) => CASES.every((one) => one.name !== name)) ?? [];
  if (unknown.length > 0) throw new RangeError(`no such case: ${unknown.join(', ')}`);
  return CASES.filter(({ name }) => wanted?.includes(name) ?? true);
}

function choosePeers(): readonly Peer[] {
  const { peers, missing } = findPeers();
  if (missing.length > 0) print(`not installed and left out: ${missing.join(', ')}\n`);
  const wanted = values.peers === ONLY_GOALS ? undefined : values.peers?.split(',');
  const chosen = [...peers, ...NODE_SCRIPTS.map(compiled)].filter(
    ({ name }) => wanted?.some((begin) => name.startsWith(begin)) ?? true,
  );
  const other =
    values.against === undefined
      ? []
      : [portico('portico (other)', pathToFileURL(path.resolve(values.against)))];
  return [...[portico(), ...other].map(compiled), ...chosen];
}

const compiled = (peer: Peer): Peer => ({ ...peer, compiles: true });

async function runPeers(
  one: Case,
  peers: readonly Peer[],
  cores: string,
  program: string,
): Promise<CaseResult> {
  const turns = await runCaseRounds(
    one,
    peers,
    PROXY_CORES,
    { program, cores },
    {
      rounds: whole('rounds'),
      warmUpSeconds: whole('warm-up'),
      slices: whole('slices'),
      sliceSeconds: 1,
      onRound: () => print('.'),
    },
  );
  const unable = peers.filter(({ speaks }) => !speaks.has(one.endpoint)).map(({ name }) => name);
  return { case: one, rows: peerRows(turns, portico().name, one.goals), unable };
}

const leftOut = (unable: readonly string[]): string =>
  unable.length === 0 ? '' : `\nThey do not speak it and are left out: ${unable.join(', ')}.\n`;

async function writePage(page: string, conditions: string, results: readonly CaseResult[]): Promise<void> {
  const charts = path.join(path.dirname(page), 'charts');
  await mkdir(charts, { recursive: true });
  const parts = [conditions];
  for (const { case: one, rows, unable } of results) {
    const bars = rows.map(({ peer, cpuUs }) => ({
      label: peer,
      value: cpuUs.median,
      min: cpuUs.min,
      max: cpuUs.max,
      own: peer === portico().name,
    }));
    await writeFile(path.join(charts, `${one.name}.svg`), barChart(one.about, `CPU us a ${one.unit}`, bars));
    parts.push(
      `#### ${one.about}\n\n![${one.name}](charts/${one.name}.svg)\n\n${markdownTable(peerTable(rows))}${leftOut(unable)}`,
    );
  }
  await writeFile(page, replacePart(await readFile(page, 'utf8'), parts.join('\n\n'), MARK));
}

async function main(): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error('the benchmark reads CPU times from /proc and so needs Linux');
  const peers = choosePeers();
  const program = buildLoad();
  const cores = loadCores();
  const startedAt = new Date();
  const conditions =
    `${startedAt.toISOString().slice(0, 10)}, ${describeMachine()}, Node ${nodeVersion}; load average before the run ` +
    `${loadavg()[0]!.toFixed(1)}. ${whole('rounds')} rounds with fresh processes, each proxy ${whole('slices')} s in a ` +
    `round, in turns of one second, after ${whole('warm-up')} s of warm-up, ` +
    `and for what V8 runs until its compiler is quiet; proxies on core 0, load and backend on the others.`;
  const results: CaseResult[] = [];
  const ofCase = ({ goals }: Case): readonly Peer[] =>
    peers.filter(
      ({ name }) =>
        values.peers !== ONLY_GOALS ||
        name.startsWith(portico().name) ||
        Object.keys(goals).some((begin) => name.startsWith(begin)),
    );
  for (const one of chooseCases()) {
    if (one.load.kind === 'http2' && !hasH2load()) {
      print(`${one.name}: h2load is not installed, left out\n`);
      continue;
    }
    print(`\n${one.name}: ${one.about} `);
    try {
      const result = await runPeers(one, ofCase(one), cores, program);
      print(`\n${textTable(peerTable(result.rows))}${leftOut(result.unable)}`);
      results.push(result);
    } catch (error) {
      // The hour that the others took is not lost.
      process.stderr.write(`\n${one.name} has no result: ${messageOf(error)}\n`);
      process.exitCode = 1;
    }
  }
  print(`\n${conditions}\n`);
  await keepResult('peers', startedAt, { conditions, results });
  if (values.markdown !== undefined) await writePage(path.resolve(values.markdown), conditions, results);
}

await runCommand({ name: 'bench', main });
