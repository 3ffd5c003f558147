// `npm run bench:compare BASE`: whether this working tree costs more CPU for each request than another commit.

import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readOptions } from '../../test/support/command-line.ts';
import { CASES, type Case } from '../cases.ts';
import { runCaseRounds } from '../drivers/case-rounds.ts';
import { buildLoad } from '../drivers/go-load.ts';
import { hasH2load } from '../drivers/h2load.ts';
import { keepResult, print, runCommand, wholeNumber } from '../measure/command.ts';
import { loadCores, PROXY_CORES } from '../measure/cores.ts';
import { describeMachine, nodeVersion } from '../measure/report.ts';
import { cpuUsOf, type Turn } from '../measure/rounds.ts';
import { median } from '../measure/statistics.ts';
import { textTable } from '../measure/table.ts';
import { type Peer, portico } from '../subjects/peer.ts';
import { checkOut } from './checkout.ts';
import { type Judgement, judge, leastRounds, type Rule } from './verdict.ts';

const USAGE = `Usage: npm run bench:compare -- [OPTIONS] BASE

  --cases A,B         of bench:peers' cases (keep-alive,new-connections,http2)
  --rounds N          rounds with fresh processes for each case (12)
  --seconds N         seconds of load that each of the two gets in a round, in turns of one second (3)
  --false-alarms P    bound on a run saying "slower" of a change that costs nothing (0.01)
  --effect P          least change that is called slower or faster (0.02)
  --json FILE         result file (bench/results/compare-TIME.json)
  -h, --help          print this

BASE names a commit. Linux, Go; eight minutes. Exit code 1: slower in at least one case; 2: there is no result.
`;

const { values, positionals } = readOptions('bench:compare', USAGE, {
  allowPositionals: true,
  options: {
    cases: { type: 'string', default: 'keep-alive,new-connections,http2' },
    rounds: { type: 'string', default: '12' },
    seconds: { type: 'string', default: '3' },
    'false-alarms': { type: 'string', default: '0.01' },
    effect: { type: 'string', default: '0.02' },
    json: { type: 'string' },
  },
});

const BASE = 'base';
const CHANGE = 'this tree';
const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

interface CaseResult {
  readonly name: string;
  readonly baseUs: number;
  readonly changeUs: number;
  readonly ratios: readonly number[];
  readonly judgement: Judgement;
}

const whole = (name: 'rounds' | 'seconds'): number => wholeNumber(name, values[name]);

function share(name: 'false-alarms' | 'effect'): number {
  const value = Number(values[name]);
  if (!(value > 0 && value < 1)) throw new RangeError(`--${name} must lie between 0 and 1`);
  return value;
}

function chooseCases(): readonly Case[] {
  const chosen = values.cases.split(',').map((wanted) => {
    const one = CASES.find(({ name }) => name === wanted);
    if (one === undefined) throw new RangeError(`no such case: ${wanted}`);
    return one;
  });
  return chosen.filter(({ name, load }) => {
    if (load.kind !== 'http2' || hasH2load()) return true;
    print(`${name}: h2load is not installed, left out\n`);
    return false;
  });
}

/** Chance says who comes first in a round: only then does a round of two equal programs favour neither. */
const byChance = (peers: readonly Peer[]): readonly Peer[] =>
  Math.random() < 0.5 ? peers : peers.toReversed();

async function measure(
  one: Case,
  entry: URL,
  rule: Rule,
  place: { readonly program: string; readonly cores: string },
): Promise<CaseResult> {
  const turns = await runCaseRounds(one, [portico(BASE, entry), portico(CHANGE)], PROXY_CORES, place, {
    rounds: whole('rounds'),
    warmUpSeconds: 2,
    // The two change places from slice to slice: A B, B A, A B.
    slices: whole('seconds'),
    sliceSeconds: 1,
    order: byChance,
    onRound: () => print('.'),
  });
  const of = (subject: string): readonly Turn[] => turns.filter((turn) => turn.subject.startsWith(subject));
  const [base, change] = [of(BASE), of(CHANGE)];
  const ratios = change.map(
    (turn) => cpuUsOf(turn) / cpuUsOf(base.find(({ round }) => round === turn.round)!),
  );
  return {
    name: one.name,
    baseUs: median(base.map(cpuUsOf)),
    changeUs: median(change.map(cpuUsOf)),
    ratios,
    judgement: judge(ratios, rule),
  };
}

const percent = (value: number): string => `${value < 0 ? '' : '+'}${(value * 100).toFixed(1)}%`;

function tableOf(results: readonly CaseResult[]): string {
  const rows = results.map(({ name, baseUs, changeUs, judgement: { change, low, high, verdict } }) => [
    ...[name, baseUs.toFixed(1), changeUs.toFixed(1), percent(change)],
    ...[`${percent(low)}..${percent(high)}`, verdict],
  ]);
  return textTable([['', `${BASE}, CPU us`, `${CHANGE}, CPU us`, 'change', 'between', 'verdict'], ...rows]);
}

async function main(): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error('the benchmark reads CPU times from /proc and so needs Linux');
  const [base] = positionals;
  if (base === undefined || positionals.length > 1)
    throw new RangeError(`one commit to compare with\n${USAGE}`);
  const cases = chooseCases();
  const rule = { falseAlarms: share('false-alarms'), cases: cases.length, leastEffect: share('effect') };
  const least = leastRounds(rule);
  if (whole('rounds') < least) throw new RangeError(`under this bound it takes ${least} rounds or more`);
  const place = { program: buildLoad(), cores: loadCores() };
  const startedAt = new Date();
  const [loadBefore = 0] = loadavg();
  const directory = mkdtempSync(path.join(tmpdir(), 'portico-compare-'));
  const checkout = checkOut(REPOSITORY, base, path.join(directory, 'base'));
  // At the very end, however that comes: git keeps a note of every working tree until it is told.
  process.once('exit', () => {
    checkout.remove();
    rmSync(directory, { recursive: true, force: true });
  });
  const entry = pathToFileURL(path.join(checkout.directory, 'src/portico.js'));
  const results: CaseResult[] = [];
  for (const one of cases) {
    print(`${one.name}: ${one.about} `);
    results.push(await measure(one, entry, rule, place));
    print('\n');
  }
  const conditions =
    `${base} is ${checkout.commit}. ${describeMachine()}, Node ${nodeVersion}; load average before the run ${loadBefore.toFixed(1)}. ` +
    `${whole('rounds')} rounds with fresh processes, ${whole('seconds')} s for each in a round. A run says "slower" of a change ` +
    `that costs nothing with a chance of at most ${rule.falseAlarms}; changes below ${percent(rule.leastEffect).slice(1)} are not called so.`;
  print(`\n${tableOf(results)}\n${conditions}\n`);
  await keepResult('compare', startedAt, { conditions, rule, results }, values.json);
  if (results.some(({ judgement }) => judgement.verdict === 'slower')) process.exitCode = 1;
}

await runCommand({ name: 'bench', main, failure: 2 });
