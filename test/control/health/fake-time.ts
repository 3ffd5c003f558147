// Owns time for tests: timers fire only when time is moved.

import type { Clock } from '../../../src/control/discovery/clock.ts';

export class FakeTime {
  nowMs = 1_000_000;
  /** What the wall clock is behind. */
  #behindMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly run: () => void }>();

  readonly clock: Clock = {
    now: () => this.nowMs - this.#behindMs,
    after: (delayMs, run) => {
      const timer = { atMs: this.nowMs + delayMs, run };
      this.#timers.add(timer);
      return () => this.#timers.delete(timer);
    },
  };

  readonly monotonic = (): number => this.nowMs;

  /** Sets the wall clock back; timers go on. */
  setBack(ms: number): void {
    this.#behindMs += ms;
  }

  /** Timers that are waiting. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves time, firing what is due in order; promises settle in between. */
  async move(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      await settled();
      const next = [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = untilMs;
    await settled();
  }
}

/** Lets everything that is ready run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
