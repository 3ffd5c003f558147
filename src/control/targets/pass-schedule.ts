// When the target engine looks at everything: soon after an event, once for many of them, and not without a rest between.

import type { TargetEngineOptions } from './engine-contract.ts';

/** How long results of probes are gathered, milliseconds. */
const GATHER_MS = 5;
/**
 * After a pass there is none for as long as it took, and for no longer than this, milliseconds: thousands of nodes that
 * change two hundred times a second would take all of the controller's time otherwise, to make snapshots that no worker
 * gets to see.
 */
const MOST_REST_MS = 100;

export class PassSchedule {
  readonly #options: Pick<TargetEngineOptions, 'clock' | 'monotonic' | 'defer'>;
  readonly #pass: () => void;
  #isDue = false;
  #isGathering = false;
  #isClosed = false;
  /** Monotonic milliseconds. */
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  #cancelWake: () => void = () => {};

  constructor(options: Pick<TargetEngineOptions, 'clock' | 'monotonic' | 'defer'>, pass: () => void) {
    this.#options = options;
    this.#pass = pass;
  }

  /** However many events come before it runs, one pass answers them. */
  soon(): void {
    if (this.#isDue || this.#isClosed) return;
    this.#isDue = true;
    const run = (): void => {
      if (this.#isDue) this.now();
    };
    const restMs = this.#restsUntilMs - this.#options.monotonic();
    if (restMs < 1) this.#options.defer(run);
    else this.#options.clock.after(Math.ceil(restMs), run);
  }

  /** Results of probes come one by one, by the thousand: a pass answers those of a few milliseconds. */
  gather(): void {
    if (this.#isGathering || this.#isClosed) return;
    this.#isGathering = true;
    this.#options.clock.after(GATHER_MS, () => {
      this.#isGathering = false;
      this.soon();
    });
  }

  /**
   * A pass then, and not at the time that was said before.
   * @param atMs monotonic; null or Infinity waits for events only
   */
  wakeAt(atMs: number | null, nowMs: number): void {
    this.#cancelWake();
    if (atMs === null || atMs === Number.POSITIVE_INFINITY) return;
    // Timers of Node fire at once above 2^31 - 1 ms.
    const delayMs = Math.min(Math.max(1, Math.ceil(atMs - nowMs)), 2 ** 31 - 1);
    this.#cancelWake = this.#options.clock.after(delayMs, () => this.soon());
  }

  /** A pass at once, which answers all that was waiting for one. */
  now(): void {
    if (this.#isClosed) return;
    const { monotonic } = this.#options;
    this.#isDue = false;
    const beganMs = monotonic();
    this.#pass();
    const endedMs = monotonic();
    this.#restsUntilMs = endedMs + Math.min(MOST_REST_MS, endedMs - beganMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelWake();
  }
}
