// One request on an HTTP/2 connection to a target that stands: its stream, from the place that it is given to its end.

import { MAX_INTERIM, MAX_INTERIM_BYTES } from '../../http1/limits.ts';
import { responseFailure } from '../../http1/parse-failure.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { reasonOf } from '../../http1/write.ts';
import { ErrorCode } from '../../http2/error-code.ts';
import { type MessageFailure, responseFailureOf } from '../../http2/failures.ts';
import { Half, type Stream } from '../../http2/stream.ts';
import type { FailureCode } from '../../model/failures.ts';
import { writeGrpcHead, writeHandshake, writeRequestHead } from '../http/http2-heads.ts';
import type { RequestHeadParts } from '../http/request-head.ts';
import { asksForWebSocket, WEB_SOCKET, webSocketKeyOf } from '../http/web-socket-handshake.ts';
import { SendQueue } from '../wire/send-queue.ts';
import type { Http2Connection } from './http2-connection.ts';
import type { Http2Tunnel, TunnelStream } from './http2-tunnel.ts';
import type { Target } from './target.ts';
import type { StreamDial, StreamUser, UpstreamStream } from './upstream-stream.ts';

export type AnswerStream = Stream<ResponseHead, Http2Stream>;

const FIRST_FINAL_STATUS = 200;
const FIRST_REDIRECTION = 300;
const SWITCHING_PROTOCOLS = 101;
const NOTHING = Buffer.alloc(0);

/** As a dial it is connected from the start. */
export class Http2Stream implements StreamDial, UpstreamStream, TunnelStream {
  readonly #on: Http2Connection;
  #user: StreamUser | null = null;
  #stream: AnswerStream | null = null;
  readonly #queue: SendQueue<ResponseHead, Http2Stream>;
  #paused = false;
  #interims = 0;
  #interimBytes = 0;
  /** The request was an extended CONNECT: a 2xx makes it a tunnel. */
  #asksForTunnel = false;
  #tunnel: Http2Tunnel | null = null;
  /** It has ended or failed: what is left is for the codec to close. */
  #over = false;

  constructor(on: Http2Connection) {
    this.#on = on;
    this.#queue = new SendQueue<ResponseHead, Http2Stream>(on.codec);
  }

  get target(): Target {
    return this.#on.target;
  }

  get speaks(): 'http2' {
    return 'http2';
  }

  get connected(): boolean {
    return this.#on.connected;
  }

  get reused(): boolean {
    return true;
  }

  get connectMs(): number {
    return this.#on.connectMs;
  }

  get socket(): UpstreamStream['socket'] {
    return this.#on.socket;
  }

  get congested(): boolean {
    return this.#queue.waits || this.#on.congested;
  }

  get leaves(): boolean {
    return this.#on.codec.saidGoodbye;
  }

  keepWhenConnected(): void {}

  open(user: StreamUser): UpstreamStream {
    this.#user = user;
    return this;
  }

  // What goes to the target ------------------------------------------------------------------------------------------

  sendHead(head: RequestHead, parts: RequestHeadParts): void {
    const { codec } = this.#on;
    // A handshake without a key could not be agreed to: its Upgrade is ignored (RFC 9110, section 7.8).
    if (asksForWebSocket(head) && (parts.webSocketKey !== '' || webSocketKeyOf(head) !== ''))
      return this.#sendHandshake(head, parts);
    const stream = this.#begin(head.method);
    if (stream === null) return;
    const encoder = codec.beginHead(stream);
    if (parts.grpcType === '') writeRequestHead(encoder, head, parts);
    else writeGrpcHead(encoder, head, parts);
    codec.endHead(!head.hasContent);
  }

