// The wait between two tries of a list or watch, which ends early when the API server is back or nobody needs it any more.

import { type Clock, sleep } from './clock.ts';

/** Many reflectors that are told at the same time to try again spread over this. */
const SPREAD_MS = 1_000;

export class RetryWait {
  readonly #clock: Clock;
  readonly #random: () => number;
  #wake: AbortController | null = null;
  #hurried = false;

  /** @param random uniform in [0, 1) */
  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Resolves after `delayMs` milliseconds, or earlier after `hurry` or `end`; it never rejects. */
  async sleep(delayMs: number): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    await sleep(this.#clock, delayMs, wake.signal);
    this.#wake = null;
    wake.abort();
  }

  /** Ends the wait within a second. Where this leads to a failure again, the waits after it take their time until `reset`. */
  hurry(): void {
    const wake = this.#wake;
    if (wake === null || this.#hurried) return;
    this.#hurried = true;
    const cancel = this.#clock.after(this.#random() * SPREAD_MS, () => wake.abort());
    // Whatever ends the wait first also ends this timer.
    wake.signal.addEventListener('abort', cancel);
  }

  /** The failures in a row are over. */
  reset(): void {
    this.#hurried = false;
  }

  /** Ends the wait now. */
  end(): void {
    this.#wake?.abort();
  }
}
