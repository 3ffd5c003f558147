// The streams of one HTTP/2 connection to a target: what the codec says of each is for the request on it.

import type { ResponseHead } from '../../http1/response-head.ts';
import type { ClientConnection } from '../../http2/client-connection.ts';
import type { ErrorCode } from '../../http2/error-code.ts';
import type { MessageFailure } from '../../http2/failures.ts';
import type { ConnectionHandler } from '../../http2/handler.ts';
import type { AnswerStream, Http2Stream } from './http2-stream.ts';

/** What the streams tell their connection. */
export interface AnswerStreamsOwner {
  readonly codec: ClientConnection<Http2Stream>;
  /** The target takes no new streams; those that it has not looked at were reset as refused before. */
  onGoaway(): void;
  onSettings(): void;
  /** The target broke the protocol. */
  onFailure(): void;
}

/** Many times a round trip, in milliseconds: a target that reads has opened its window by then. */
const STUCK_AFTER_MS = 100;

export class AnswerStreams implements ConnectionHandler<ResponseHead, Http2Stream> {
  readonly #owner: AnswerStreamsOwner;
  readonly #now: () => number;
  #count = 0;
  /** Since when the connection's window has let nothing through, or -1; it may have opened since without anybody to use it. */
  #usedUpSinceMs = -1;

  /** @param now monotonic, milliseconds */
  constructor(owner: AnswerStreamsOwner, now: () => number) {
    this.#owner = owner;
    this.#now = now;
  }

  /** Those that are open, or closed and still looked at. */
  get count(): number {
    return this.#count;
  }

  /** Null when the codec can open none. */
  open(method: string, request: Http2Stream): AnswerStream | null {
    const stream = this.#owner.codec.open(method, request);
    if (stream !== null) this.#count += 1;
    return stream;
  }

  /** It is closed, and nobody looks at it any more. */
  release(stream: AnswerStream): void {
    stream.owner = null;
    this.#owner.codec.release(stream);
    this.#count -= 1;
  }

  /** What uploads have to send has waited for a window that is the target's to open: it does not read one of them. */
  onWindowUsedUp(): void {
    if (this.#usedUpSinceMs < 0) this.#usedUpSinceMs = this.#now();
  }

  isStuck(nowMs: number): boolean {
    return (
      this.#owner.codec.sendWindow <= 0 &&
      this.#usedUpSinceMs >= 0 &&
      nowMs - this.#usedUpSinceMs >= STUCK_AFTER_MS
    );
  }

  /** The socket takes more again. */
  onDrain(): void {
    for (const stream of this.#owner.codec.streams) stream.owner?.onDrain();
  }

  // The codec --------------------------------------------------------------------------------------------------------

  onHead(stream: AnswerStream): void {
    stream.owner?.onHead(stream.head);
  }

  onData(stream: AnswerStream, buffer: Buffer, start: number, end: number): void {
    stream.owner?.onData(buffer, start, end);
  }

  onEnd(stream: AnswerStream, trailers: string): void {
    stream.owner?.onEnd(trailers);
  }

  onReset(stream: AnswerStream, code: ErrorCode): void {
    stream.owner?.onReset(code);
  }

  onRefused(stream: AnswerStream, reason: MessageFailure): void {
    stream.owner?.onRefused(reason);
  }

  onWindow(stream: AnswerStream): void {
    this.#usedUpSinceMs = -1;
    stream.owner?.onWindow();
  }

  onGoaway(): void {
    this.#owner.onGoaway();
  }

  onSettings(): void {
    this.#owner.onSettings();
  }

  onPong(): void {}

  onClosed(stream: AnswerStream): void {
    stream.owner?.onClosed();
  }

  onFailure(): void {
    this.#owner.onFailure();
  }
}
