// Time as discovery sees it: everything that waits is handed a clock, so that tests decide when time passes.

export interface Clock {
  /** Epoch milliseconds; used for stamps and expiry dates, never to measure how long something took. */
  readonly now: () => number;
  /** Calls `run` once after `delayMs` milliseconds; the returned function cancels it and may be called at any time. */
  readonly after: (delayMs: number, run: () => void) => () => void;
}

/** The real clock, for the composition root. Its timers do not keep the process alive by themselves. */
export function createSystemClock(): Clock {
  return {
    now: () => Date.now(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

/** Resolves after `delayMs` milliseconds, or as soon as `signal` is aborted; it never rejects. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = (): void => {
      cancel();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const cancel = clock.after(delayMs, wake);
    signal.addEventListener('abort', wake);
  });
}

/**
 * An abort signal with a time limit that can be moved: a list has one limit for each page, a watch moves it with
 * every line. It also follows a parent signal, and `dispose` undoes both, so that a long-lived parent keeps no
 * listener of a finished request.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #follow = (): void => this.#controller.abort();
  #cancel: () => void = () => {};
  #expired = false;

  constructor(clock: Clock, parent: AbortSignal) {
    this.#clock = clock;
    this.#parent = parent;
    if (parent.aborted) this.#controller.abort();
    else parent.addEventListener('abort', this.#follow);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** True when the limit was reached, false when the parent aborted (or nothing has happened yet). */
  get expired(): boolean {
    return this.#expired;
  }

  /** Starts the limit again, `limitMs` milliseconds from now. */
  restart(limitMs: number): void {
    this.#cancel();
    this.#cancel = this.#clock.after(limitMs, () => {
      this.#expired = true;
      this.#controller.abort();
    });
  }

  /** Stops the limit and lets go of the parent; the signal itself stays as it is. */
  dispose(): void {
    this.#cancel();
    this.#parent.removeEventListener('abort', this.#follow);
  }
}
