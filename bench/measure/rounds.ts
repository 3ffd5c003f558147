// The measurement itself: rounds with a fresh process of every subject, in which they take turns second by second.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Driver, LoadResult } from '../drivers/driver.ts';
import type { Running, Subject } from '../subjects/subject.ts';
import { readProcesses, sumTree } from './proc-stat.ts';
import { awaitAnswer, problemOf } from './verify.ts';

export interface RoundOptions {
  readonly rounds: number;
  readonly connections: number;
  readonly warmUpSeconds: number;
  /** Slices of load that each subject gets in a round. */
  readonly slices: number;
  readonly sliceSeconds: number;
  /** Cores of the subject, as taskset reads them. */
  readonly cores: string;
  readonly backendPort: number;
  readonly body: string;
  readonly driver: Driver;
  /** Told of each round's results as they come. */
  readonly onRound: (turns: readonly Turn[]) => void;
}

/** One subject in one round: the sum of its slices. */
export interface Turn {
  readonly subject: string;
  /** From 1. */
  readonly round: number;
  readonly requests: number;
  readonly seconds: number;
  /** Of the whole process tree, while the requests were made. */
  readonly userMs: number;
  readonly systemMs: number;
}

/** The subjects in turn; each time another one is first, so that none always follows the same. */
export function orderOf<T>(subjects: readonly T[], time: number): readonly T[] {
  const first = time % subjects.length;
  return [...subjects.slice(first), ...subjects.slice(0, first)];
}

/** @throws Error when any answer was wrong, missing or not recorded: then there is no result */
export async function runRounds(
  subjects: readonly Subject[],
  options: RoundOptions,
): Promise<readonly Turn[]> {
  const turns: Turn[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const ofRound = await runRound(orderOf(subjects, round - 1), round, options);
    options.onRound(ofRound);
    turns.push(...ofRound);
  }
  return turns;
}

/** A subject while its processes run. */
interface Contender {
  readonly subject: Subject;
  readonly running: Running;
  /** All requests so far, those of the warm-up included. */
  answered: number;
  turn: Turn;
}

async function runRound(
  subjects: readonly Subject[],
  round: number,
  options: RoundOptions,
): Promise<readonly Turn[]> {
  const { cores, backendPort, body, slices } = options;
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-bench-'));
  const contenders: Contender[] = [];
  try {
    for (const [index, subject] of subjects.entries()) {
      const own = path.join(directory, String(index));
      await mkdir(own);
      const running = await subject.start({ cores, backendPort, directory: own });
      const turn = { subject: subject.name, round, requests: 0, seconds: 0, userMs: 0, systemMs: 0 };
      const contender = { subject, running, answered: 0, turn };
      contenders.push(contender);
      await awaitAnswer(running.url, body, running.child);
      await load(contender, options.warmUpSeconds, options);
    }
    for (let slice = 0; slice < slices; slice += 1) {
      for (const contender of orderOf(contenders, slice)) await takeSlice(contender, options);
    }
    for (const { subject, running, answered } of contenders) {
      const problem = await problemOf(running.url, body);
      if (problem !== null) throw new Error(`${subject.name}: ${problem}`);
      await running.child.stop();
      await running.checkDuties(answered);
    }
    return contenders.map(({ turn }) => turn);
  } finally {
    for (const { running } of contenders) await running.child.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function takeSlice(contender: Contender, options: RoundOptions): Promise<void> {
  const { pid } = contender.running.child;
  const before = sumTree(readProcesses(), pid);
  const { requests, seconds } = await load(contender, options.sliceSeconds, options);
  const after = sumTree(readProcesses(), pid);
  const { turn } = contender;
  contender.turn = {
    ...turn,
    requests: turn.requests + requests,
    seconds: turn.seconds + seconds,
    userMs: turn.userMs + after.userMs - before.userMs,
    systemMs: turn.systemMs + after.systemMs - before.systemMs,
  };
}

async function load(
  contender: Contender,
  seconds: number,
  { driver, body, connections }: RoundOptions,
): Promise<LoadResult> {
  const { subject, running } = contender;
  const result = await driver.run({ url: running.url, body, connections, seconds });
  const { requests, problems } = result;
  if (requests === 0 || problems.length > 0) {
    throw new Error(
      `${subject.name}: ${problems.length === 0 ? 'no request was answered' : problems.join(', ')}`,
    );
  }
  contender.answered += requests;
  return result;
}
