// Whether a worker has come to rest after work: then memory that the work has left behind is given back to the system.

/** A worker that nobody asks anything has no more turns of work between two looks: an idle connection that ends. */
const QUIET_TURNS = 2;
/** Looks in a row without work: the next request is seldom about to come. */
const QUIET_LOOKS = 4;
/** What less work than this leaves behind, some hundred requests, is not worth a collection. */
const WORK_TURNS = 1000;
/** Above it the collection, which stops the worker, would take longer than a few tens of milliseconds. */
const LARGEST_HEAP_BYTES = 64 * 1024 * 1024;

export interface RestWatchOptions {
  /** Events that the data plane has handled. */
  readonly turns: () => number;
  readonly heapBytes: () => number;
  /** Collects garbage and gives free pages back. */
  readonly giveBack: () => void;
}

export class RestWatch {
  readonly #options: RestWatchOptions;
  #seenTurns = 0;
  /** Turns since memory was given back. Loading the program is work, too. */
  #workTurns = WORK_TURNS;
  #quietLooks = 0;

  constructor(options: RestWatchOptions) {
    this.#options = options;
  }

  /** Called a few times a second. */
  look(): void {
    const { turns, heapBytes, giveBack } = this.#options;
    const seenTurns = turns();
    const newTurns = seenTurns - this.#seenTurns;
    this.#seenTurns = seenTurns;
    if (newTurns > QUIET_TURNS) {
      this.#quietLooks = 0;
      this.#workTurns += newTurns;
      return;
    }
    this.#quietLooks += 1;
    if (this.#quietLooks < QUIET_LOOKS || this.#workTurns < WORK_TURNS) return;
    this.#workTurns = 0;
    this.#quietLooks = 0;
    if (heapBytes() <= LARGEST_HEAP_BYTES) giveBack();
  }
}
