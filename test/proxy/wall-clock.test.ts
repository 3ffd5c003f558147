// The time of day that goes on by the monotonic clock.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WallClock } from '../../src/proxy/wall-clock.ts';

function stage() {
  const system = { epochMs: 1_700_000_000_000, nowMs: 12.75, asked: 0 };
  const clock = new WallClock(
    () => {
      system.asked += 1;
      return system.epochMs;
    },
    () => system.nowMs,
  );
  const pass = (ms: number): void => {
    system.nowMs += ms;
    system.epochMs += ms;
  };
  return { clock, system, pass };
}

test('goes on with the monotonic clock, in whole milliseconds, and asks the system now and then', () => {
  const { clock, system, pass } = stage();
  const first = system.epochMs;
  assert.equal(clock.now(), first);
  pass(0.6);
  assert.equal(clock.now(), first);
  pass(48.9);
  assert.equal(clock.now(), first + 49);
  assert.equal(system.asked, 1);
  pass(1);
  assert.equal(clock.now(), first + 50);
  assert.equal(system.asked, 2);
});

test('a clock that was set is believed from the next time on that the system is asked', () => {
  const { clock, system, pass } = stage();
  const first = clock.now();
  system.epochMs -= 3_600_000;
  pass(49);
  assert.equal(clock.now(), first + 49);
  pass(1);
  assert.equal(clock.now(), first - 3_600_000 + 50);
});
