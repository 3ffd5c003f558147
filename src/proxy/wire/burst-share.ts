// Owns how many connections begin or end in one pass of the event loop when hundreds of them do so at once.

import type { Waiter } from './pass-share.ts';

/** So many go on at once, each with a request and a connect to a target: two milliseconds. */
const AT_ONCE = 16;
/** Of those that wait so many go on in each pass: an end can cost 0.1 ms, where the kernel frees megabytes that nobody has read. */
const IN_TURN = 8;

/**
 * Up to 1,024 connections can end in one pass, and each pass brings another that begins: 1,500 clients that leave together would
 * hold up every small request for 0.2 s. One at a time meets no queue.
 */
export class BurstShare {
  readonly #defer: (task: () => void) => void;
  /** In the order in which they came. */
  readonly #waiting: Waiter[] = [];
  /** That came since the last pass of which is known that it is over, those that wait included. */
  #count = 0;

  /** @param defer runs a task after what the event loop has at hand, and before it waits for more (`setImmediate`) */
  constructor(defer: (task: () => void) => void) {
    this.#defer = defer;
  }

  /** Counts one, and says whether it may go on at once; else `wait`. */
  mayGoOn(): boolean {
    this.#count += 1;
    if (this.#count === AT_ONCE) this.#defer(this.#onPass);
    return this.#count <= AT_ONCE;
  }

  wait(waiter: Waiter): void {
    this.#waiting.push(waiter);
  }

  /** Nobody waits any longer. */
  flush(): void {
    for (const waiter of this.#waiting.splice(0)) waiter.onTurn();
  }

  readonly #onPass = (): void => {
    for (const waiter of this.#waiting.splice(0, IN_TURN)) waiter.onTurn();
    if (this.#waiting.length > 0) this.#defer(this.#onPass);
    else this.#count = 0;
  };
}
