// Finds connections whose path has died: the kernel holds bytes for them that the other side never acknowledged.

import type { WireSocket } from '../wire/wire.ts';
import { isUnheard, type SocketTable } from './socket-table.ts';
import type { UpstreamStream } from './upstream-stream.ts';

/** Whatever a request waits on. */
export type WatchedStream = Pick<UpstreamStream, 'socket'>;

/** Told that nothing reaches the other end of the connection. */
export interface SilenceUser {
  /** @param sentAtMs what it had asked with: something may have been sent, and answered, since */
  onUpstreamSilent(stream: WatchedStream, sentAtMs: number): void;
}

interface Asked {
  /** Of that time: the stream may be lent to another connection since. */
  readonly socket: WireSocket;
  readonly user: SilenceUser;
  readonly sentAtMs: number;
}

/** Between two looks at the table, in milliseconds; a machine with very many sockets looks less often (`SocketTable`). */
const LOOK_EVERY_MS = 200;
/**
 * Bytes that were sent so long ago and are not acknowledged need no second sending to be believed: after a time of
 * load the kernel may wait for seconds before it sends anything again. In milliseconds.
 */
const LONG_UNHEARD_MS = 800;

/**
 * A slow application acknowledges the request at once; a dead machine never does. So a request that waits long may be
 * sent elsewhere exactly when its path is dead, and a slow endpoint is never asked twice. Node cannot set
 * TCP_USER_TIMEOUT, which would tell the same. Where the table cannot be read nothing is ever silent.
 */
export class SilenceWatch {
  readonly #now: () => number;
  readonly #table: SocketTable;
  readonly #asked = new Map<WatchedStream, Asked>();
  #looking = false;
  #nextLookAtMs = 0;

  constructor(now: () => number, table: SocketTable) {
    this.#now = now;
    this.#table = table;
  }

  /**
   * Looks at the stream's connection soon; `user` hears of it only when its path is dead. Ask again to look again.
   * @param sentAtMs when the last byte was sent
   */
  ask(stream: WatchedStream, user: SilenceUser, sentAtMs: number): void {
    if (!this.#table.usable) return;
    this.#asked.set(stream, { socket: stream.socket, user, sentAtMs });
    if (!this.#looking && this.#now() >= this.#nextLookAtMs) void this.#look();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    const asked: (readonly [WatchedStream, Asked, isLong: boolean])[] = [];
    const states = await this.#table.look(() => {
      const nowMs = this.#now();
      for (const [stream, one] of this.#asked)
        asked.push([stream, one, nowMs - one.sentAtMs >= LONG_UNHEARD_MS]);
      this.#asked.clear();
      return asked.map(([, { socket }]) => socket);
    });
    for (const [stream, { socket, user, sentAtMs }, isLong] of asked)
      if (isUnheard(states.get(socket), isLong)) user.onUpstreamSilent(stream, sentAtMs);
    this.#nextLookAtMs = this.#now() + LOOK_EVERY_MS;
    this.#looking = false;
  }
}
