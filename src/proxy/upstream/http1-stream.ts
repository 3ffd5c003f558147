// One request at a time on the HTTP/1.1 connection that it is lent to: heads and bodies out, answers in.

import { joinRun } from '../../http1/join-run.ts';
import type { HeadLimits } from '../../http1/limits.ts';
import { responseFailure } from '../../http1/parse-failure.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import { ResponseParser } from '../../http1/response-parser.ts';
import { Framing, Step } from '../../http1/step.ts';
import { lastChunk } from '../../http1/write.ts';
import type { FailureCode } from '../../model/failures.ts';
import { writeBody } from '../http/body.ts';
import { buildRequestHead, type RequestHeadParts } from '../http/request-head.ts';
import type { WireSocket } from '../wire/wire.ts';
import type { Http1Streams } from './http1-streams.ts';
import { TARGET_LOST } from './target.ts';
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts';
import type { StreamUser, UpstreamStream } from './upstream-stream.ts';

const CONTINUE = 100;
const SWITCHING_PROTOCOLS = 101;

export class Http1Stream implements UpstreamStream, UpstreamUser {
  /** Null while it is not lent; owned by `Http1Streams`. */
  connection: UpstreamConnection | null = null;
  /** Owned by `Http1Streams`. */
  nextFree: Http1Stream | null = null;
  readonly #streams: Http1Streams;
  readonly #parser: ResponseParser;
  #user: StreamUser | null = null;
  #chunked = false;
  #requestSent = false;
  /** It was asked whether it wants the body, and has not said so. */
  #awaitsContinue = false;
  /** An interim answer has said that the connection ends. */
  #leaves = false;

  constructor(streams: Http1Streams, limits: HeadLimits) {
    this.#streams = streams;
    this.#parser = new ResponseParser(limits);
  }

  begin(user: StreamUser): void {
    this.#user = user;
  }

  get socket(): WireSocket {
    return this.connection!.wire.socket;
  }

  get congested(): boolean {
    return this.connection!.wire.congested;
  }

  get leaves(): boolean {
    return this.#leaves;
  }

  sendHead(head: RequestHead, parts: RequestHeadParts): void {
    this.#parser.begin(head.method);
    this.#chunked = head.framing === Framing.Chunked;
    this.#requestSent = !head.hasContent;
    this.#awaitsContinue = head.expectContinue;
    this.#leaves = false;
    this.connection!.wire.text(buildRequestHead(head, parts));
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    writeBody(this.connection!.wire, this.#chunked, buffer, start, end);
  }

  /**
   * Trailers are left out, as an intermediary may (RFC 9110, section 6.5.1): there are HTTP/1.1 servers that take them for the
   * next request, or for fields of the head, and then a client says what rules forbid.
   */
  sendEnd(_trailers: string): void {
    this.#requestSent = true;
    if (this.#chunked) this.connection!.wire.text(lastChunk(''));
  }

  pause(): void {
    this.connection!.wire.pause();
  }

  resume(): void {
    this.connection!.wire.resume();
  }

  close(): void {
    this.#user = null;
    this.connection!.close();
  }

  onUpstreamBytes(buffer: Buffer, length: number): void {
    const parser = this.#parser;
    const user = this.#user!;
    let position = 0;
    /** Bytes of the body that are decoded and not passed on yet: `buffer[run, runEnd)`. */
    let run = 0;
    let runEnd = 0;
    // A user that gives the request up, or takes another connection for it, ends this.
    while (this.#user === user) {
      const step = parser.next(buffer, position, length);
      position = parser.position;
      if (step === Step.Body) {
        if (run === runEnd) run = runEnd = parser.dataStart;
        runEnd = joinRun(buffer, runEnd, parser.dataStart, parser.dataEnd);
        continue;
      }
      if (run < runEnd) {
        user.onUpstreamBody(buffer, run, runEnd);
        run = runEnd;
        if (this.#user !== user) return;
      }
      switch (step) {
        case Step.NeedMore:
          return;
        case Step.Interim:
          if (parser.head.status === CONTINUE) this.#awaitsContinue = false;
          if (!parser.head.keepAlive) this.#leaves = true;
          user.onUpstreamInterim(parser.head);
          break;
        case Step.Head:
          if (parser.head.status === SWITCHING_PROTOCOLS) {
            return user.onUpstreamSwitch(this.connection!, parser.head, buffer, position, length);
          }
          user.onUpstreamHead(parser.head);
          break;
        case Step.End:
          return this.#end(parser.trailers, position < length);
        case Step.Failed:
          return user.onUpstreamFailure(responseFailure(parser.failure || 'status-invalid'), true);
      }
    }
  }

  onUpstreamEnd(): void {
    const parser = this.#parser;
    if (parser.eof() === Step.End) return this.#end('', true);
    this.#user?.onUpstreamFailure(responseFailure(parser.failure || 'closed-before-response'), false);
  }

  onUpstreamClose(error: NodeJS.ErrnoException | null): void {
    // A reset may not pass for the end of a body that is delimited by the close (RFC 9112, section 8).
    const ended = this.#parser.eof() === Step.End;
    if (error === null && ended) return this.#end('', true);
    this.#user?.onUpstreamFailure(this.#closeFailure(error), false);
  }

  #closeFailure(error: NodeJS.ErrnoException | null): FailureCode {
    if (error === TARGET_LOST) return 'target-lost';
    // Part of a head has come: the target has read the request.
    return this.#parser.failure === 'incomplete-head' ? 'upstream-incomplete' : 'upstream-reset';
  }

  onUpstreamDrain(): void {
    this.#user?.onUpstreamDrain();
  }

  /**
   * The connection serves again only after an answer that ended where its framing says, to a request sent whole. A target
   * that has answered without wanting the body may take it for the next request.
   */
  #end(trailers: string, surplus: boolean): void {
    const user = this.#user;
    const connection = this.connection!;
    this.#user = null;
    const isWhole = !surplus && this.#requestSent && !this.#awaitsContinue;
    if (isWhole && !this.#leaves && this.#parser.head.keepAlive) connection.release();
    else connection.close();
    user?.onUpstreamEnd(trailers);
    // Not sooner: until its end is told a user may touch it, and would touch the request of another.
    this.connection = null;
    this.#parser.releaseHead();
    this.#streams.giveBack(this);
  }
}
