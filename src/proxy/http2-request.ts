// One request of an HTTP/2 connection: the client's side of its exchange.

import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { ErrorCode } from '../http2/error-code.ts';
import { type MessageFailure, requestFailureOf } from '../http2/failures.ts';
import { Half, type Stream } from '../http2/stream.ts';
import { FAILURES, type FailureCode } from '../model/failures.ts';
import type { ListenerLimits, ListenerTimeouts, PathPolicy } from '../model/listener-config.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { Deadline } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import type { ExchangeContext, ExchangeSession } from './exchange-context.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import { type Answer, failureAnswer, withLines } from './http/answers.ts';
import type { ForwardedClient } from './http/forwarded.ts';
import { becomeHandshake, WEB_SOCKET } from './http/web-socket-handshake.ts';
import { Http2Answer } from './http2-answer.ts';
import type { Http2Client } from './http2-client.ts';
import { Http2Content } from './http2-content.ts';
import { RequestTunnel, type TunnelledRequest } from './http2-request-tunnel.ts';
import type { ListenerMeters } from './meters.ts';
import type { Placed } from './roster.ts';
import type { HeaderEdits } from './router/header-edits.ts';
import { securityLine } from './router/https.ts';
import type { Runtime } from './runtime.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { TunnelLimits } from './tunnel.ts';
import type { OwnConnection } from './upstream/own-connection.ts';
import type { UpstreamSide } from './upstream/upstream-stream.ts';
import { SendQueue } from './wire/send-queue.ts';

/** What the last bytes of an answer may wait for a client that opens no window, in milliseconds. */
const STALLED_MS = 60_000;
const NEVER = Number.POSITIVE_INFINITY;

export type RequestStream = Stream<RequestHead, Http2Request>;

/** Reused for one stream after the other. */
export class Http2Request implements ExchangeSession, TunnelledRequest, Deadline, Placed {
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  /** Among the open ones of its connection. */
  place = -1;
  readonly protocol = 'HTTP/2';
  webSocketKey = '';
  own: OwnConnection | null = null;
  readonly #on: Http2Client;
  readonly #context: ExchangeContext;
  readonly #exchange: Exchange;
  #stream: RequestStream | null = null;
  readonly #content: Http2Content;
  readonly #queue: SendQueue<RequestHead, Http2Request>;
  readonly #answer: Http2Answer;
  #done = false;
  #tunnel: RequestTunnel | null = null;
  /** The client has reset the stream: nothing is said to it any more. */
  #gone = false;

  constructor(on: Http2Client, context: ExchangeContext) {
    this.#on = on;
    this.#context = context;
    this.#queue = new SendQueue<RequestHead, Http2Request>(on.codec);
    this.#answer = new Http2Answer(on.codec, this.#queue, context.date);
    this.#exchange = new Exchange(this, context);
    this.#content = new Http2Content(this.#exchange, this);
  }

  get client(): ForwardedClient {
    return this.#on.client;
  }

  get scheme(): 'http' | 'https' {
    return this.#on.scheme;
  }

  get tls(): TlsFacts | null {
    return this.#on.tls;
  }

  get listenerName(): string {
    return this.#on.listenerName;
  }

  get lastRuntime(): Runtime | null {
    return this.#on.lastRuntime;
  }

  get listenerPort(): number {
    return this.#on.listenerPort;
  }

  get meters(): ListenerMeters {
    return this.#on.meters;
  }

  get paths(): PathPolicy {
    return this.#on.paths;
  }

  get limits(): ListenerLimits {
    return this.#on.limits;
  }

  get hsts(): string | null {
    return this.#on.hsts;
  }

  get timeouts(): ListenerTimeouts {
    return this.#on.timeouts;
  }

  get load(): ClientLoad {
    return this.#on.load;
  }

  get takenBytes(): number {
    return this.#queue.takenBytes;
  }

  get congested(): boolean {
    return this.#queue.waits || this.#on.congested;
  }

  // What comes from the client ---------------------------------------------------------------------------------------

  begin(stream: RequestStream): void {
    this.#stream = stream;
    this.#queue.begin(stream);
    this.#done = false;
    this.#tunnel = null;
    this.#gone = false;
    this.own = null;
    this.webSocketKey = stream.head.connectProtocol === WEB_SOCKET ? becomeHandshake(stream.head) : '';
    this.#content.begin(this.webSocketKey !== '');
    this.#exchange.start(stream.head, this.#context.now());
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.#tunnel !== null) this.#tunnel.onClientBytes(buffer.subarray(start, end), end - start);
    else this.#content.onData(buffer, start, end);
  }

