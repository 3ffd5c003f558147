// The shared timer on a clock that a test moves: never early, at most one tick late, whatever handlers do to others.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Deadline, Deadlines, TICK_MS } from '../../src/proxy/deadlines.ts';
import type { Waiter } from '../../src/proxy/wire/pass-share.ts';
import { fc } from '../support/properties.ts';

/** A clock, its deadlines, and what fired when. */
class World {
  nowMs = 1000;
  readonly deadlines = new Deadlines(() => this.nowMs);
  readonly fired: { readonly name: string; readonly atMs: number }[] = [];

  make(name: string, act: () => void = () => {}): Deadline {
    return {
      dueAtMs: Number.POSITIVE_INFINITY,
      filedTick: -1,
      filedPlace: 0,
      onDeadline: (nowMs) => {
        this.fired.push({ name, atMs: nowMs });
        act();
      },
    };
  }

  /** Moves the clock tick by tick, as the interval does. */
  advance(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs = Math.min(endMs, this.nowMs + TICK_MS);
      this.deadlines.run();
    }
  }

  get names(): readonly string[] {
    return this.fired.map(({ name }) => name);
  }
}

describe('deadlines', () => {
  it('fires once, never early and at most a tick late', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 30 }), (delays) => {
        const world = new World();
        const due = delays.map((delayMs, index) => {
          world.deadlines.set(world.make(String(index)), 1000 + delayMs);
          return 1000 + delayMs;
        });
        world.advance(6000);
        assert.equal(world.fired.length, delays.length);
        for (const { name, atMs } of world.fired) {
          const dueAtMs = due[Number(name)]!;
          assert.ok(atMs >= dueAtMs, `${atMs} is before ${dueAtMs}`);
          assert.ok(atMs <= Math.max(dueAtMs, 1000) + 2 * TICK_MS, `${atMs} is long after ${dueAtMs}`);
        }
      }),
    );
  });

  it('lets others go on between those that are due together, and loses none', () => {
    const world = new World();
    const turns: Waiter[] = [];
    const deadlines = new Deadlines(() => world.nowMs, { wait: (waiter) => turns.push(waiter) });
    const slow = (): void => {
      world.nowMs += 0.4;
    };
    const made = Array.from({ length: 10 }, (_, index) => world.make(String(index), slow));
    for (const deadline of made) deadlines.set(deadline, 1001);
    world.nowMs = 1100;
    deadlines.run();
    assert.equal(world.fired.length, 3);
    deadlines.clear(made[3]!);
    deadlines.set(made[4]!, 5000);
    deadlines.clear(made[5]!);
    deadlines.set(made[5]!, 2000);
    deadlines.run();
    assert.equal(world.fired.length, 3, 'it waits for its turn');
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn.onTurn();
    assert.deepEqual(world.names, ['0', '1', '2', '6', '7', '8', '9']);
    world.nowMs = 2100;
    deadlines.run();
    assert.deepEqual(world.names.slice(7), ['5']);
    world.nowMs = 5100;
    deadlines.run();
    assert.deepEqual(world.names.slice(8), ['4']);
  });

  it('follows the last of any sequence of sets and clears', () => {
    const change = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), afterMs: fc.integer({ min: 0, max: 1000 }) }),
      fc.record({ kind: fc.constant('clear' as const) }),
      fc.record({ kind: fc.constant('never' as const) }),
      fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 400 }) }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const world = new World();
        const deadline = world.make('it');
        let dueAtMs = Number.POSITIVE_INFINITY;
        let expected = 0;
        for (const step of changes) {
          if (step.kind === 'set') {
            dueAtMs = world.nowMs + step.afterMs;
            world.deadlines.set(deadline, dueAtMs);
          } else if (step.kind === 'clear') {
            dueAtMs = Number.POSITIVE_INFINITY;
            world.deadlines.clear(deadline);
          } else if (step.kind === 'never') {
            dueAtMs = Number.POSITIVE_INFINITY;
            world.deadlines.set(deadline, dueAtMs);
          } else {
            world.advance(step.ms);
          }
          if (world.fired.length > expected) {
            assert.ok(world.nowMs >= dueAtMs, 'fired without being due');
            expected += 1;
            dueAtMs = Number.POSITIVE_INFINITY;
          }
          assert.equal(world.fired.length, expected);
        }
        world.advance(2000);
        assert.equal(world.fired.length, expected + (dueAtMs === Number.POSITIVE_INFINITY ? 0 : 1));
      }),
    );
  });

  it('moves to an earlier time', () => {
    const world = new World();
    const deadline = world.make('it');
    world.deadlines.set(deadline, 9000);
    world.deadlines.set(deadline, 1200);
    world.advance(300);
    assert.deepEqual(world.names, ['it']);
    world.advance(9000);
    assert.deepEqual(world.names, ['it'], 'the later time is forgotten');
  });

  it('lets a handler set its own deadline again', () => {
    const world = new World();
    const deadline: Deadline = world.make('again', () => {
      if (world.fired.length < 3) world.deadlines.set(deadline, world.nowMs + 100);
    });
    world.deadlines.set(deadline, 1100);
    world.advance(1000);
    assert.equal(world.fired.length, 3);
  });

  it('lets a handler clear, move and set others that are due in the same tick', () => {
    const world = new World();
    const cleared = world.make('cleared');
    const moved = world.make('moved');
    const reset = world.make('cleared and set');
    const first = world.make('first', () => {
      world.deadlines.clear(cleared);
      world.deadlines.set(moved, world.nowMs + 500);
      world.deadlines.clear(reset);
      world.deadlines.set(reset, world.nowMs + 300);
      world.deadlines.set(fresh, world.nowMs);
    });
    const fresh = world.make('fresh');
    for (const deadline of [first, cleared, moved, reset]) world.deadlines.set(deadline, 1200);
    world.advance(250);
    assert.deepEqual(world.names, ['first', 'fresh'], 'one set for now comes with the next tick');
    world.advance(1000);
    assert.deepEqual(world.names, ['first', 'fresh', 'cleared and set', 'moved']);
  });

  it('catches up when the event loop was held for long', () => {
    const world = new World();
    for (const delayMs of [100, 900, 5000]) world.deadlines.set(world.make(String(delayMs)), 1000 + delayMs);
    world.nowMs += 3000;
    world.deadlines.run();
    assert.deepEqual(world.names, ['100', '900']);
    world.nowMs += 3000;
    world.deadlines.run();
    assert.deepEqual(world.names, ['100', '900', '5000']);
  });

  it('runs by itself once started, and not after its close', (test) => {
    test.mock.timers.enable({ apis: ['setInterval'] });
    const world = new World();
    const pass = (ms: number): void => {
      world.nowMs += ms;
      test.mock.timers.tick(ms);
    };
    world.deadlines.set(world.make('before the start'), world.nowMs + 60);
    pass(1000);
    assert.deepEqual(world.names, []);
    world.deadlines.start();
    pass(1000);
    assert.deepEqual(world.names, ['before the start']);
    world.deadlines.set(world.make('after the close'), world.nowMs + 60);
    world.deadlines.close();
    pass(1000);
    world.deadlines.set(world.make('after the close'), world.nowMs + 60);
    pass(1000);
    assert.deepEqual(world.names, ['before the start']);
  });
});
