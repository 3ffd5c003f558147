// Passive ejection on a clock that a test moves: what ejects, for how long, how much of a pool, and the way back.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPoolPicker } from '../../../src/balance/pool-picker.ts';
import { Workspace } from '../../../src/http2/workspace.ts';
import type { Member } from '../../../src/model/picker.ts';
import type { EjectionConfig } from '../../../src/model/pool-config.ts';
import { Deadlines, TICK_MS } from '../../../src/proxy/deadlines.ts';
import { Http1Streams } from '../../../src/proxy/upstream/http1-streams.ts';
import { PoolLife, type PoolVersion, UNUSED } from '../../../src/proxy/upstream/pool-life.ts';
import type { Target } from '../../../src/proxy/upstream/target.ts';
import type { WireContext } from '../../../src/proxy/wire/wire.ts';
import { MetricsBoard } from '../../../src/telemetry/metrics-board.ts';
import { fc } from '../../support/properties.ts';
import { snapshotOf } from '../../support/snapshots.ts';

const LIMITS = { headerBytes: 1, lineBytes: 1, headerCount: 1, chunkExtensionBytes: 1, trailerBytes: 1 };

const DEFAULTS: EjectionConfig = {
  connectFailures: 3,
  gatewayErrors: 5,
  baseMs: 5000,
  maxMs: 60_000,
  maxShare: 0.5,
};

/** A pool of `size` targets without anything behind them. */
class World {
  nowMs = 10_000;
  readonly deadlines = new Deadlines(() => this.nowMs);
  readonly board = new MetricsBoard();
  readonly logged: { readonly code: string; readonly target: string; readonly forMs?: number }[] = [];
  readonly targets: readonly Target[];
  readonly life: PoolLife;
  /** How often the picker was told that ejections have changed. */
  invalidations = 0;

  constructor(size: number, ejection: Partial<EjectionConfig> = {}) {
    const members = Array.from({ length: size }, (_, index): Member => {
      const facts = { identity: `10.0.0.${index}:80`, address: `10.0.0.${index}`, port: 80 };
      const state = {
        weight: 1,
        priority: 0,
        state: 'active',
        health: 'healthy',
        lastResort: false,
      } as const;
      return { ...facts, ...state, cluster: null, node: null, live: UNUSED };
    });
    const log = (fields: object): void => void this.logged.push(fields as (typeof this.logged)[number]);
    const context = {
      board: this.board,
      // All that a pool without connections asks of it.
      wires: { now: () => this.nowMs } as unknown as WireContext,
      http2: new Workspace(),
      limits: LIMITS,
      streams: new Http1Streams(LIMITS),
      load: { idle: 0 },
      random: () => 0.5,
      log: { warn: log, info: log },
      onLocalLimit: () => {},
      onProven: () => {},
    };
    this.life = new PoolLife(this.#version({ ...DEFAULTS, ...ejection }, size), context, this.deadlines);
    this.targets = members.map((member) => this.life.targetOf(member));
  }

  /** The pool of the next snapshot, over the same targets. */
  next(ejection: EjectionConfig): void {
    this.life.follow(this.#version(ejection, this.targets.length));
  }

  #version(ejection: EjectionConfig, size: number): PoolVersion {
    const [config] = snapshotOf({ pools: [{ name: 'p', targets: [], ejection }] }).pools;
    const built = {
      members: [],
      picker: createPoolPicker(
        [],
        config!,
        () => 0.5,
        () => this.nowMs,
      ),
    };
    return {
      config: config!,
      sets: [],
      built,
      size,
      has: () => true,
      invalidatePicker: () => {
        this.invalidations += 1;
      },
    };
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.deadlines.run();
  }

  refuse(target: Target, times = 1): void {
    for (let count = 0; count < times; count += 1) target.onConnectFailed(this.nowMs);
  }

  fail(target: Target, times = 1): void {
    for (let count = 0; count < times; count += 1) target.onAnswer(true, 5, this.nowMs);
  }

  get ejected(): number {
    return this.targets.filter(({ ejected }) => ejected).length;
  }

  metric(start: string): number {
    const { series, values } = new MetricsView(this.board);
    return series.reduce((sum, name, index) => (name.startsWith(start) ? sum + values[index]! : sum), 0);
  }
}

/** Counters and gauges only: every series of these has one slot. */
class MetricsView {
  readonly series: readonly string[];
  readonly values: readonly number[];

