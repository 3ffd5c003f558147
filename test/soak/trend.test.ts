// The trend test against series whose truth is known: how often it cries wolf, and what it never misses.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Sample, trendOf, WINDOWS, windowMinima } from './trend.ts';

/** Mulberry32: the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** @param memory how much of a value stays in the next one, 0 to 1 */
function series(random: () => number, slopePerS: number, memory: number, samples = 240): readonly Sample[] {
  let held = 0;
  return Array.from({ length: samples }, (_, at) => {
    held = memory * held + normal(random);
    return { atS: at * 10, value: 100 + slopePerS * at * 10 + held };
  });
}

describe('the trend of a series', () => {
  it('takes the least value of each window', () => {
    const samples = [5, 3, 4, 9, 8, 7].map((value, at) => ({ atS: at, value }));
    assert.deepEqual(windowMinima(samples, 2), [
      { atS: 1, value: 3 },
      { atS: 5, value: 7 },
    ]);
  });

  it('gives the slope of a line exactly, and finds it impossible by chance', () => {
    const samples = Array.from({ length: 240 }, (_, at) => ({ atS: at * 10, value: 7 + at / 360 }));
    const trend = trendOf(samples);
    assert.ok(Math.abs(trend.slopePerHour - 1) < 1e-6, String(trend.slopePerHour));
    assert.ok(trend.chance < 1e-6);
  });

  it('is not moved by a few wild values', () => {
    const samples = series(seeded(1), 0, 0).map(({ atS, value }, at) => ({
      atS,
      value: at % 40 === 39 ? value + 1000 : value,
    }));
    assert.ok(Math.abs(trendOf(samples).growth) < 1);
  });

  it('finds no growth in a series that does not change or shrinks', () => {
    const flat = Array.from({ length: 240 }, (_, at) => ({ atS: at, value: 12 }));
    assert.equal(trendOf(flat).chance, 1);
    assert.equal(trendOf(flat).slopePerHour, 0);
    assert.ok(trendOf(series(seeded(2), -0.01, 0)).chance > 0.99);
  });

  for (const [what, memory] of [
    ['independent values', 0],
    ['values that resemble the ones before', 0.9],
  ] as const) {
    it(`raises few false alarms on ${what}: at most the stated share`, () => {
      const random = seeded(3);
      const runs = 2000;
      const chances = Array.from({ length: runs }, () => trendOf(series(random, 0, memory)).chance);
      for (const level of [0.05, 0.01]) {
        const alarms = chances.filter((chance) => chance < level).length;
        // Three standard deviations of chance above what is stated.
        const most = runs * level + 3 * Math.sqrt(runs * level * (1 - level));
        assert.ok(alarms <= most, `${alarms} alarms of ${runs} at ${level}`);
      }
    });
  }

  it('finds a growth of four deviations of the noise in the course of a run, nearly always', () => {
    const random = seeded(4);
    const runs = 300;
    const found = Array.from(
      { length: runs },
      () => trendOf(series(random, 4 / 2400, 0)).chance < 0.01 / 28,
    ).filter(Boolean).length;
    assert.ok(found > runs * 0.95, `${found} of ${runs}`);
  });

  it('has nothing to say of too few samples', () => {
    assert.throws(() => trendOf([{ atS: 0, value: 1 }]), RangeError);
    assert.equal(WINDOWS, 24);
  });
});
