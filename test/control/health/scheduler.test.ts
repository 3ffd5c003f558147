import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DueQueue } from '../../../src/control/health/due-queue.ts';
import type { ProbeFailure, ProbeResult } from '../../../src/control/health/probe-result.ts';
import type { Prober } from '../../../src/control/health/probes.ts';
import {
  DEFAULT_SCHEDULER_LIMITS,
  ProbeScheduler,
  type ProbeSpec,
  type SchedulerLimits,
} from '../../../src/control/health/scheduler.ts';
import { fc } from '../../support/properties.ts';
import { FakeTime } from './fake-time.ts';

const spec = (key: string, changes: Partial<ProbeSpec> = {}): ProbeSpec => ({
  key,
  target: { kind: 'tcp', host: key, port: 1 },
  intervalMs: 1000,
  failingIntervalMs: 200,
  timeoutMs: 500,
  jitter: 0,
  rise: 2,
  fall: 3,
  urgent: false,
  compared: false,
  ...changes,
});

class Bench {
  readonly time = new FakeTime();
  /** When each probe ran, milliseconds since the start. */
  readonly runs: [key: string, atMs: number][] = [];
  readonly flips: string[] = [];
  readonly failures = new Map<string, ProbeFailure>();
  durationMs = 0;
  running = 0;
  mostRunning = 0;
  random = 0;
  readonly scheduler: ProbeScheduler;
  readonly #startedMs = this.time.nowMs;

  constructor(limits: Partial<SchedulerLimits> = {}) {
    this.scheduler = new ProbeScheduler({
      prober: this.#prober,
      clock: this.time.clock,
      monotonic: this.time.monotonic,
      random: () => this.random,
      limits: { ...DEFAULT_SCHEDULER_LIMITS, ...limits },
      onResult: () => {},
      onStatus: (key, groups, flipped) => {
        if (flipped) this.flips.push(`${key} ${this.scheduler.status(key)?.healthy} ${[...groups].join()}`);
      },
    });
  }

