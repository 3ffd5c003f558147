// Time that passes when a test says so.

interface Timer {
  readonly dueAtMs: number;
  readonly run: () => void;
}

export class ManualTimers {
  nowMs = 1_000_000;
  readonly #timers = new Set<Timer>();

  /** Runs after `delayMs` of this clock; returns what cancels it. */
  readonly after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { dueAtMs: this.nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.nowMs += ms;
    for (const timer of [...this.#timers].sort((left, right) => left.dueAtMs - right.dueAtMs)) {
      // An earlier one may have cancelled it.
      if (timer.dueAtMs > this.nowMs || !this.#timers.delete(timer)) continue;
      timer.run();
    }
  }
}
