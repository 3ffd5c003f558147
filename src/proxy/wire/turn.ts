// One pass of the event loop through the data plane: one reading of the clock, and one write for each socket.

/** What can be flushed at the end of a turn. */
export interface Flushable {
  flush(): void;
}

/**
 * Every entry from the event loop (bytes, connect, drain, timer) runs between `enter` and `leave`. Wires written
 * to in between are flushed by the outermost `leave`, so that a head and its body never take two writes.
 */
export class Turn {
  #depth = 0;
  readonly #clock: () => number;
  #nowMs = 0;
  /** Slots are reused: setting the length of an array to 0 costs more than everything else here. */
  readonly #dirty: Flushable[] = [];
  #dirtyCount = 0;

  /** @param clock monotonic, milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The time at which the turn began: about ten readings of the clock for each request become one for each turn. */
  readonly now = (): number => (this.#depth === 0 ? this.#clock() : this.#nowMs);

  enter(): void {
    if (this.#depth === 0) this.#nowMs = this.#clock();
    this.#depth += 1;
  }

  leave(): void {
    if (this.#depth === 1) {
      // Flushing can make further wires dirty (an owner that answers to a failed write): the count is read anew.
      for (let index = 0; index < this.#dirtyCount; index += 1) this.#dirty[index]!.flush();
      this.#dirtyCount = 0;
    }
    this.#depth -= 1;
  }

  /** Called by a wire that has something to flush; false outside a turn, when it must flush at once. */
  dirty(wire: Flushable): boolean {
    if (this.#depth === 0) return false;
    this.#dirty[this.#dirtyCount] = wire;
    this.#dirtyCount += 1;
    return true;
  }
}
