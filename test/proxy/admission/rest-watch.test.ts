import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RestWatch } from '../../../src/proxy/admission/rest-watch.ts';

const LOOK_MS = 250;
/** Its own timers. */
const IDLE_MS = 1;

/** A worker on a clock that stands still between looks; starts with its program loaded. */
class Bed {
  given = 0;
  heapBytes = 20_000_000;
  #nowMs = 1000;
  #activeMs = 5;
  readonly #watch = new RestWatch({
    now: () => this.#nowMs,
    activeMs: () => this.#activeMs,
    heapBytes: () => this.heapBytes,
    giveBack: () => {
      this.given += 1;
    },
  });

  looks(count: number, activeMs: number): this {
    for (let look = 0; look < count; look += 1) {
      this.#nowMs += LOOK_MS;
      this.#activeMs += activeMs;
      this.#watch.look();
    }
    return this;
  }
}

describe('memory given back at rest', () => {
  it('is what loading the program has left, once a second has passed without requests', () => {
    const bed = new Bed().looks(3, IDLE_MS);
    assert.equal(bed.given, 0);
    bed.looks(1, IDLE_MS);
    assert.equal(bed.given, 1);
  });

  it('is not given again by a worker that only rests, however long', () => {
    assert.equal(new Bed().looks(600, IDLE_MS).given, 1);
  });

  it('is given again after work', () => {
    const bed = new Bed().looks(4, IDLE_MS).looks(2, 120).looks(3, IDLE_MS);
    assert.equal(bed.given, 1);
    assert.equal(bed.looks(1, IDLE_MS).given, 2);
  });

  it('waits while requests come, few as they are', () => {
    const bed = new Bed();
    for (let second = 0; second < 60; second += 1) bed.looks(3, IDLE_MS).looks(1, 8);
    assert.equal(bed.given, 0);
  });

  it('is kept by a worker whose heap takes too long to collect, until the next rest after work', () => {
    const bed = new Bed();
    bed.heapBytes = 65 * 1024 * 1024;
    bed.looks(20, IDLE_MS);
    assert.equal(bed.given, 0);
    bed.heapBytes = 20_000_000;
    assert.equal(bed.looks(20, IDLE_MS).given, 0);
    assert.equal(bed.looks(1, 250).looks(4, IDLE_MS).given, 1);
  });
});
