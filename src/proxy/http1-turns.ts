// How much of an HTTP/1.1 connection is read in one go: requests that were sent ahead, and tiny chunks, take turns with other work.

import type { Deadline } from './deadlines.ts';
import type { ExchangeContext } from './exchange-context.ts';
import type { Waiter } from './wire/pass-share.ts';

/**
 * Pieces of a body that any connection may have read in one go: 64 KiB of usual chunks are fewer. One-byte chunks are
 * 10,000, and more of them are read while the worker has time for such things.
 */
export const PIECES_AT_ONCE = 512;
/** Requests that were sent ahead and are answered at once make a large piece of work together. */
const REQUESTS_AT_ONCE = 8;

/** Made with the parser; let go of with it. */
export class Http1Turns implements Waiter {
  /** The connection has had its share of the worker's time: the rest of what it sent is read on with the next tick, or in its turn. */
  waits = false;
  /** Of the bytes that came with one read: those that their sender did not wait with. */
  requests = 0;
  readonly #session: Deadline & Waiter;
  readonly #context: Pick<ExchangeContext, 'deadlines' | 'now' | 'pieces' | 'share'>;

  /** @param session reads on with its turn, or its deadline, which is set for the next tick */
  constructor(
    session: Deadline & Waiter,
    context: Pick<ExchangeContext, 'deadlines' | 'now' | 'pieces' | 'share'>,
  ) {
    this.#session = session;
    this.#context = context;
  }

  /**
   * Chunks of one byte have their share of the time; and code that is new to the engine takes thirty times as long for each.
   * @param times that `PIECES_AT_ONCE` of a read have come
   */
  onPieces(times: number): void {
    const { pieces, share, deadlines, now } = this.#context;
    if (!pieces.take(PIECES_AT_ONCE, now())) {
      this.waits = true;
      deadlines.set(this.#session, now());
    } else if (!share.mayGoOn(times)) this.#wait();
  }

  /** A head has been read. */
  onRequest(): void {
    this.requests += 1;
    if (this.waits || this.requests % REQUESTS_AT_ONCE !== 0) return;
    if (!this.#context.share.mayGoOn(this.requests / REQUESTS_AT_ONCE)) this.#wait();
  }

  /** What many chunks bring, or many requests sent ahead ask for, is read on after those who wait meanwhile. */
  #wait(): void {
    this.waits = true;
    this.#context.share.wait(this);
  }

  onTurn(): void {
    this.waits = false;
    this.#session.onTurn();
  }
}
