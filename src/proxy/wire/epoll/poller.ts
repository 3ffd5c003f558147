// The descriptors of a worker that are watched past libuv, and what has become ready of them: one call for all of it.

import {
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  EVENT_INTS,
  MOST_EVENTS,
  type Sockets,
} from './sockets.ts';

/** Whose descriptor is watched. */
export interface Watched {
  /** @param events bits of epoll(7) */
  onReady(events: number): void;
}

/** Told of once, when it begins: bytes, urgent ones, and the end of the peer. */
const READABLE = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
/** A listening socket is told of for as long as somebody waits. */
const WAITED_FOR = EPOLLIN;

/**
 * So many events may be answered before libuv has its turn with timers, messages and TLS. Where few are ready at a time, which
 * is where each way through libuv costs most, many passes fit.
 */
const EVENTS_IN_TURN = 64;

export class Poller {
  readonly sockets: Sockets;
  /** What sockets.c writes; copied before anybody is told. */
  readonly #ready = new Int32Array(EVENT_INTS * MOST_EVENTS);
  readonly #events = new Int32Array(EVENT_INTS * MOST_EVENTS);
  readonly #slots: (Watched | null)[] = [];
  /** Tells the events of a descriptor from those of another that had its slot before. */
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  #count = 0;
  #inPass = false;
  #ended: (() => void)[] = [];
  #deferred: (() => void)[] = [];
  /** Deferred tasks wait for libuv's next turn, all of them: in a pass they would get a turn more. */
  #asked = false;

  /** @throws Error where it cannot begin */
  constructor(sockets: Sockets) {
    this.sockets = sockets;
    const status = sockets.start(this.#ready, (count) => this.#onReady(count));
    if (status < 0) throw new Error(`no sockets past libuv (status ${status})`);
  }

  /** All that is watched, to look at. */
  get watched(): readonly Watched[] {
    return this.#slots.filter((one) => one !== null);
  }

  /** Watches a connection until `forget`. @returns its slot, or an error */
  watch(fd: number, watched: Watched): number {
    return this.#watch(fd, watched, READABLE);
  }

  /** The same for one that is to connect, which is told when it can be written to as well. */
  watchConnecting(fd: number, watched: Watched): number {
    return this.#watch(fd, watched, READABLE | EPOLLOUT);
  }

  watchListening(fd: number, watched: Watched): number {
    return this.#watch(fd, watched, WAITED_FOR);
  }

  /** Tells from now on when there is room to write. */
  awaitRoom(fd: number, slot: number): number {
    return this.sockets.change(fd, slot, this.#generations[slot]!, READABLE | EPOLLOUT);
  }

  /** The descriptor is closed next, or has left the set. */
  forget(slot: number): void {
    this.#slots[slot] = null;
    this.#free.push(slot);
    this.#count -= 1;
    if (this.#count === 0) this.sockets.hold(0);
  }

  /** Runs a task as soon as nothing else is being done. */
  readonly soon = (task: () => void): void => {
    this.#ended.push(task);
    if (!this.#inPass && this.#ended.length === 1) queueMicrotask(this.#runEnded);
  };

  /** Runs a task after what is ready, and before the wait for more: for these sockets what `setImmediate` is for libuv's. */
  readonly defer = (task: () => void): void => {
    this.#deferred.push(task);
    if (!this.#inPass) this.#askForTurn();
  };

  #askForTurn(): void {
    if (this.#asked) return;
    this.#asked = true;
    setImmediate(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#asked = false;
    this.#runDeferred();
  };

  #watch(fd: number, watched: Watched, interest: number): number {
    const slot = this.#free.pop() ?? this.#slots.length;
    const generation = ((this.#generations[slot] ?? 0) + 1) | 0;
    const status = this.sockets.watch(fd, slot, generation, interest);
    if (status < 0) {
      if (slot < this.#slots.length) this.#free.push(slot);
      return status;
    }
    this.#slots[slot] = watched;
    this.#generations[slot] = generation;
    this.#count += 1;
    if (this.#count === 1) this.sockets.hold(1);
    return slot;
  }

  #onReady(first: number): void {
    let told = 0;
    this.#inPass = true;
    try {
      for (
        let count = first;
        count > 0;
        count = told < EVENTS_IN_TURN && !this.#asked ? this.sockets.wait() : 0
      ) {
        told += count;
        this.#tell(count);
        this.#runEnded();
        if (this.#asked) continue;
        this.#runDeferred();
        this.#runEnded();
        // Has more to do than fits into a pass: what is large has its share for each turn of libuv.
        if (this.#deferred.length > 0) this.#askForTurn();
      }
    } finally {
      this.#inPass = false;
    }
  }

  #tell(count: number): void {
    const events = this.#events;
    const end = EVENT_INTS * count;
    for (let at = 0; at < end; at += 1) events[at] = this.#ready[at]!;
    for (let at = 0; at < end; at += EVENT_INTS) {
      const slot = events[at]!;
      // Another may have it since: what came before has closed this one.
      if (this.#generations[slot] === events[at + 1]) this.#slots[slot]?.onReady(events[at + 2]!);
    }
  }

  /** With what they begin meanwhile, in their order. */
  readonly #runEnded = (): void => {
    while (this.#ended.length > 0) {
      const tasks = this.#ended;
      this.#ended = [];
      for (const task of tasks) task();
    }
  };

  readonly #runDeferred = (): void => {
    const tasks = this.#deferred;
    if (tasks.length === 0) return;
    this.#deferred = [];
    for (const task of tasks) task();
  };
}
