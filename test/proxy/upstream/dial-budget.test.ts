// How soon requests get a connection where connects hang, and how many dials a pool has open for that; on a clock of its own.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FailureCode } from '../../../src/model/failures.ts';
import type { Member } from '../../../src/model/picker.ts';
import { Deadlines } from '../../../src/proxy/deadlines.ts';
import { Attempts } from '../../../src/proxy/upstream/attempts.ts';
import { DialBudget } from '../../../src/proxy/upstream/dial-budget.ts';
import type { Pool } from '../../../src/proxy/upstream/pool.ts';
import type { AttemptsUser, Dial, DialUser } from '../../../src/proxy/upstream/upstream-stream.ts';

const CONNECT_TIMEOUT_MS = 1000;
const STEP_MS = 5;
/** As `defaults.retry.attempts` has it: two more after the first. */
const ROUNDS = 3;

/** Four nodes to which a share of all connects hangs, and requests that each need a new connection. */
class World {
  nowMs = 0;
  /** Of connects that hang, 0 to 1. */
  hanging = 0;
  dialled = 0;
  readonly open = new Map<
    Dial,
    { readonly endsAtMs: number; readonly isGood: boolean; readonly user: DialUser<Dial> }
  >();
  mostOpen = 0;
  /** From the beginning of a request to its connection; Infinity where it failed. */
  readonly tookMs: number[] = [];
  waiting = 0;
  readonly budget = new DialBudget();
  readonly #deadlines = new Deadlines(() => this.nowMs);
  readonly #members = ['a', 'b', 'c', 'd'].map((identity) => {
    const live = { suspectUntilMs: 0, begin: () => {}, end: () => {}, suspect: () => {} };
    return { identity, lastResort: false, live } as unknown as Member;
  });
  readonly #pool = {
    life: { targetOf: ({ live }: Member) => live, dials: this.budget },
    members: this.#members,
    picker: {
      pick: (_: number, tried: readonly Member[]) => this.#members.find((one) => !tried.includes(one)),
    },
    meters: { retried: () => {} },
    connector: { full: false },
  } as unknown as Pool;
  #seed = 7;

  #chance(): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#seed / 2 ** 32;
  }

  request(): Attempts<Dial> {
    const beganAtMs = this.nowMs;
    const context = { deadlines: this.#deadlines, now: () => this.nowMs, turn: { enter() {}, leave() {} } };
    const attempts = new Attempts<Dial>(
      context as unknown as ConstructorParameters<typeof Attempts>[0],
      (_, target, user) => {
        this.dialled += 1;
        const dial = { connected: false, target } as unknown as Dial;
        dial.close = () => void this.open.delete(dial);
        // What nobody waits for says nothing any more.
        dial.keepWhenConnected = dial.close;
        const isGood = this.#chance() >= this.hanging;
        this.open.set(dial, { endsAtMs: this.nowMs + (isGood ? STEP_MS : CONNECT_TIMEOUT_MS), isGood, user });
        this.mostOpen = Math.max(this.mostOpen, this.open.size);
        return dial;
      },
    );
    const end = (tookMs: number): void => {
      this.waiting -= 1;
      this.tookMs.push(tookMs);
    };
    const user: AttemptsUser<Dial> = {
      onUpstreamConnected: () => end(this.nowMs - beganAtMs),
      onUpstreamConnectFailed: () => {
        if (attempts.rounds >= ROUNDS || attempts.dial(this.nowMs) === undefined)
          end(Number.POSITIVE_INFINITY);
      },
      onNoRoom: () => assert.fail('it never waits for room'),
      proxyHeader: () => Buffer.alloc(0),
    };
    this.waiting += 1;
    attempts.reset(user, this.#pool, 0, 'none');
    attempts.dial(this.nowMs);
    return attempts;
  }

  /** @param everyMs a request begins so often; 0 is never */
  pass(ms: number, everyMs = 0): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; this.nowMs += STEP_MS) {
      if (everyMs > 0 && this.nowMs % everyMs < STEP_MS)
        for (let count = Math.max(1, STEP_MS / everyMs); count > 0; count -= 1) this.request();
      this.#deadlines.run();
      for (const [dial, { endsAtMs, isGood, user }] of this.open) {
        if (endsAtMs > this.nowMs || !this.open.delete(dial)) continue;
        if (isGood) user.onUpstreamConnected(dial);
        else user.onUpstreamConnectFailed(dial, 'connect-timeout' satisfies FailureCode);
      }
    }
  }
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((one, other) => one - other)[Math.ceil(values.length * share) - 1]!;
}

