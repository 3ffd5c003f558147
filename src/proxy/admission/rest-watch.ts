// Whether a worker has come to rest after work: then memory that the work has left behind is given back to the system.

/** A worker that nobody asks anything is active for less than this share of the time. */
const QUIET_SHARE = 0.02;
/** Looks in a row without work: the next request is seldom about to come. */
const QUIET_LOOKS = 4;
/** What less work than this leaves behind is not worth a collection. */
const WORK_MS = 200;
/** Above it the collection, which stops the worker, would take longer than a few tens of milliseconds. */
const LARGEST_HEAP_BYTES = 64 * 1024 * 1024;

export interface RestWatchOptions {
  readonly now: () => number;
  /** Milliseconds that the event loop has been active, since any moment. */
  readonly activeMs: () => number;
  readonly heapBytes: () => number;
  /** Collects garbage and gives free pages back. */
  readonly giveBack: () => void;
}

export class RestWatch {
  readonly #options: RestWatchOptions;
  #seenAtMs: number;
  #seenActiveMs: number;
  /** Since memory was given back. Loading the program is work, and lies before the loop's. */
  #workMs = WORK_MS;
  #quietLooks = 0;

  constructor(options: RestWatchOptions) {
    this.#options = options;
    this.#seenAtMs = options.now();
    this.#seenActiveMs = options.activeMs();
  }

  /** Called a few times a second. */
  look(): void {
    const { now, activeMs, heapBytes, giveBack } = this.#options;
    const nowMs = now();
    const seenActiveMs = activeMs();
    const workMs = seenActiveMs - this.#seenActiveMs;
    const isQuiet = workMs < QUIET_SHARE * (nowMs - this.#seenAtMs);
    this.#seenAtMs = nowMs;
    this.#seenActiveMs = seenActiveMs;
    if (isQuiet) this.#quietLooks += 1;
    else {
      this.#quietLooks = 0;
      this.#workMs += workMs;
    }
    if (this.#quietLooks < QUIET_LOOKS || this.#workMs < WORK_MS) return;
    this.#workMs = 0;
    this.#quietLooks = 0;
    if (heapBytes() <= LARGEST_HEAP_BYTES) giveBack();
  }
}
