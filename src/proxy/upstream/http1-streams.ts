// The HTTP/1.1 streams of a worker that no connection uses at the moment.

import type { HeadLimits } from '../../http1/limits.ts';
import { Http1Stream } from './http1-stream.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** How many are kept. More than that hardly come free before one is needed again; each holds 2 KiB, and 5 more where its answers repeat. */
const MOST_FREE = 1024;

/**
 * Lends a connection its stream for one request, so that a connection that is idle has none: a worker may hold
 * thousands. Only a stream whose answer ended whole comes back; every other goes with its connection.
 */
export class Http1Streams {
  readonly #limits: HeadLimits;
  /** Linked through `Http1Stream.nextFree`: lending allocates nothing. */
  #first: Http1Stream | null = null;
  #count = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** How many wait to be lent. */
  get free(): number {
    return this.#count;
  }

  lend(connection: UpstreamConnection): Http1Stream {
    const stream = this.#first ?? new Http1Stream(this, this.#limits);
    if (stream === this.#first) {
      this.#first = stream.nextFree;
      stream.nextFree = null;
      this.#count -= 1;
    }
    stream.connection = connection;
    return stream;
  }

  /** Called by the stream, whose user and connection have let go of it. */
  giveBack(stream: Http1Stream): void {
    if (this.#count === MOST_FREE) return;
    stream.nextFree = this.#first;
    this.#first = stream;
    this.#count += 1;
  }
}