  constructor(board: MetricsBoard) {
    board.invalidate();
    const frame = board.frame();
    const series: string[] = [];
    const values: number[] = [];
    let slot = 0;
    for (const name of frame.series ?? []) {
      series.push(name);
      values.push(frame.values[slot]!);
      slot += name.includes('_seconds') ? 17 : 1;
    }
    this.series = series;
    this.values = values;
  }
}

describe('passive ejection', () => {
  /** Answers of each target in turn, as often as `rounds`; `failing` of them fail every third. */
  function mixed(world: World, failing: number, rounds: number): void {
    for (let round = 0; round < rounds; round += 1) {
      world.targets.forEach((target, index) => {
        if (!target.ejected) target.onAnswer(index < failing && round % 3 === 0, 5, world.nowMs);
      });
    }
  }

  it('tells the picker of each ejection and of each return', () => {
    const world = new World(4);
    const [target] = world.targets;
    world.refuse(target!, 5);
    assert.deepEqual([world.ejected, world.invalidations], [1, 1]);
    world.advance(DEFAULTS.baseMs);
    assert.deepEqual([world.ejected, world.invalidations], [0, 2]);
  });

  it('ejects a target that fails a third of the time, although never often in a row', () => {
    const world = new World(6);
    mixed(world, 1, 19);
    assert.equal(world.ejected, 0, 'too few answers to speak of a share');
    mixed(world, 1, 10);
    assert.deepEqual(
      world.targets.map(({ ejected }) => ejected),
      [true, false, false, false, false, false],
    );
  });

  it('ejects the half of a pool that fails, and nobody when all fail alike', () => {
    const half = new World(6);
    mixed(half, 3, 60);
    assert.deepEqual(
      half.targets.map(({ ejected }) => ejected),
      [true, true, true, false, false, false],
    );
    const all = new World(6);
    mixed(all, 6, 300);
    assert.equal(all.ejected, 0);
  });

  it('forgets what was ten seconds before, and what was before an ejection', () => {
    const world = new World(6);
    mixed(world, 1, 19);
    world.advance(10_000);
    mixed(world, 1, 10);
    assert.equal(world.ejected, 0);
    mixed(world, 1, 20);
    assert.equal(world.ejected, 1);
    world.advance(5000 + 2 * TICK_MS);
    assert.equal(world.ejected, 0);
    mixed(world, 1, 4);
    assert.equal(world.ejected, 0, 'it begins anew');
  });

  it('ejects after consecutive connect failures, and only consecutive ones', () => {
    const world = new World(4);
    const [target] = world.targets as [Target];
    world.refuse(target, 2);
    target.onConnected(world.nowMs);
    world.refuse(target, 2);
    assert.equal(target.ejected, false);
    world.refuse(target);
    assert.equal(target.ejected, true);
    assert.deepEqual(world.logged, [
      {
        code: 'target-ejected',
        pool: 'p',
        target: target.identity,
        node: null,
        reason: 'connect-failures',
        forMs: 5000,
      },
    ]);
    assert.equal(world.metric('portico_ejections_total{pool="p"}'), 1);
    assert.equal(world.metric('portico_ejected{pool="p"}'), 1);
  });

  it('ejects after consecutive gateway errors; one good answer clears them', () => {
    const world = new World(4);
    const [target] = world.targets as [Target];
    world.fail(target, 4);
    target.onAnswer(false, 5, world.nowMs);
    world.fail(target, 4);
    assert.equal(target.ejected, false);
    world.fail(target);
    assert.equal(target.ejected, true);
  });

  it('never ejects for latency alone', () => {
    const world = new World(4);
    const [target] = world.targets as [Target];
    for (let count = 0; count < 100; count += 1) target.onAnswer(false, 60_000, world.nowMs);
    assert.equal(target.ejected, false);
  });

  it('ejects for nothing that is switched off', () => {
    const world = new World(4, { connectFailures: 0, gatewayErrors: 0 });
    const [target] = world.targets as [Target];
    world.refuse(target, 50);
    world.fail(target, 50);
    assert.equal(target.ejected, false);
  });

  it('comes back when its time is over, and stays out twice as long each time, up to the maximum', () => {
    const world = new World(4);
    const [target] = world.targets as [Target];
    for (const expectedMs of [5000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      world.refuse(target, 3);
      assert.equal(target.ejected, true);
      assert.equal(world.logged.at(-1)!.forMs, expectedMs);
      world.advance(expectedMs - 1);
      assert.equal(target.ejected, true, `still out after ${expectedMs - 1} ms`);
      world.advance(1 + TICK_MS);
      assert.equal(target.ejected, false);
      assert.equal(world.logged.at(-1)!.code, 'target-returned');
      assert.equal(world.metric('portico_ejected{pool="p"}'), 0);
      world.refuse(target, 2);
      assert.equal(target.ejected, false, 'it starts with a clean record');
      target.onConnected(world.nowMs);
    }
  });

  it('forgives an ejection for each time as long that a target was well', () => {
    const world = new World(4);
    const [target] = world.targets as [Target];
    for (const [wellMs, expectedMs] of [
      [0, 5000],
      [4000, 10_000],
      [10_000, 10_000],
      [9000, 20_000],
      [3_600_000, 5000],
    ] as const) {
      world.advance(wellMs);
      world.refuse(target, 3);
      assert.equal(world.logged.at(-1)!.forMs, expectedMs);
      world.advance(expectedMs + TICK_MS);
      assert.equal(target.ejected, false);
    }
  });

  it('does not count the time that a target took to fail again as time that it was well', () => {
    const world = new World(4, { baseMs: 1000 });
    const [target] = world.targets as [Target];
    for (const expectedMs of [1000, 2000, 4000]) {
      // One that cannot be reached is tried once a second.
      world.refuse(target);
      for (let again = 0; again < 2; again += 1) {
        world.advance(1000);
        world.refuse(target);
      }
      assert.equal(world.logged.findLast(({ code }) => code === 'target-ejected')!.forMs, expectedMs);
      world.advance(expectedMs + TICK_MS);
      assert.equal(target.ejected, false);
    }
  });

  it('ejects no more than its share of the pool, and makes room when one returns', () => {
    const world = new World(5);
    for (const target of world.targets) world.fail(target, 5);
    assert.equal(world.ejected, 2, 'half of five, rounded down');
    world.advance(5000 + TICK_MS);
    assert.equal(world.ejected, 0);
    world.fail(world.targets[4]!, 5);
    assert.equal(world.targets[4]!.ejected, true);
  });

  it('wants a longer run of connect failures where connects fail at the other targets, too', () => {
    const world = new World(8);
    const [target, ...others] = world.targets as [Target, ...Target[]];
    // Every second connect hangs, whatever the target: the path behind them is at fault.
    for (let round = 0; round < 20; round += 1) {
      for (const other of others) {
        if (round % 2 === 0) other.onConnectFailed(world.nowMs);
        else other.onConnected(world.nowMs);
      }
    }
    assert.equal(world.ejected, 0);
    world.refuse(target, 10);
    assert.equal(target.ejected, false, 'ten in a row happen once in a thousand times');
    world.refuse(target, 20);
    assert.equal(target.ejected, true, 'thirty do not');
  });

  it('ejects nobody where the share leaves no room for one', () => {
    const world = new World(1);
    world.refuse(world.targets[0]!, 10);
    assert.equal(world.ejected, 0);
  });

  it('keeps to the share whatever happens in whatever order, and its count is right', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constantFrom('refuse', 'fail', 'good', 'connected', 'retire'),
        target: fc.nat(7),
      }),
      fc.record({ kind: fc.constant('advance'), ms: fc.integer({ min: 1, max: 20_000 }) }),
      fc.record({ kind: fc.constant('snapshot') }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const world = new World(8);
        for (const action of steps) {
          if ('target' in action) {
            const target = world.targets[action.target]!;
            if (action.kind === 'refuse') world.refuse(target);
            else if (action.kind === 'fail') world.fail(target);
            else if (action.kind === 'good') target.onAnswer(false, 1, world.nowMs);
            else if (action.kind === 'connected') target.onConnected(world.nowMs);
            else target.retire();
          } else if ('ms' in action) {
            world.advance(action.ms);
          } else {
            world.next(DEFAULTS);
          }
          assert.ok(world.ejected <= 4, 'at most half');
          assert.equal(world.life.mayEject(), world.ejected + 1 <= 4);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('follows the rules of a new snapshot and keeps what it has ejected', () => {
    const world = new World(4);
    const [first, second, third] = world.targets as [Target, Target, Target];
    world.fail(first, 5);
    world.next({ ...DEFAULTS, gatewayErrors: 1, maxShare: 0.75 });
    assert.equal(first.ejected, true);
    world.fail(second);
    world.fail(third);
    assert.equal(world.ejected, 3);
    world.fail(world.targets[3]!);
    assert.equal(world.ejected, 3);
    world.advance(5000 + TICK_MS);
    assert.equal(world.ejected, 0);
    assert.equal(world.metric('portico_ejected{pool="p"}'), 0);
  });

  it('takes a peak of latency at once and lets it fade', () => {
    const world = new World(1);
    const [target] = world.targets as [Target];
    target.onAnswer(false, 10, world.nowMs);
    target.onAnswer(false, 500, world.nowMs);
    assert.equal(target.latencyMs, 500);
    target.onAnswer(false, 10, world.nowMs);
    assert.equal(target.latencyMs, 500, 'not by one fast answer in the same moment');
    world.nowMs += 10_000;
    target.onAnswer(false, 10, world.nowMs);
    assert.ok(target.latencyMs > 10 && target.latencyMs < 500 / 2, `${target.latencyMs}`);
  });
});

describe('retry budget', () => {
  it('always lets a quiet pool retry a little', () => {
    const { life: pool } = new World(1);
    for (let count = 0; count < 10; count += 1) assert.equal(pool.mayRetry(0.2), true);
    assert.equal(pool.mayRetry(0.2), false);
  });

  it('lets a busy pool retry its share and counts what it refuses', () => {
    const world = new World(1);
    const { life: pool } = world;
    for (let count = 0; count < 1000; count += 1) pool.onRequest(world.nowMs);
    let retries = 0;
    while (pool.mayRetry(0.2)) retries += 1;
    assert.equal(retries, 200);
    assert.equal(world.metric('portico_retry_budget_exhausted_total'), 1);
  });

  it('forgets retries with the requests that they belong to', () => {
    const world = new World(1);
    const { life: pool } = world;
    pool.onRequest(world.nowMs);
    for (let count = 0; count < 10; count += 1) pool.mayRetry(0);
    assert.equal(pool.mayRetry(0), false);
    world.nowMs += 10_001;
    pool.onRequest(world.nowMs);
    assert.equal(pool.mayRetry(0), true);
  });
});

describe('slow start of a target that comes back', () => {
  it('begins anew after a drain and after ill health, and not otherwise', () => {
    const [target] = new World(1).targets as [Target];
    target.begin(500);
    target.rest(false);
    target.begin(900);
    assert.equal(target.startedAtMs, 500, 'what stays active goes on');
    target.rest(true);
    assert.equal(target.startedAtMs, 500);
    target.rest(false);
    assert.equal(target.startedAtMs, 0, 'it counts as just starting');
    target.begin(2000);
    assert.equal(target.startedAtMs, 2000);
  });
});