  readonly #prober: Prober = (target, _timeoutMs, signal, onResult) => {
    const { host } = target;
    this.runs.push([host, this.time.nowMs - this.#startedMs]);
    this.running++;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    return new Promise((resolve) => {
      const finish = (failure: ProbeFailure | null): void => {
        cancel();
        signal.removeEventListener('abort', aborted);
        this.running--;
        const result: ProbeResult = { failure, detail: '', durationMs: this.durationMs, weight: null };
        onResult(result);
        resolve();
      };
      const aborted = (): void => finish('cancelled');
      const cancel = this.time.clock.after(this.durationMs, () => finish(this.failures.get(host) ?? null));
      signal.addEventListener('abort', aborted);
    });
  };

  timesOf(key: string): number[] {
    return this.runs.filter(([host]) => host === key).map(([, atMs]) => atMs);
  }
}

describe('scheduler', () => {
  test('a probe runs at once, then at its interval, faster while it fails', async () => {
    const bench = new Bench();
    bench.scheduler.setGroup('g', [spec('a')]);
    await bench.time.move(2500);
    assert.deepEqual(bench.timesOf('a'), [0, 1000, 2000]);
    bench.failures.set('a', 'refused');
    await bench.time.move(1000);
    assert.deepEqual(bench.timesOf('a').slice(3), [3000, 3200, 3400]);
    await bench.scheduler.close();
  });
  test('results are damped, and flips name the groups that want the probe', async () => {
    const bench = new Bench();
    bench.failures.set('a', 'refused');
    bench.scheduler.setGroup('g', [spec('a')]);
    bench.scheduler.setGroup('h', [spec('a')]);
    await bench.time.move(10);
    assert.equal(bench.scheduler.status('a')?.healthy, false);
    bench.failures.clear();
    await bench.time.move(1500);
    assert.equal(bench.scheduler.status('a')?.healthy, true);
    assert.deepEqual(bench.flips, ['a false g,h', 'a false g,h', 'a true g,h']);
    assert.equal(bench.scheduler.status('a')?.recentFailures, 1);
    await bench.scheduler.close();
  });
  test('a group that begins to want a probe with results is told of them, once', async () => {
    const bench = new Bench();
    bench.scheduler.setGroup('g', [spec('a'), spec('b')]);
    await bench.time.move(10);
    const before = bench.flips.length;
    bench.scheduler.setGroup('h', [spec('a'), spec('c')]);
    assert.deepEqual(bench.flips.slice(before), ['a true h']);
    bench.scheduler.setGroup('h', [spec('c'), spec('a')]);
    assert.equal(bench.flips.length, before + 1);
    await bench.scheduler.close();
  });
  test('jitter moves each run by at most its share', async () => {
    const bench = new Bench({ spreadMs: 0 });
    bench.random = 1;
    bench.scheduler.setGroup('g', [spec('a', { jitter: 0.1 })]);
    await bench.time.move(2500);
    assert.deepEqual(bench.timesOf('a'), [0, 1100, 2200]);
    await bench.scheduler.close();
  });
  test('a probe that two groups want runs once and ends with the last of them', async () => {
    const bench = new Bench();
    bench.scheduler.setGroup('g', [spec('a')]);
    bench.scheduler.setGroup('h', [spec('a'), spec('b')]);
    await bench.time.move(10);
    assert.deepEqual([bench.scheduler.size, bench.runs.length], [2, 2]);
    bench.scheduler.setGroup('g', []);
    await bench.time.move(1000);
    assert.equal(bench.timesOf('a').length, 2);
    bench.scheduler.setGroup('h', [spec('b')]);
    await bench.time.move(5000);
    assert.deepEqual([bench.scheduler.size, bench.timesOf('a').length], [1, 2]);
    await bench.scheduler.close();
  });
  test('a probe that stays wanted keeps its state and its rhythm', async () => {
    const bench = new Bench();
    bench.scheduler.setGroup('g', [spec('a')]);
    await bench.time.move(500);
    bench.scheduler.setGroup('g', [spec('a'), spec('b')]);
    await bench.time.move(400);
    assert.equal(bench.scheduler.status('a')?.healthy, true);
    assert.deepEqual(bench.timesOf('a'), [0]);
    await bench.scheduler.close();
  });
  test('one that is dropped while it runs says nothing more, and comes back as new', async () => {
    const bench = new Bench();
    bench.durationMs = 100;
    bench.failures.set('a', 'timeout');
    bench.scheduler.setGroup('g', [spec('a')]);
    await bench.time.move(50);
    bench.scheduler.setGroup('g', []);
    bench.failures.clear();
    bench.scheduler.setGroup('g', [spec('a')]);
    await bench.time.move(300);
    assert.deepEqual(bench.flips, ['a true g']);
    await bench.scheduler.close();
  });
  test('no more than the limit run at a time, and all get their turn', async () => {
    const bench = new Bench({ concurrency: 3 });
    bench.durationMs = 100;
    const specs = Array.from({ length: 12 }, (_, index) => spec(`p${index}`));
    bench.scheduler.setGroup('g', specs);
    await bench.time.move(420);
    assert.equal(bench.mostRunning, 3);
    assert.equal(new Set(bench.runs.map(([host]) => host)).size, 12);
    await bench.scheduler.close();
  });
  test('no more than the budget start in a second: intervals stretch alike', async () => {
    const bench = new Bench({ perSecond: 10 });
    bench.scheduler.setGroup(
      'g',
      Array.from({ length: 40 }, (_, index) => spec(`p${index}`)),
    );
    await bench.time.move(10_000);
    assert.ok(bench.runs.length <= 110 && bench.runs.length >= 100, `${bench.runs.length}`);
    for (let index = 0; index < 40; index++) {
      const { length } = bench.timesOf(`p${index}`);
      assert.ok(length >= 2 && length <= 3, `p${index} ran ${length} times`);
    }
    await bench.scheduler.close();
  });
  test('an urgent probe does not wait behind others', async () => {
    const bench = new Bench({ perSecond: 10 });
    bench.scheduler.setGroup(
      'g',
      Array.from({ length: 40 }, (_, index) => spec(`p${index}`)),
    );
    await bench.time.move(1000);
    bench.scheduler.setGroup('h', [spec('new', { urgent: true })]);
    await bench.time.move(150);
    assert.equal(bench.timesOf('new').length, 1);
    await bench.scheduler.close();
  });
  test('close leaves nothing running and no timer', async () => {
    const bench = new Bench();
    bench.durationMs = 100;
    bench.scheduler.setGroup('g', [spec('a'), spec('b')]);
    await bench.time.move(20);
    assert.equal(bench.running, 2);
    await bench.scheduler.close();
    assert.deepEqual([bench.running, bench.time.waiting, bench.scheduler.running], [0, 0, 0]);
    bench.scheduler.setGroup('g', [spec('a')]);
    assert.equal(bench.time.waiting, 0);
  });
});

test('a due queue gives items by time, then by order of arrival', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (dues) => {
      const queue = new DueQueue<{ due: number; index: number }>();
      for (const [index, due] of dues.entries()) queue.push({ due, index }, due);
      const out = dues.map(() => queue.popDue(20)!);
      const sorted = dues
        .map((due, index) => ({ due, index }))
        .sort((a, b) => a.due - b.due || a.index - b.index);
      assert.deepEqual(out, sorted);
      assert.equal(queue.popDue(20), undefined);
    }),
  );
});
