// What a connection sends: heads, content within the peer's windows, and the steps of a graceful end.

import { Buffer } from 'node:buffer';
import type { MessageHead } from '../http1/message-head.ts';
import { Budget } from './budgets.ts';
import { ConnectionState } from './connection-state.ts';
import { ErrorCode } from './error-code.ts';
import { MAX_FRAME_BYTES, MAX_STREAM_ID } from './frames.ts';
import { HeadEncoder } from './head-encoder.ts';
import { Half, type Stream } from './stream.ts';
import { Ended } from './stream-table.ts';

/** A DATA frame made shorter than this by the peer's window is one that costs more than it carries. */
const SMALL_FRAME = 256;
const WINDOW_UPDATES_PER_DATA = 10;
const NONE = Buffer.alloc(0);
const PING_SESSION = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
const PING_DRAIN = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]);

export abstract class ConnectionOutput<H extends MessageHead, O> extends ConnectionState<H, O> {
  /** The stream whose head is being written. */
  #headStream: Stream<H, O> | null = null;
  #draining = false;

  /** Writes the preface (client) and our SETTINGS; called once, before anything else. */
  abstract start(): void;

  /**
   * Begins a head: fill the encoder, then call `endHead` before anything else of this connection. For a stream that may
   * not send any more both do nothing.
   */
  beginHead(stream: Stream<H, O>): HeadEncoder {
    const writable = stream.sending === Half.Open && !this.failed;
    this.#headStream = writable ? stream : null;
    // A head that nobody gets must not pass through the table that the peer follows.
    const encoder = writable ? this.encoder : new HeadEncoder(this.workspace);
    encoder.begin();
    return encoder;
  }

  /** Writes the head. `endStream` when nothing follows. Interim responses are heads like any other. */
  endHead(endStream: boolean): void {
    const stream = this.#headStream;
    this.#headStream = null;
    if (stream === null) return;
    const encoder = this.encoder;
    this.writer.block(stream.id, encoder.block, encoder.length, endStream);
    if (endStream) this.endSending(stream);
  }

  /**
   * Writes as much of `buffer[start, end)` as the windows take.
   * @returns the number of bytes taken, all of them when the stream is closed; when it is less than given, `onWindow` says when to go on. With `endStream`,
   * END_STREAM is set on the last of the bytes, and only then.
   */
  sendData(stream: Stream<H, O>, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    if (stream.sending !== Half.Open || this.failed) return end - start;
    const allowed = Math.max(0, Math.min(stream.sendWindow, this.sendWindow, end - start));
    const to = start + allowed;
    let p = start;
    while (p < to) {
      const next = Math.min(to, p + MAX_FRAME_BYTES);
      this.writer.data(stream.id, buffer, p, next, endStream && next === end);
      this.budgets.earn(Budget.WindowUpdates, WINDOW_UPDATES_PER_DATA);
      this.budgets.earn(Budget.Pings, 1);
      p = next;
    }
    stream.sendWindow -= allowed;
    this.sendWindow -= allowed;
    if (to < end) {
      this.waiting.add(stream);
      if (allowed > 0 && allowed < SMALL_FRAME) this.spend(Budget.SmallWindows);
    } else if (endStream) {
      if (start === end) this.writer.data(stream.id, buffer, start, end, true);
      this.endSending(stream);
    }
    return allowed;
  }

  /** Ends the message; `trailers` are lines with CRLF, or ''. Does nothing when our side has ended. */
  sendEnd(stream: Stream<H, O>, trailers: string): void {
    if (stream.sending !== Half.Open || this.failed) return;
    if (trailers === '') {
      this.writer.data(stream.id, NONE, 0, 0, true);
      this.endSending(stream);
      return;
    }
    this.beginHead(stream).lines(trailers);
    this.endHead(true);
  }

  /** Gives a stream up; does nothing when it is closed. No event but `onClosed` follows. */
  reset(stream: Stream<H, O>, code: ErrorCode): void {
    if (stream.closed || this.failed) return;
    this.writer.reset(stream.id, code);
    this.closeStream(stream, Ended.ByUs);
  }

  /** The other side has taken bytes of `onData`: the windows open again. */
  consume(stream: Stream<H, O>, bytes: number): void {
    const taken = Math.min(bytes, stream.unconsumed);
    stream.unconsumed -= taken;
    if (this.isServer) this.creditConnection(taken);
    this.creditStream(stream, taken);
  }

  /** Asks for a sign of life; `onPong` follows. */
  ping(): void {
    if (!this.failed) this.writer.ping(PING_SESSION, 0, false);
  }

  /**
   * First step of a graceful end (RFC 9113, section 6.8): GOAWAY that still takes streams, and a PING. When the answer
   * comes, or `finishDrain` is called, GOAWAY with the last stream follows, and new ones are ignored.
   */
  drain(): void {
    if (this.#draining || this.failed) return;
    this.#draining = true;
    this.writer.goaway(MAX_STREAM_ID, ErrorCode.NoError, '');
    this.writer.ping(PING_DRAIN, 0, false);
  }

  /** The second step, at once. */
  finishDrain(): void {
    if (this.failed || this.goawayId !== MAX_STREAM_ID) return;
    this.#draining = true;
    this.goawayId = this.peerLastStreamId;
    this.writer.goaway(this.goawayId, ErrorCode.NoError, '');
  }

  /** Our GOAWAY has named the last stream: those that come after it are ignored. */
  get drained(): boolean {
    return this.goawayId !== MAX_STREAM_ID;
  }

  /** Ends the connection with a code: nothing more is read. */
  goaway(code: ErrorCode): void {
    if (this.failed) return;
    this.writer.goaway(this.peerLastStreamId, code, '');
    this.stopReading();
  }

  /** Hands what has been collected to the sink; called when a pass is over. */
  flush(): void {
    this.writer.flush();
  }

  /** The connection is gone: gives back its output buffer. */
  close(): void {
    if (!this.failed) this.stopReading();
    this.writer.drop();
  }

  /** The answer to one of our PINGs. */
  protected pong(buffer: Buffer, start: number, end: number): void {
    if (PING_SESSION.compare(buffer, start, end) === 0) this.handler.onPong();
    else if (PING_DRAIN.compare(buffer, start, end) === 0 && this.#draining) this.finishDrain();
  }
}
