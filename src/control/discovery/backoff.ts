// Full-jitter exponential back-off: how long to wait before the next try.

export interface BackoffOptions {
  /** Upper bound of the first delay, milliseconds. Default 200. */
  readonly baseMs: number;
  /** Upper bound of every delay, milliseconds. Default 30 000. */
  readonly capMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Each delay is uniform between 0 and a bound that doubles, so that many clients spread over the whole interval. */
export class Backoff {
  readonly #options: BackoffOptions;
  #attempt = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** The next delay in milliseconds. */
  next(): number {
    const { baseMs, capMs, random } = this.#options;
    // 2 ** 30 milliseconds is far over any cap; the bound keeps the power finite however long an outage lasts.
    const bound = Math.min(capMs, baseMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return Math.floor(random() * bound);
  }

  /** To be called after proven progress only: a server that accepts and fails at once must not be hammered. */
  reset(): void {
    this.#attempt = 0;
  }
}
