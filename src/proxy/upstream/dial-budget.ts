// How many dials a pool may have open beside silent ones: connecting again is not repeating a request, but not free.

/**
 * A dial that has been silent for this long gets company, in milliseconds: a node that drops packets, and a kube-proxy
 * whose rules still hold a dead pod, look alike and refuse nothing. Far above a connect within a data centre.
 */
export const HEDGE_AFTER_MS = 75;
/** So many at once a pool may always have, in this worker. */
const ALWAYS = 100;
/** For each connection that was begun lately, when that is more. */
const FOR_EACH = 2;
const LATELY_MS = 1000;

/**
 * Bounds what is open at once, not what was opened in a while: a dial that connects, or whose request is over, makes room for
 * the next, so a pool where half of all connects hang never runs out, while one that answers nothing, or is slow to
 * accept, has on average three dials for a request and not sixteen.
 */
export class DialBudget {
  /** Open ones beyond the first of each request. */
  beside = 0;
  #begun = 0;
  #begunBefore = 0;
  #sinceMs = 0;

  /** A request or tcp connection has made its first dial. */
  onBegun(nowMs: number): void {
    this.#turnOver(nowMs);
    this.#begun += 1;
  }

  /** Whether one more may be opened beside those of a request. */
  hasRoom(nowMs: number): boolean {
    this.#turnOver(nowMs);
    return this.beside < Math.max(ALWAYS, Math.max(this.#begun, this.#begunBefore) * FOR_EACH);
  }

  #turnOver(nowMs: number): void {
    const tookMs = nowMs - this.#sinceMs;
    if (tookMs < LATELY_MS) return;
    this.#begunBefore = tookMs < 2 * LATELY_MS ? this.#begun : 0;
    this.#begun = 0;
    this.#sinceMs = nowMs;
  }
}
