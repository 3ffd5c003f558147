// The streams of a connection: those that are open, objects for later ones, and how the last ones ended.

import type { MessageHead } from '../http1/message-head.ts';
import { OpenStreams } from './open-streams.ts';
import type { SpareStreams } from './spare-streams.ts';
import type { Stream } from './stream.ts';

/** How a stream ended, for frames that come afterwards. */
export const Ended = { Unknown: 0, Orderly: 1, ByPeer: 2, ByUs: 3 } as const;
export type Ended = (typeof Ended)[keyof typeof Ended];

const REMEMBERED = 256;

export class StreamTable<H extends MessageHead, O> {
  readonly open = new OpenStreams<Stream<H, O>>();
  /** Objects that the session has not released yet. */
  held = 0;
  readonly #spare: SpareStreams<H>;
  /** The last streams that ended, in a ring: id and how. */
  #ids: Int32Array | null = null;
  #how: Uint8Array | null = null;
  #next = 0;

  constructor(spare: SpareStreams<H>) {
    this.#spare = spare;
  }

  add(id: number, sendWindow: number, receiveWindow: number): Stream<H, O> {
    const stream = this.#spare.take<O>();
    stream.open(id, sendWindow, receiveWindow);
    this.open.add(stream);
    this.held++;
    return stream;
  }

  end(stream: Stream<H, O>, how: Ended): void {
    stream.closed = true;
    this.open.delete(stream.id);
    this.remember(stream.id, how);
  }

  /** Notes how a stream ended that may never have had an object. */
  remember(id: number, how: Ended): void {
    this.#ids ??= new Int32Array(REMEMBERED);
    this.#how ??= new Uint8Array(REMEMBERED);
    this.#ids[this.#next] = id;
    this.#how[this.#next] = how;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  /** How a stream ended; `Unknown` when it never was, or ended long ago. */
  howEnded(id: number): Ended {
    const slot = this.#ids?.lastIndexOf(id) ?? -1;
    return slot < 0 ? Ended.Unknown : (this.#how![slot] as Ended);
  }

  /** The object may be used again. */
  release(stream: Stream<H, O>): void {
    if (!stream.closed || stream.released) return;
    stream.released = true;
    this.held--;
    stream.owner = null;
    stream.head.release();
    if (!stream.queued) this.#spare.give(stream);
  }
}
