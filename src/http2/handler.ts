// What a connection tells the session above it.

import type { Buffer } from 'node:buffer';
import type { MessageHead } from '../http1/message-head.ts';
import type { ErrorCode } from './error-code.ts';
import type { ConnectionFailure, MessageFailure } from './failures.ts';
import type { Stream } from './stream.ts';

/**
 * Events of one connection, in the order of the bytes. Each may call any method of the connection, also for other
 * streams. After `onReset` and `onRefused` nothing more comes for that stream.
 */
export interface ConnectionHandler<H extends MessageHead, O> {
  /**
   * A head is complete: `stream.head`, in the shape that HTTP/1.1 heads have. To a client this is also called for each
   * interim response (status below 200), with the final one to follow in the same object.
   */
  onHead(stream: Stream<H, O>): void;
  /**
   * Content, never empty, valid during the call. It counts against the receive windows until `consume` says that the
   * other side has taken it.
   */
  onData(stream: Stream<H, O>, buffer: Buffer, start: number, end: number): void;
  /** The message is complete; `trailers` are its forwardable trailer lines, each with CRLF, or ''. */
  onEnd(stream: Stream<H, O>, trailers: string): void;
  /**
   * The peer gave the stream up, or broke a rule for which the stream is reset. To a client, `ErrorCode.RefusedStream` says that nothing of the request was
   * processed: it may be sent again, elsewhere, whatever its method (RFC 9113, section 8.7).
   */
  onReset(stream: Stream<H, O>, code: ErrorCode): void;
  /**
   * The message is malformed, or too large. A server may answer here, with a head of its own and END_STREAM, if
   * `stream.sending` is still open and nothing was sent; afterwards the connection resets the stream.
   */
  onRefused(stream: Stream<H, O>, reason: MessageFailure): void;
  /** More can be sent on this stream, which was `blocked`. */
  onWindow(stream: Stream<H, O>): void;
  /**
   * The peer takes no new streams. Streams of ours above `lastStreamId` have been given to `onReset` as refused; the
   * others go on.
   */
  onGoaway(lastStreamId: number, code: ErrorCode): void;
  /** Settings of the peer are in force: windows, stream limit and `extendedConnect` may have changed. */
  onSettings(): void;
  /** The answer to `ping`. */
  onPong(): void;
  /**
   * The stream is closed in both directions or was reset by either side; also called from within `endHead`, `sendData`,
   * `sendEnd` and `reset`. The session may hold it until it calls `release`.
   */
  onClosed(stream: Stream<H, O>): void;
  /**
   * The connection is broken or abused: GOAWAY has been written, and no byte will be read or written. The streams that
   * were open (`Connection.streams`) get no event of their own. Flush and close.
   */
  onFailure(failure: ConnectionFailure): void;
}