  #begin(method: string): AnswerStream | null {
    const stream = this.#on.begin(this, method);
    if (stream === null) {
      this.#failSoon('upstream-refused');
      return null;
    }
    this.#stream = stream;
    this.#queue.begin(stream);
    return stream;
  }

  /** Its user is not told from within its own call. */
  #failSoon(code: FailureCode): void {
    queueMicrotask(() => this.#on.within(() => this.fail(code, false)));
  }

  /** Only a target that says so takes WebSockets (RFC 8441, section 3). */
  #sendHandshake(head: RequestHead, parts: RequestHeadParts): void {
    const { codec } = this.#on;
    if (!codec.extendedConnect) return this.#failSoon('upgrade-unsupported');
    const stream = this.#begin('CONNECT');
    if (stream === null) return;
    this.#asksForTunnel = true;
    writeHandshake(codec.beginHead(stream), head, parts);
    codec.endHead(false);
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    this.#queue.data(buffer, start, end, false);
    this.#lookAtWindow();
  }

  #lookAtWindow(): void {
    if (this.#queue.waits && this.#on.codec.sendWindow <= 0) this.#on.streams.onWindowUsedUp();
  }

  sendEnd(trailers: string): void {
    this.#queue.end(trailers);
  }

  bytes(buffer: Buffer, start: number, end: number): void {
    this.sendBody(buffer, start, end);
  }

  end(): void {
    this.#queue.end('');
  }

  get waits(): boolean {
    return this.#queue.waits;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.#stream !== null) this.#on.codec.consume(this.#stream, this.#stream.unconsumed);
  }

  close(): void {
    this.#user = null;
    const stream = this.#stream;
    if (stream !== null && !this.#over) this.#on.codec.reset(stream, ErrorCode.Cancel);
  }

  // What comes from the target ---------------------------------------------------------------------------------------

  onHead(head: ResponseHead): void {
    if (head.status < FIRST_FINAL_STATUS) this.#onInterim(head);
    else if (this.#asksForTunnel && head.status < FIRST_REDIRECTION) this.#becomeTunnel(head);
    else this.#user?.onUpstreamHead(head);
  }

  #onInterim(head: ResponseHead): void {
    this.#interims += 1;
    this.#interimBytes += head.text.length;
    if (this.#interims <= MAX_INTERIM && this.#interimBytes <= MAX_INTERIM_BYTES)
      return this.#user?.onUpstreamInterim(head);
    const stream = this.#stream;
    this.fail(responseFailure('interim-flood'), true);
    if (stream !== null) this.#on.codec.reset(stream, ErrorCode.EnhanceYourCalm);
  }

  /** A 2xx to an extended CONNECT goes on as the 101 that says the same in HTTP/1.1. */
  #becomeTunnel(head: ResponseHead): void {
    const user = this.#user;
    if (user === null) return;
    head.status = SWITCHING_PROTOCOLS;
    head.reason = reasonOf(SWITCHING_PROTOCOLS);
    head.upgrade = WEB_SOCKET;
    this.#user = null;
    this.#tunnel = this.#on.tunnel(this);
    user.onUpstreamSwitch(this.#tunnel, head, NOTHING, 0, 0);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.#tunnel !== null) this.#tunnel.onData(buffer, start, end);
    else this.#user?.onUpstreamBody(buffer, start, end);
    if (!this.#paused && this.#stream !== null) this.#on.codec.consume(this.#stream, end - start);
  }

  onEnd(trailers: string): void {
    // The other direction ends for itself.
    if (this.#tunnel !== null) return this.#tunnel.onEnd();
    const user = this.#user;
    const stream = this.#stream;
    this.#user = null;
    this.#over = true;
    // What is left of the request is not wanted (RFC 9113, section 8.1).
    if (stream !== null && stream.sending === Half.Open) this.#on.codec.reset(stream, ErrorCode.Cancel);
    user?.onUpstreamEnd(trailers);
  }

  onReset(code: ErrorCode): void {
    // It has ended and wants no more: the close says the rest.
    if (this.#tunnel !== null && code === ErrorCode.NoError) return;
    this.fail(code === ErrorCode.RefusedStream ? 'upstream-refused' : 'stream-reset', false);
  }

  onRefused(reason: MessageFailure): void {
    this.fail(responseFailureOf(reason), true);
  }

  onWindow(): void {
    this.#queue.resume();
    this.#lookAtWindow();
    this.onDrain();
  }

  onDrain(): void {
    if (this.#tunnel !== null) this.#tunnel.onDrain();
    else if (!this.congested) this.#user?.onUpstreamDrain();
  }

  /** The stream, or all of its connection, has come to nothing. */
  fail(code: FailureCode, spoke: boolean): void {
    const user = this.#user;
    this.#user = null;
    this.#over = true;
    if (this.#tunnel !== null) this.#tunnel.onFailure(code);
    else user?.onUpstreamFailure(code, spoke);
  }

  onClosed(): void {
    this.#release();
    this.#tunnel?.onClosed();
  }

  #release(): void {
    const stream = this.#stream;
    if (stream === null) return;
    this.#stream = null;
    this.#queue.forget();
    this.#on.end(stream);
  }
}
