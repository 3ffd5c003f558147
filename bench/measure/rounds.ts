// The measurement itself: rounds with a fresh process of every subject, in which they take turns second by second.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LoadResult } from '../drivers/driver.ts';
import type { Child } from './child.ts';
import { readProcesses, sumTree } from './proc-stat.ts';
import { settleCompiler } from './settled-compiler.ts';

/** What is done with a subject; `R` is a subject that runs. */
export interface Discipline<S, R extends { readonly child: Child }> {
  /** @param directory an empty one for whatever it writes */
  start(subject: S, directory: string): Promise<R>;
  /** Waits for its first right answer. */
  ready(running: R): Promise<void>;
  load(running: R, seconds: number): Promise<LoadResult>;
  /** Before it is stopped: throws when its answers are not right any more. */
  verify(running: R): Promise<void>;
  /** After it has ended: throws when it has not done its duties for so many requests. */
  checkDuties(running: R, requests: number): Promise<void>;
}

export interface RoundOptions<S = unknown> {
  readonly rounds: number;
  readonly warmUpSeconds: number;
  /** Slices of load that each subject gets in a round. */
  readonly slices: number;
  readonly sliceSeconds: number;
  /** Who comes first in a round, from 0; without it the subjects take turns. */
  readonly order?: (subjects: readonly S[], round: number) => readonly S[];
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

/** Microseconds of CPU for one request. */
export function cpuUsOf({ userMs, systemMs, requests }: Turn): number {
  return ((userMs + systemMs) * 1000) / requests;
}

/** The subjects in turn; each time another one is first, so that none always follows the same. */
export function orderOf<T>(subjects: readonly T[], time: number): readonly T[] {
  const first = time % subjects.length;
  return [...subjects.slice(first), ...subjects.slice(0, first)];
}

/** What is measured. */
export interface Measured {
  readonly name: string;
  /** V8 runs it: its warm-up lasts until V8's compiler has little to do (`settled-compiler.ts`). */
  readonly compiles?: boolean;
}

/** @throws Error when any answer was wrong, missing or not recorded: then there is no result */
export async function runRounds<S extends Measured, R extends { readonly child: Child }>(
  subjects: readonly S[],
  discipline: Discipline<S, R>,
  options: RoundOptions<S>,
): Promise<readonly Turn[]> {
  const order = options.order ?? orderOf<S>;
  const turns: Turn[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const ofRound = await runRound(order(subjects, round - 1), round, discipline, options);
    options.onRound(ofRound);
    turns.push(...ofRound);
  }
  return turns;
}

/** A subject while its processes run. */
interface Contender<R> {
  readonly name: string;
  readonly running: R;
  /** All requests so far, those of the warm-up included. */
  answered: number;
  turn: Turn;
}

async function runRound<S extends Measured, R extends { readonly child: Child }>(
  subjects: readonly S[],
  round: number,
  discipline: Discipline<S, R>,
  { slices, sliceSeconds, warmUpSeconds }: RoundOptions<S>,
): Promise<readonly Turn[]> {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-bench-'));
  const contenders: Contender<R>[] = [];
  try {
    for (const [index, subject] of subjects.entries()) {
      const own = path.join(directory, String(index));
      await mkdir(own);
      const running = await discipline.start(subject, own);
      const { name } = subject;
      const turn = { subject: name, round, requests: 0, seconds: 0, userMs: 0, systemMs: 0 };
      const contender = { name, running, answered: 0, turn };
      contenders.push(contender);
      try {
        await discipline.ready(running);
      } catch (error) {
        throw new Error(name, { cause: error });
      }
      await warmUp(contender, warmUpSeconds, discipline);
      if (subject.compiles === true)
        await settleCompiler(running.child.pid, (seconds) => load(contender, seconds, discipline));
    }
    for (let slice = 0; slice < slices; slice += 1) {
      for (const contender of orderOf(contenders, slice))
        await takeSlice(contender, sliceSeconds, discipline);
    }
    for (const { name, running, answered } of contenders) {
      try {
        await discipline.verify(running);
        await running.child.stop();
        await discipline.checkDuties(running, answered);
      } catch (error) {
        throw new Error(name, { cause: error });
      }
    }
    return contenders.map(({ turn }) => turn);
  } finally {
    for (const { running } of contenders) await running.child.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

const WARM_UPS = 5;

/** On a machine that is busy otherwise, a proxy that has just started may need all of the first one for its handshakes. */
async function warmUp<R extends { readonly child: Child }>(
  contender: Contender<R>,
  seconds: number,
  discipline: Pick<Discipline<never, R>, 'load'>,
): Promise<void> {
  for (let left = WARM_UPS; ; left -= 1) {
    const result = await discipline.load(contender.running, seconds);
    if (result.requests > 0 || result.problems.length > 0 || left === 1) return take(contender, result);
  }
}

async function takeSlice<R extends { readonly child: Child }>(
  contender: Contender<R>,
  sliceSeconds: number,
  discipline: Pick<Discipline<never, R>, 'load'>,
): Promise<void> {
  const { pid } = contender.running.child;
  const before = sumTree(readProcesses(), pid);
  const { requests, seconds } = await load(contender, sliceSeconds, discipline);
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

async function load<R extends { readonly child: Child }>(
  contender: Contender<R>,
  seconds: number,
  discipline: Pick<Discipline<never, R>, 'load'>,
): Promise<LoadResult> {
  const result = await discipline.load(contender.running, seconds);
  take(contender, result);
  return result;
}

/** @throws Error for a load that found anything wrong, or no answer at all */
function take<R>(contender: Contender<R>, { requests, problems }: LoadResult): void {
  if (requests === 0 || problems.length > 0) {
    throw new Error(
      `${contender.name}: ${problems.length === 0 ? 'no request was answered' : problems.join(', ')}`,
    );
  }
  contender.answered += requests;
}
