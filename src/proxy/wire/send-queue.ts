// What one HTTP/2 stream has to send and its windows do not take yet, and the end that follows it.

import type { MessageHead } from '../../http1/message-head.ts';
import type { Connection } from '../../http2/connection.ts';
import type { Stream } from '../../http2/stream.ts';

/** Whoever fills it stops at `waits`, so it holds no more than what came in one read. */
export class SendQueue<H extends MessageHead = MessageHead, O = unknown> {
  readonly #codec: Connection<H, O>;
  #stream: Stream<H, O> | null = null;
  #bytes: Buffer | null = null;
  /** Trailer lines of the end that is due, or null. */
  #trailers: string | null = null;
  /** Bytes that the windows have taken so far, of all its streams. */
  takenBytes = 0;

  constructor(codec: Connection<H, O>) {
    this.#codec = codec;
  }

  begin(stream: Stream<H, O>): void {
    this.#stream = stream;
    this.#bytes = null;
    this.#trailers = null;
  }

  forget(): void {
    this.#stream = null;
    this.#bytes = null;
  }

  /** Something has not been sent. */
  get waits(): boolean {
    return this.#bytes !== null;
  }

  /** @param last the message ends with these bytes */
  data(buffer: Buffer, start: number, end: number, last: boolean): void {
    const stream = this.#stream;
    if (stream === null) return;
    if (last) this.#trailers = '';
    if (this.#bytes !== null) {
      this.#bytes = Buffer.concat([this.#bytes, buffer.subarray(start, end)]);
      return;
    }
    const taken = this.#codec.sendData(stream, buffer, start, end, last);
    this.takenBytes += taken;
    if (taken < end - start) this.#bytes = Buffer.from(buffer.subarray(start + taken, end));
  }

  end(trailers: string): void {
    this.#trailers = trailers;
    if (this.#bytes === null && this.#stream !== null) this.#codec.sendEnd(this.#stream, trailers);
  }

  /** A window has opened. */
  resume(): void {
    const bytes = this.#bytes;
    const stream = this.#stream;
    if (bytes === null || stream === null) return;
    const endsWithIt = this.#trailers === '';
    const taken = this.#codec.sendData(stream, bytes, 0, bytes.length, endsWithIt);
    this.takenBytes += taken;
    this.#bytes = taken < bytes.length ? bytes.subarray(taken) : null;
    if (this.#bytes === null && this.#trailers !== null && !endsWithIt)
      this.#codec.sendEnd(stream, this.#trailers);
  }
}
