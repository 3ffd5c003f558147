// Rounds of a benchmark with a process that does nothing: what counts, what ends a run, who comes first.

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import type { LoadResult } from '../../bench/drivers/driver.ts';
import { type Child, startNode } from '../../bench/measure/child.ts';
import { orderOf, type RoundOptions, runRounds, type Turn } from '../../bench/measure/rounds.ts';

interface Subject {
  readonly name: string;
}

const CORES = `0-${availableParallelism() - 1}`;
const OPTIONS = { rounds: 1, warmUpSeconds: 7, slices: 2, sliceSeconds: 1, onRound: () => {} };
const answered = (requests: number, seconds: number): LoadResult => ({ requests, seconds, problems: [] });

/** @param load what the n-th load of a subject finds, from 0 */
async function run(
  names: readonly string[],
  load: (seconds: number, time: number) => LoadResult,
  options: Partial<RoundOptions<Subject>> = {},
): Promise<{
  readonly turns: readonly Turn[];
  readonly loads: readonly string[];
  readonly logged: readonly number[];
}> {
  const loads: string[] = [];
  const logged: number[] = [];
  const turns = await runRounds<Subject, { readonly child: Child; readonly name: string }>(
    names.map((name) => ({ name })),
    {
      start: async ({ name }) => ({ child: startNode(CORES, ['-e', 'setInterval(() => {}, 1000)']), name }),
      ready: async () => {},
      load: async ({ name }, seconds) => {
        loads.push(name);
        return load(seconds, loads.filter((one) => one === name).length - 1);
      },
      verify: async () => {},
      checkDuties: async (_running, requests) => {
        logged.push(requests);
      },
    },
    { ...OPTIONS, ...options },
  );
  return { turns, loads, logged };
}

describe('a round', () => {
  it('counts the slices and not the warm-up, and asks for a log line of every request', async () => {
    const { turns, logged } = await run(['a'], (seconds) => answered(seconds * 10, seconds));
    assert.deepEqual([turns[0]!.requests, turns[0]!.seconds], [20, 2]);
    assert.deepEqual(logged, [90]);
  });

  it('warms up again when the first time brought no answer, and no slice may be without one', async () => {
    const { loads } = await run(['a'], (seconds, time) => answered(time < 2 ? 0 : 5, seconds));
    assert.equal(loads.length, 5);
    await assert.rejects(
      run(['a'], () => answered(0, 1)),
      /a: no request was answered/,
    );
    await assert.rejects(
      run(['a'], (seconds) => answered(seconds === 1 ? 0 : 5, seconds)),
      /a: no request was answered/,
    );
  });

  it('ends the run at the first problem, in the warm-up too', async () => {
    const bad = { requests: 9, seconds: 1, problems: ['one answer was wrong'] };
    await assert.rejects(
      run(['a'], () => bad),
      /a: one answer was wrong/,
    );
  });

  it('lets subjects take turns, or come as they are told', async () => {
    const right = (seconds: number): LoadResult => answered(1, seconds);
    assert.equal((await run(['a', 'b'], right)).loads.join(''), 'ababba');
    const turned = { order: (subjects: readonly Subject[]) => subjects.toReversed() };
    assert.equal((await run(['a', 'b'], right, turned)).loads.join(''), 'babaab');
    assert.deepEqual(orderOf(['a', 'b', 'c'], 4), ['b', 'c', 'a']);
  });
});
