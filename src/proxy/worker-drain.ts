// How a worker leaves: it accepts nothing more, waits for what is in flight, and cuts what is left at the deadline.

import type { Listeners } from './listeners.ts';

const LOOK_EVERY_MS = 50;

export class WorkerDrain {
  readonly #listeners: Listeners;
  readonly #now: () => number;
  readonly #onEnd: () => void;
  #timer: NodeJS.Timeout | null = null;
  #idleAtMs = Number.POSITIVE_INFINITY;
  #dueAtMs = Number.POSITIVE_INFINITY;

  /** @param onEnd no connection is left; called once */
  constructor(listeners: Listeners, now: () => number, onEnd: () => void) {
    this.#listeners = listeners;
    this.#now = now;
    this.#onEnd = onEnd;
  }

  /**
   * Connections that wait for a request are closed after `idleMs` (until then each gets `Connection: close` with its next
   * answer); what is left after `deadlineMs` is cut. Asked again it can only become shorter: a worker that was replaced
   * has an hour, and less when everything stops.
   */
  begin(idleMs: number, deadlineMs: number): void {
    const nowMs = this.#now();
    this.#idleAtMs = Math.min(this.#idleAtMs, nowMs + idleMs);
    this.#dueAtMs = Math.min(this.#dueAtMs, nowMs + deadlineMs);
    this.#listeners.drain(deadlineMs);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  #look(): void {
    const nowMs = this.#now();
    if (nowMs >= this.#idleAtMs) this.#listeners.closeIdle();
    if (this.#listeners.openConnections > 0 && nowMs < this.#dueAtMs) return;
    this.#listeners.shutdown();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#onEnd();
  }
}
