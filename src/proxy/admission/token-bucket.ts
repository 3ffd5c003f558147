// A rate with a burst: a bucket that fills by the second and that each event takes one token from.

/** Times are on the worker's monotonic clock, milliseconds. */
export class TokenBucket {
  #tokens = 0;
  #filledAtMs = Number.NEGATIVE_INFINITY;

  /**
   * Takes a token, or says that there is none. Rate and burst come with each call, so that a reload changes them at once.
   * @param rate tokens a second; 0 is no limit
   * @param burst tokens that the bucket holds; 0 is one second of the rate
   */
  take(nowMs: number, rate: number, burst: number): boolean {
    if (rate === 0) return true;
    const size = burst === 0 ? rate : burst;
    // A new bucket is full.
    const tokens = Math.min(size, this.#tokens + ((nowMs - this.#filledAtMs) / 1000) * rate);
    this.#filledAtMs = nowMs;
    if (tokens < 1) {
      this.#tokens = tokens;
      return false;
    }
    this.#tokens = tokens - 1;
    return true;
  }
}
