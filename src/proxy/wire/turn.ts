// One pass of the event loop through the data plane: what is written during it leaves in one system call per socket.

import type { Wire } from './wire.ts';

/**
 * Every entry from the event loop (bytes, connect, drain, timer) runs between `enter` and `leave`. Wires written
 * to in between are flushed by the outermost `leave`, so that a head and its body never take two writes.
 */
export class Turn {
  #depth = 0;
  readonly #dirty: Wire[] = [];

  enter(): void {
    this.#depth += 1;
  }

  leave(): void {
    if (this.#depth === 1) {
      // Flushing can make further wires dirty (an owner that answers to a failed write): the length is read anew.
      for (let index = 0; index < this.#dirty.length; index += 1) this.#dirty[index]!.flush();
      this.#dirty.length = 0;
    }
    this.#depth -= 1;
  }

  /** Called by a wire that has something to flush; outside a turn it is flushed at once. */
  dirty(wire: Wire): boolean {
    if (this.#depth === 0) return false;
    this.#dirty.push(wire);
    return true;
  }
}
