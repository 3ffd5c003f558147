// The measurement itself: rounds in which every subject has its turn, each turn with a fresh process.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Driver } from '../drivers/driver.ts';
import type { Subject } from '../subjects/subject.ts';
import { readProcesses, sumTree } from './proc-stat.ts';
import { awaitAnswer, problemOf } from './verify.ts';

export interface RoundOptions {
  readonly rounds: number;
  readonly connections: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Cores of the subject, as taskset reads them. */
  readonly cores: string;
  readonly backendPort: number;
  readonly body: string;
  readonly driver: Driver;
  /** Told of each result as it comes. */
  readonly onTurn: (turn: Turn) => void;
}

/** One subject in one round. */
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

/** The subjects of a round in turn; each round begins with another one, so that none always comes first. */
export function orderOf<T>(subjects: readonly T[], round: number): readonly T[] {
  const first = round % subjects.length;
  return [...subjects.slice(first), ...subjects.slice(0, first)];
}

/** @throws Error when any answer was wrong, missing or not recorded: then there is no result */
export async function runRounds(
  subjects: readonly Subject[],
  options: RoundOptions,
): Promise<readonly Turn[]> {
  const turns: Turn[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const subject of orderOf(subjects, round - 1)) {
      const turn = await takeTurn(subject, round, options);
      options.onTurn(turn);
      turns.push(turn);
    }
  }
  return turns;
}

async function takeTurn(subject: Subject, round: number, options: RoundOptions): Promise<Turn> {
  const { cores, backendPort, body, connections, driver } = options;
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-bench-'));
  try {
    const running = await subject.start({ cores, backendPort, directory });
    const { child, url } = running;
    try {
      await awaitAnswer(url, body, child);
      const warmUp = await driver.run({ url, body, connections, seconds: options.warmUpSeconds });
      refuse(subject, round, warmUp.problems);
      const before = sumTree(readProcesses(), child.pid);
      const { requests, seconds, problems } = await driver.run({
        url,
        body,
        connections,
        seconds: options.seconds,
      });
      const after = sumTree(readProcesses(), child.pid);
      refuse(subject, round, problems);
      const problem = await problemOf(url, body);
      refuse(subject, round, problem === null ? [] : [problem]);
      await child.stop();
      await running.checkDuties(requests + warmUp.requests);
      const userMs = after.userMs - before.userMs;
      const systemMs = after.systemMs - before.systemMs;
      return { subject: subject.name, round, requests, seconds, userMs, systemMs };
    } finally {
      await child.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function refuse(subject: Subject, round: number, problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(`${subject.name}, round ${round}: ${problems.join(', ')}`);
}
