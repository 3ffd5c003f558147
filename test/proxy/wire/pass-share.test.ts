// Who goes on when much waits at once, with an injected clock and passes that the test makes.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PassShare, type Waiter } from '../../../src/proxy/wire/pass-share.ts';

class Loop {
  nowMs = 0;
  readonly told: string[] = [];
  readonly #tasks: (() => void)[] = [];
  readonly share = new PassShare({ now: () => this.nowMs, defer: (task) => this.#tasks.push(task) });

  get scheduled(): number {
    return this.#tasks.length;
  }

  /** The end of a pass of the event loop. */
  pass(): void {
    for (const task of this.#tasks.splice(0)) task();
  }

  /** Pieces that are done one after the other, each in so much time. @returns what was said to the last */
  pieces(count: number, eachMs: number): boolean {
    let may = true;
    for (let piece = 0; piece < count; piece += 1) {
      this.nowMs += eachMs;
      may = this.share.mayGoOn(piece + 1);
    }
    return may;
  }

  waiter(name: string, goesOn: () => void = () => {}): Waiter {
    return {
      onTurn: () => {
        this.told.push(name);
        goesOn();
      },
    };
  }
}

describe('the share of a pass', () => {
  it('lets large pieces follow each other for a millisecond', () => {
    const loop = new Loop();
    assert.equal(loop.pieces(10, 0.1), true);
    assert.equal(loop.pieces(1, 0.2), false);
  });

  it('begins anew with each pass', () => {
    const loop = new Loop();
    assert.equal(loop.pieces(20, 0.1), false);
    loop.pass();
    assert.equal(loop.pieces(1, 0.1), true);
  });

  it('is asked for nothing by a loop without large pieces', () => {
    const loop = new Loop();
    loop.pieces(1, 0.1);
    loop.pass();
    assert.equal(loop.scheduled, 0);
  });

  it('lets those that wait go on in the order in which they came', () => {
    const loop = new Loop();
    for (const name of ['a', 'b', 'c']) loop.share.wait(loop.waiter(name));
    assert.deepEqual(loop.told, []);
    loop.pass();
    assert.deepEqual(loop.told, ['a', 'b', 'c']);
    assert.equal(loop.scheduled, 0);
  });

  it('lets nobody do more than four in a row while others wait', () => {
    const loop = new Loop();
    loop.share.wait(loop.waiter('a'));
    assert.equal(loop.pieces(3, 0.01), true);
    assert.equal(loop.pieces(4, 0.01), false);
  });

  it('lets as many go on as fit into the next pass by what the last ones took', () => {
    const loop = new Loop();
    const waiters = Array.from({ length: 100 }, (_, index) => loop.waiter(String(index)));
    for (const waiter of waiters) loop.share.wait(waiter);
    loop.pieces(11, 0.0078125);
    loop.pass();
    assert.equal(loop.told.length, 32);
    loop.pieces(21, 0.0625);
    loop.pass();
    assert.equal(loop.told.length, 36);
    assert.equal(loop.scheduled, 1);
  });

  it('lets at least one go on, however long each takes', () => {
    const loop = new Loop();
    for (const name of ['a', 'b', 'c']) loop.share.wait(loop.waiter(name));
    loop.pieces(2, 50);
    loop.pass();
    assert.deepEqual(loop.told, ['a']);
    loop.pass();
    assert.deepEqual(loop.told, ['a', 'b']);
  });

  it('ends when its millisecond is over with those that do their work at once', () => {
    const loop = new Loop();
    const work = (): void => {
      loop.nowMs += 0.4;
    };
    for (const name of ['a', 'b', 'c', 'd', 'e']) loop.share.wait(loop.waiter(name, work));
    loop.pass();
    assert.deepEqual(loop.told, ['a', 'b', 'c']);
    loop.pass();
    assert.deepEqual(loop.told, ['a', 'b', 'c', 'd', 'e']);
    assert.equal(loop.scheduled, 0);
  });

  it('serves everyone once before anyone twice', () => {
    const loop = new Loop();
    const waiters = Array.from({ length: 1000 }, (_, index) =>
      loop.waiter(String(index), () => loop.share.wait(waiters[index]!)),
    );
    for (const waiter of waiters) loop.share.wait(waiter);
    for (let pass = 0; pass < 1000 && loop.told.length < 3000; pass += 1) {
      loop.pieces(2, 0.03);
      loop.pass();
    }
    const once = waiters.map((_, index) => String(index));
    assert.deepEqual(loop.told.slice(0, 3000), [...once, ...once, ...once]);
  });
});
