// The watchdog: who has been silent for too long, and when nobody is to blame.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  CONTROLLER_SILENT_MS,
  START_SILENT_MS,
  WATCH_MS,
  Watchdog,
  type Watched,
  WORKER_SILENT_MS,
} from '../../src/supervisor/watchdog.ts';

/** Looks once a second until `untilMs`, and says when a child was first found silent. */
function silentAt(child: Watched, untilMs: number): number | null {
  const watchdog = new Watchdog(0);
  for (let nowMs = WATCH_MS; nowMs <= untilMs; nowMs += WATCH_MS) {
    if (watchdog.silent([child], nowMs).length > 0) return nowMs;
  }
  return null;
}

describe('the watchdog', () => {
  it('gives a worker ten seconds', () => {
    assert.equal(
      silentAt({ role: 'worker', heardAtMs: 0, spoke: true }, 60_000),
      WORKER_SILENT_MS + WATCH_MS,
    );
  });

  it('gives a controller thirty seconds', () => {
    assert.equal(
      silentAt({ role: 'controller', heardAtMs: 0, spoke: true }, 60_000),
      CONTROLLER_SILENT_MS + WATCH_MS,
    );
  });

  it('gives a process that starts a minute to say its first word', () => {
    const child: Watched = { role: 'worker', heardAtMs: 0, spoke: false };
    assert.equal(silentAt(child, 100_000), START_SILENT_MS + WATCH_MS);
  });

  it('never names one that speaks', () => {
    const watchdog = new Watchdog(0);
    for (let nowMs = WATCH_MS; nowMs < 120_000; nowMs += WATCH_MS) {
      assert.deepEqual(watchdog.silent([{ role: 'worker', heardAtMs: nowMs - 900, spoke: true }], nowMs), []);
    }
  });

  it('blames nobody when it was itself stopped, and sees a hang that goes on after that', () => {
    const watchdog = new Watchdog(0);
    const child: Watched = { role: 'worker', heardAtMs: 0, spoke: true };
    // A machine that slept for an hour: what the child has said since is still to be read.
    assert.deepEqual(watchdog.silent([child], 3_600_000), []);
    let found: number | null = null;
    for (let nowMs = 3_601_000; found === null && nowMs < 3_700_000; nowMs += WATCH_MS) {
      if (watchdog.silent([child], nowMs).length > 0) found = nowMs;
    }
    assert.equal(found, 3_600_000 + WORKER_SILENT_MS + WATCH_MS);
  });
});
