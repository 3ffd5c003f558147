// What the clients of the cluster tests take for late: not the time in which their own process stood still.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, it, mock } from 'node:test';
import { Pauses } from './pauses.ts';

/** A clock, and an event loop that goes round every 10 ms while time passes. */
class Loop {
  nowMs = 0;
  readonly pauses = new Pauses(() => this.nowMs);

  run(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += 10;
      this.pauses.tick();
      mock.timers.tick(10);
    }
  }

  /** Everything that was due meanwhile is due at once, before any socket is read. */
  stand(ms: number): void {
    this.nowMs += ms;
    mock.timers.tick(ms);
  }
}

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

it('knows for how much of a time the process stood still', () => {
  const loop = new Loop();
  loop.run(1000);
  assert.equal(loop.pauses.within(0, 1000), 0);
  loop.stand(2000);
  loop.run(500);
  assert.equal(loop.pauses.within(0, 3500), 1990, 'until its next turn, less the 20 ms between two ticks');
  assert.equal(loop.pauses.within(1500, 2000), 500);
  assert.equal(loop.pauses.within(3010, 3500), 0);
  assert.deepEqual(loop.pauses.total(), { count: 1, ms: 1990 });
});

it('lets patience end after its time without the pauses, and no sooner and no later', () => {
  const loop = new Loop();
  let endedAtMs = 0;
  loop.pauses.patience(2000, () => {
    endedAtMs = loop.nowMs;
  });
  loop.run(300);
  loop.stand(2500);
  assert.equal(endedAtMs, 0, 'it stood still for longer than that, and has not looked yet');
  loop.run(3000);
  assert.ok(endedAtMs >= 4480 && endedAtMs <= 4520, `ended at ${endedAtMs} ms`);

  endedAtMs = 0;
  const startedAtMs = loop.nowMs;
  loop.pauses.patience(2000, () => {
    endedAtMs = loop.nowMs;
  });
  loop.run(3000);
  assert.ok(endedAtMs - startedAtMs <= 2010, 'without a pause it is late on time');
});

it('begins anew when something comes, and ends when it is told to', () => {
  const loop = new Loop();
  let ends = 0;
  const patience = loop.pauses.patience(2000, () => {
    ends += 1;
  });
  for (let turn = 0; turn < 5; turn += 1) {
    loop.run(1500);
    patience.restart();
  }
  assert.equal(ends, 0);
  patience.end();
  loop.run(5000);
  assert.equal(ends, 0);
});
