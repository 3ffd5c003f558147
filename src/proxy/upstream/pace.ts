// How many connections a target may be asked to start in a time: a rate with a small allowance at once.

/** The share of a second's starts that may come together; at least one. */
const AT_ONCE = 0.2;

/** The generic cell rate algorithm: one number says when the target has recovered from its starts. */
export class Pace {
  #recoveredAtMs = Number.NEGATIVE_INFINITY;

  /**
   * Takes one start, or says that it is too early for one.
   * @param perSecond above 0
   */
  tryStart(perSecond: number, nowMs: number): boolean {
    const stepMs = 1000 / perSecond;
    const together = Math.max(1, Math.floor(perSecond * AT_ONCE));
    const recoveredAtMs = Math.max(this.#recoveredAtMs, nowMs);
    if (recoveredAtMs + stepMs > nowMs + together * stepMs + 1e-6) return false;
    this.#recoveredAtMs = recoveredAtMs + stepMs;
    return true;
  }
}
