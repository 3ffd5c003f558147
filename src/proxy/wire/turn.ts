// One pass of the event loop through the data plane: one reading of the clock for each event, one write for each socket.

/** What can be flushed at the end of a pass. */
export interface Flushable {
  flush(): void;
}

/** In a slot that is free: what stood there last may end, and is not to be held. */
const NOTHING: Flushable = { flush: () => {} };

export interface TurnOptions {
  /** Monotonic, milliseconds. */
  readonly clock: () => number;
  /** Runs a task after what the event loop has at hand, and before it waits for more (`setImmediate`). */
  readonly defer: (task: () => void) => void;
}

/**
 * The first of what is gathered waits no longer than this for events that came in the same pass, in milliseconds: a pass can
 * bring a thousand.
 */
const GATHER_MS = 1;

/**
 * Every entry from the event loop (bytes, connect, drain, timer) runs between `enter` and `leave`. What is written in
 * between leaves when the pass is over, so that a head and its body, or frames of many streams, take one write, and the
 * kernel wakes whoever waits for them once for many writes in a row
 * (docs/decisions/0027-writes-at-the-end-of-a-pass.md).
 */
export class Turn {
  /** Which turn it is: tells what was written in an earlier one, and would have left without gathering. */
  number = 0;
  #depth = 0;
  readonly #options: TurnOptions;
  #nowMs = 0;
  /** Slots are reused: setting the length of an array to 0 costs more than everything else here. */
  readonly #dirty: Flushable[] = [];
  #dirtyCount = 0;
  #dirtySinceMs = 0;
  #hurries = false;
  #deferred = false;

  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** The time at which the turn began: about ten readings of the clock for each request become one for each turn. */
  readonly now = (): number => (this.#depth === 0 ? this.#options.clock() : this.#nowMs);

  enter(): void {
    if (this.#depth === 0) this.#nowMs = this.#options.clock();
    this.#depth += 1;
  }

  leave(): void {
    if (this.#depth === 1) {
      if (this.#dirtyCount > 0) this.#settle();
      this.number += 1;
    }
    this.#depth -= 1;
  }

  #settle(): void {
    if (this.#hurries || this.#nowMs - this.#dirtySinceMs >= GATHER_MS) return this.#flush();
    if (this.#deferred) return;
    this.#deferred = true;
    this.#options.defer(this.#onPass);
  }

  /** Called by a wire that has something to flush; false outside a turn, when it must flush at once. */
  dirty(wire: Flushable): boolean {
    if (this.#depth === 0) return false;
    if (this.#dirtyCount === 0) this.#dirtySinceMs = this.#nowMs;
    this.#dirty[this.#dirtyCount] = wire;
    this.#dirtyCount += 1;
    return true;
  }

  /**
   * What is written now leaves with this turn, and all before it: it is large, and a pass is to hold no buffers, or somebody
   * is told of an end.
   */
  hurry(): void {
    this.#hurries = true;
  }

  #flush(): void {
    // Flushing can make further wires dirty (an owner that answers to a failed write): the count is read anew.
    for (let index = 0; index < this.#dirtyCount; index += 1) {
      this.#dirty[index]!.flush();
      this.#dirty[index] = NOTHING;
    }
    this.#dirtyCount = 0;
    this.#hurries = false;
  }

  readonly #onPass = (): void => {
    this.#deferred = false;
    this.enter();
    try {
      this.#flush();
    } finally {
      this.leave();
    }
  };
}
