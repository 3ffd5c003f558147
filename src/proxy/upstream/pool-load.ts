// What all versions of a pool share in one worker: how many connections are open, and who waits for one.

/** Who waits for room among a pool's connections. A waiter is linked into the queue itself: waiting allocates nothing. */
export interface Waiter {
  /** Owned by `PoolLoad`. */
  before: Waiter | null;
  /** Owned by `PoolLoad`. */
  behind: Waiter | null;
  /** There may be room: takes it and leaves the queue, or stays in it and answers false. */
  onRoom(): boolean;
}

export class PoolLoad {
  /** Connections to all targets: connecting, in use and idle. */
  open = 0;
  /** Those of them that nobody uses. */
  idle = 0;
  waiting = 0;
  #first: Waiter | null = null;
  #last: Waiter | null = null;
  #telling = false;
  #changed = false;

  /** Queues behind all others. */
  join(waiter: Waiter): void {
    waiter.before = this.#last;
    if (this.#last === null) this.#first = waiter;
    else this.#last.behind = waiter;
    this.#last = waiter;
    this.waiting += 1;
  }

  leave(waiter: Waiter): void {
    const { before, behind } = waiter;
    if (before === null) this.#first = behind;
    else before.behind = behind;
    if (behind === null) this.#last = before;
    else behind.before = before;
    waiter.before = null;
    waiter.behind = null;
    this.waiting -= 1;
  }

  /**
   * A connection came free or is gone: the one who has waited longest may have it. What that frees in its turn is
   * offered after it, never within.
   */
  tell(): void {
    if (this.#first === null) return;
    this.#changed = true;
    if (this.#telling) return;
    this.#telling = true;
    try {
      while (this.#changed && this.#first !== null) {
        this.#changed = false;
        this.#first.onRoom();
      }
    } finally {
      this.#telling = false;
    }
  }
}