describe('a pool where connects hang', () => {
  for (const [what, hanging] of [
    ['half of them', 0.5],
    ['a node and half of the others', 0.625],
  ] as const)
    for (const everyMs of [200, 50, 5])
      it(`connects its requests in time after a moment in which all hung: ${what}, one request in ${everyMs} ms`, () => {
        const world = new World();
        world.hanging = 1;
        for (let count = 0; count < 30; count += 1) world.request();
        world.pass(1500, everyMs);
        world.hanging = hanging;
        world.pass(5000, everyMs);
        world.tookMs.length = 0;
        world.pass(60_000, everyMs);
        world.pass(5000);
        assert.ok(world.tookMs.length >= 60_000 / everyMs);
        assert.ok(Math.max(...world.tookMs) <= 2000, `the slowest took ${Math.max(...world.tookMs)} ms`);
        assert.ok(percentile(world.tookMs, 0.99) <= 1000, `p99 ${percentile(world.tookMs, 0.99)} ms`);
        const late = world.tookMs.filter((tookMs) => tookMs > 1000).length;
        assert.ok(late <= Math.max(2, world.tookMs.length / 500), `${late} took more than a second`);
        assert.deepEqual([world.waiting, world.budget.beside], [0, 0]);
      });

  it('connects a burst in time', () => {
    const world = new World();
    world.hanging = 0.5;
    for (let count = 0; count < 2000; count += 1) world.request();
    world.pass(5000);
    assert.equal(world.tookMs.length, 2000);
    assert.ok(Math.max(...world.tookMs) <= 2000, `the slowest took ${Math.max(...world.tookMs)} ms`);
    assert.ok(percentile(world.tookMs, 0.99) <= 1000);
  });

  it('is not buried in dials when it answers nothing', () => {
    const world = new World();
    world.hanging = 1;
    world.pass(20_000, 5);
    // 200 a second, each with three rounds of a second: 600 dials of their own are open, and twice that beside them.
    assert.ok(world.mostOpen <= 3 * 660, `${world.mostOpen} dials were open at once`);
    // Those that were open at first, and as many again every second, when their time is up.
    assert.ok(world.dialled <= 21 * 3 * 660, `${world.dialled} dials in 20 s`);
    world.pass(5000);
    assert.deepEqual([world.waiting, world.open.size, world.budget.beside], [0, 0, 0]);
    assert.ok(world.tookMs.every((tookMs) => tookMs === Number.POSITIVE_INFINITY));
  });

  it('has at most 16 dials open for one request, and none after it has been given up', () => {
    const world = new World();
    world.hanging = 1;
    const attempts = world.request();
    world.pass(350);
    assert.equal(world.open.size, 4, 'one after the other');
    world.pass(600);
    assert.equal(world.open.size, 16, 'then two at a time');
    world.pass(40);
    assert.equal(world.open.size, 16);
    assert.equal(world.budget.beside, world.open.size - 1);
    attempts.cancel();
    assert.deepEqual([world.open.size, world.budget.beside], [0, 0]);
  });
});

describe('the budget of dials', () => {
  it('has a hundred beside those that are the first of their request, or twice as many as were begun lately', () => {
    const budget = new DialBudget();
    budget.beside = 99;
    assert.equal(budget.hasRoom(0), true);
    budget.beside = 100;
    assert.equal(budget.hasRoom(0), false);
    for (let count = 0; count < 51; count += 1) budget.onBegun(500);
    assert.equal(budget.hasRoom(900), true);
    assert.equal(budget.hasRoom(1900), true);
    assert.equal(budget.hasRoom(3000), false, 'that was long ago');
  });
});
