import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RestWatch } from '../../../src/proxy/admission/rest-watch.ts';

/** A worker that has loaded its program and done nothing yet. */
class Bed {
  given = 0;
  heapBytes = 20_000_000;
  #turns = 0;
  readonly #watch = new RestWatch({
    turns: () => this.#turns,
    heapBytes: () => this.heapBytes,
    giveBack: () => {
      this.given += 1;
    },
  });

  looks(count: number, turns: number): this {
    for (let look = 0; look < count; look += 1) {
      this.#turns += turns;
      this.#watch.look();
    }
    return this;
  }
}

describe('memory given back at rest', () => {
  it('is what loading the program has left, once a second has passed without requests', () => {
    const bed = new Bed().looks(3, 0);
    assert.equal(bed.given, 0);
    bed.looks(1, 0);
    assert.equal(bed.given, 1);
  });

  it('is not given again by a worker that only rests, however long, while idle connections end', () => {
    assert.equal(new Bed().looks(6000, 1).given, 1);
  });

  it('is given again after work', () => {
    const bed = new Bed().looks(4, 0).looks(2, 800).looks(3, 0);
    assert.equal(bed.given, 1);
    assert.equal(bed.looks(1, 0).given, 2);
  });

  it('is not given again after a few requests', () => {
    assert.equal(new Bed().looks(4, 0).looks(10, 20).looks(20, 0).given, 1);
  });

  it('waits while requests come, few as they are', () => {
    const bed = new Bed();
    for (let second = 0; second < 60; second += 1) bed.looks(3, 0).looks(1, 5);
    assert.equal(bed.given, 0);
  });

  it('is kept by a worker whose heap takes too long to collect, until the next rest after work', () => {
    const bed = new Bed();
    bed.heapBytes = 65 * 1024 * 1024;
    bed.looks(20, 0);
    assert.equal(bed.given, 0);
    bed.heapBytes = 20_000_000;
    assert.equal(bed.looks(20, 0).given, 0);
    assert.equal(bed.looks(1, 5000).looks(4, 0).given, 1);
  });
});
