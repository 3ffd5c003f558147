// The time of day for what each request needs it for: its id, its line in the access log, the Date of its answer.

/** How often the system is asked, in milliseconds: so long a clock that was set is not noticed. */
const ASKED_AFTER_MS = 50;

/** Goes on from what the system said last by the clock of the turn, which is read anyway: a request needs it three times. */
export class WallClock {
  readonly #ask: () => number;
  readonly #now: () => number;
  #askAtMs = Number.NEGATIVE_INFINITY;
  #aheadMs = 0;

  /**
   * @param ask epoch milliseconds
   * @param now monotonic, milliseconds
   */
  constructor(ask: () => number, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /** Epoch milliseconds, whole. */
  readonly now = (): number => {
    const nowMs = this.#now();
    if (nowMs >= this.#askAtMs) {
      this.#askAtMs = nowMs + ASKED_AFTER_MS;
      this.#aheadMs = this.#ask() - nowMs;
    }
    return Math.floor(nowMs + this.#aheadMs);
  };
}
