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

/** What a worker holds for all of its pools. */
export interface WorkerLoad {
  /** Connections that nobody uses. */
  idle: number;
}

/** So many a worker holds for as long as they may idle. */
const IDLE_AT_LENGTH = 128;
/** No connection idles for less, in milliseconds: who is asked every second is not dialled every second. */
const LEAST_IDLE_MS = 1000;

/** Waiters that are asked about one connection: those at the head may wait for one to another name. */
const ASKED_AT_MOST = 4;

export class PoolLoad {
  /** Connections to all targets: connecting, in use and idle. */
  open = 0;
  #idle = 0;
  readonly #worker: WorkerLoad;
  waiting = 0;
  #first: Waiter | null = null;
  #last: Waiter | null = null;
  #telling = false;
  #changed = false;

  constructor(worker: WorkerLoad) {
    this.#worker = worker;
  }

  /** Those of the open ones that nobody uses. */
  get idle(): number {
    return this.#idle;
  }

  /**
   * A connection has become idle.
   * @returns how long it may be, in milliseconds: `limitMs`, and less in proportion to how many the worker holds. Thousands of
   * targets that are asked now and then would leave thousands of connections, most of which are never used again.
   */
  beginIdle(limitMs: number): number {
    this.#idle += 1;
    this.#worker.idle += 1;
    const share = IDLE_AT_LENGTH / this.#worker.idle;
    return share >= 1 ? limitMs : Math.max(Math.min(limitMs, LEAST_IDLE_MS), limitMs * share);
  }

  /** It is used again, or closed. */
  endIdle(): void {
    this.#idle -= 1;
    this.#worker.idle -= 1;
  }

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
   * A connection came free or is gone: the one who has waited longest may have it, or where that one cannot use it the next
   * who can. What that frees in its turn is offered after it, never within.
   */
  tell(): void {
    if (this.#first === null) return;
    this.#changed = true;
    if (this.#telling) return;
    this.#telling = true;
    try {
      while (this.#changed && this.#first !== null) {
        this.#changed = false;
        this.#offer();
      }
    } finally {
      this.#telling = false;
    }
  }

  /** A target has come or has come back, or takes more than it did: no connection had to end, and there may be room for many. */
  tellAll(): void {
    for (let waiting = Number.POSITIVE_INFINITY; this.waiting > 0 && this.waiting < waiting; ) {
      waiting = this.waiting;
      this.tell();
    }
  }

  #offer(): void {
    let waiter = this.#first;
    for (let asked = 0; asked < ASKED_AT_MOST && waiter !== null; asked += 1) {
      const next: Waiter | null = waiter.behind;
      if (waiter.onRoom()) return;
      // It may have left meanwhile, and then nobody is before it.
      waiter = next?.before == null ? null : next;
    }
  }
}