  consume(bytes: number): void {
    if (this.#stream !== null) this.#on.codec.consume(this.#stream, bytes);
  }

  onEnd(trailers: string): void {
    if (this.#tunnel !== null) this.#tunnel.owner.onEnd();
    else this.#content.onEnd(trailers);
  }

  continueReading(): void {
    this.#content.resume();
  }

  /** What came is malformed; the connection resets the stream afterwards. */
  onRefused(reason: MessageFailure): void {
    if (this.#tunnel !== null) this.#tunnel.owner.onClose(null);
    else this.#exchange.refuse(requestFailureOf(reason));
  }

  /** The client gave the stream up, or has left. */
  onGone(): void {
    this.#gone = true;
    if (this.#tunnel !== null) this.#tunnel.owner.onClose(GONE);
    else this.#exchange.abort('client-aborted');
    this.#settle();
  }

  /** No more comes from it: a request or a tunnel that it has not ended is cut off. */
  onClientEnd(): void {
    if (this.#done || this.#stream?.receiving !== Half.Open) return;
    this.#on.codec.reset(this.#stream, ErrorCode.Cancel);
    this.onGone();
  }

  // What goes to the client ------------------------------------------------------------------------------------------

  sendInterim(head: ResponseHead, edits: HeaderEdits | null): void {
    this.#answer.interim(this.#stream!, head, edits);
  }

  sendHead(head: ResponseHead, facts: ExchangeFacts): void {
    this.#answer.head(this.#stream!, head, facts);
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    this.#answer.body(buffer, start, end);
  }

  sendEnd(trailers: string): void {
    this.#answer.end(trailers);
  }

  sendAnswer(answer: Answer, facts: ExchangeFacts): void {
    this.#answer.own(this.#stream!, answer, facts.requestId);
  }

  /** The head was refused: there is no exchange, and the stream is reset behind the answer. */
  answerRefused(stream: RequestStream, reason: MessageFailure): void {
    this.#stream = stream;
    this.#queue.begin(stream);
    this.#gone = false;
    this.#tunnel = null;
    this.#content.forget();
    this.#done = true;
    const code = requestFailureOf(reason);
    this.#context.recorder.refused(
      {
        listener: this.listenerName,
        protocol: this.protocol,
        client: this.client.address,
        status: FAILURES[code].status,
        code,
        detail: reason,
        totalMs: 0,
      },
      this.meters,
    );
    this.#answer.own(stream, withLines(failureAnswer(code), securityLine(this.hsts)), '');
  }

  cut(): void {
    this.#reset(ErrorCode.InternalError);
  }

  #reset(code: ErrorCode): void {
    if (this.#stream !== null && !this.#gone) this.#on.codec.reset(this.#stream, code);
    this.#settle();
  }

  onExchangeDone(): void {
    this.#on.onRequestDone();
    this.finish();
  }

  /** The answer is on its way; what is left of the request is not wanted (RFC 9113, section 8.1). */
  finish(): void {
    this.#done = true;
    if (this.#queue.waits) {
      this.#context.deadlines.set(this, this.#context.now() + STALLED_MS);
      return;
    }
    if (this.#stream?.receiving === Half.Open) this.#reset(ErrorCode.NoError);
    else this.#settle();
  }

  /** The client has opened a window. */
  onWindow(): void {
    this.#queue.resume();
    if (this.#queue.waits) {
      if (this.#done) this.#context.deadlines.set(this, this.#context.now() + STALLED_MS);
      return;
    }
    if (this.#done) this.finish();
    else this.onDrain();
  }

  /** The client, or its connection, takes more again. */
  onDrain(): void {
    if (this.congested) return;
    if (this.#tunnel !== null) this.#tunnel.owner.onDrain();
    else if (this.#exchange.active) this.#exchange.onDownstreamDrain();
  }

  onDeadline(): void {
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#reset(ErrorCode.Cancel);
    } finally {
      turn.leave();
    }
  }

  /** The stream is closed in both directions. */
  onClosed(): void {
    this.#settle();
  }

  /** Lets go of the stream when neither side needs it. */
  #settle(): void {
    const stream = this.#stream;
    if (stream === null || !stream.closed || this.#exchange.active || this.#tunnel !== null) return;
    this.#stream = null;
    this.#content.forget();
    this.#queue.forget();
    this.#context.deadlines.clear(this);
    this.#on.onRequestClosed(this, stream);
  }

  /** It is not used for a further stream: nothing may hold it for a time to come. */
  release(): void {
    this.#exchange.release();
  }

  drain(deadlineMs: number): void {
    this.#tunnel?.drain(deadlineMs, this.#context.random);
  }

  /** The connection ends: nothing of this request can be sent any more. */
  shutdown(code: FailureCode): void {
    if (this.#tunnel !== null) this.#tunnel.shutdown();
    else this.#exchange.abort(code);
    this.#reset(ErrorCode.Cancel);
  }

  // The tunnel that it may become ------------------------------------------------------------------------------------

  becomeTunnel(
    head: ResponseHead,
    upstream: UpstreamSide,
    limits: TunnelLimits,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    this.#answer.connect(this.#stream!, head);
    this.webSocketKey = '';
    const tunnel = new RequestTunnel(this, this.#queue, upstream, limits, this.#context);
    this.#tunnel = tunnel;
    if (start < end) tunnel.onUpstreamBytes(buffer.subarray(start, end), end - start);
    const held = this.#content.take();
    if (held !== null) this.onData(held, 0, held.length);
    if (this.#content.ended) tunnel.owner.onEnd();
    this.#on.onTunnel(tunnel);
  }

  get unconsumed(): number {
    return this.#stream === null ? 0 : this.#stream.unconsumed;
  }

  onTunnelDone(bytesIn: number, bytesOut: number, failure: FailureCode | null): void {
    this.#tunnel = null;
    this.#done = true;
    this.#exchange.onTunnelEnd(bytesIn, bytesOut, failure);
    this.#on.onRequestDone();
  }

  cancel(): void {
    this.#reset(ErrorCode.Cancel);
  }
}

const GONE: NodeJS.ErrnoException = Object.assign(new Error('the client has left'), { code: 'ECONNRESET' });
