// One request at the targets of its pool: pick, connect, send, relay, retry. How long it waits for each is its `Patience`.

import type { ResponseHead } from '../http1/response-head.ts';
import { Framing } from '../http1/step.ts';
import type { FailureCode } from '../model/failures.ts';
import type { ProxyProtocolOut } from '../model/pool-config.ts';
import type { ExchangeContext, ExchangeSession } from './exchange-context.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import { authenticatesConnection } from './http/connection-authentication.ts';
import { withoutEdited } from './http/field-lines.ts';
import { grpcTimeoutMs, isGrpc } from './http/grpc.ts';
import { type GrpcWebCall, grpcWebCallOf } from './http/grpc-web.ts';
import { hasMediaType } from './http/media-type.ts';
import { isAskedUpgrade, upgradeOf } from './http/request-head.ts';
import { SentRequest } from './http/sent-request.ts';
import { acceptsKey } from './http/web-socket-handshake.ts';
import { Patience, type PatienceOwner, type Phase } from './patience.ts';
import { requestPartsOf, sentHostOf } from './request-parts.ts';
import { tunnelLimitsOf } from './request-timeouts.ts';
import { isIdempotent, Retries } from './retries.ts';
import { Attempts } from './upstream/attempts.ts';
import { GrpcWebStream, type GrpcWebUser } from './upstream/grpc-web-stream.ts';
import { OwnConnection } from './upstream/own-connection.ts';
import type { Pool } from './upstream/pool.ts';
import { proxyHeaderFor } from './upstream/proxy-header.ts';
import type { WatchedStream } from './upstream/silence.ts';
import { SUSPECT_MS } from './upstream/target.ts';
import type { AttemptsUser, StreamDial, UpstreamSide, UpstreamStream } from './upstream/upstream-stream.ts';

/** Server-sent events (HTML, section 9.2): the next one may take its time. */
const EVENT_STREAM = 'text/event-stream';

/** How a forwarding ends. None of it is called twice for one request. */
export interface ForwardingOwner {
  /** The answer of a target was relayed whole. */
  onRelayed(): void;
  /** No answer has begun: one of our own is due. */
  onUnanswered(code: FailureCode): void;
  /** An answer has begun and cannot be completed. */
  onCut(code: FailureCode): void;
}

/** Reused for every request of an exchange. */
export class Forwarding implements GrpcWebUser, AttemptsUser<StreamDial>, PatienceOwner {
  /** The head of an answer has been passed on. */
  answered = false;
  /** It was that of a gRPC call: its end is told in trailers. */
  answersGrpc = false;
  /** The session's, where it is for the pool of this request. */
  own: OwnConnection | null = null;
  readonly #owner: ForwardingOwner;
  readonly #session: ExchangeSession;
  readonly #context: ExchangeContext;
  readonly #facts: ExchangeFacts;
  readonly #attempts: Attempts<StreamDial>;
  readonly #sent = new SentRequest();
  readonly #retries: Retries;
  #phase: Phase = 'idle';
  #stream: UpstreamStream | null = null;
  /** A call of gRPC-Web to a target that speaks gRPC, and its translation at the last of those. */
  #webCall: GrpcWebCall | null = null;
  #web: GrpcWebStream | null = null;
  #attemptAtMs = 0;
  #sentAtMs = 0;
  readonly #patience: Patience;

  constructor(
    owner: ForwardingOwner,
    session: ExchangeSession,
    context: ExchangeContext,
    facts: ExchangeFacts,
  ) {
    this.#owner = owner;
    this.#session = session;
    this.#context = context;
    this.#facts = facts;
    this.#patience = new Patience(this, session, facts, context.deadlines);
    this.#attempts = new Attempts<StreamDial>(
      context,
      (pool, target, user, reuse) =>
        this.#ownOf(pool) ??
        pool.connector.open(target, user, reuse, pool.tls === null ? '' : sentHostOf(facts)),
    );
    this.#retries = new Retries(facts, this.#attempts, this.#sent);
  }

  /** Forgets the request before. */
  reset(): void {
    this.answered = false;
    this.answersGrpc = false;
    this.#phase = 'idle';
    this.#stream = null;
    this.#sent.reset();
    this.#webCall = null;
    this.#web = null;
    this.#sentAtMs = 0;
    this.own = null;
    this.#patience.reset();
  }

  get phase(): Phase {
    return this.#phase;
  }

  get congested(): boolean {
    return this.#stream?.congested === true;
  }

  /** False while the body has to wait for its connection. */
  get wantsBody(): boolean {
    const stream = this.#stream;
    if (!this.#facts.view.head.hasContent) return true;
    if (this.#phase === 'connecting') return false;
    return stream === null || !stream.congested;
  }

  // Pick and connect ---------------------------------------------------------------------------------------------

  begin(pool: Pool): void {
    const facts = this.#facts;
    facts.pool = pool;
    pool.onRequest(facts.headAtMs);
    this.#patience.begin();
    if (pool.config.protocol === 'http2') this.#webCall = grpcWebCallOf(facts.view.head);
    if (this.#webCall !== null || isGrpc(facts.view.head)) {
      this.#becomeLongLived();
      this.#patience.endBy(facts.startedAtMs + grpcTimeoutMs(facts.view.head));
    }
    this.own = this.#ownerFor(pool);
    const isRepeatable = isIdempotent(facts.view.head.method);
    this.#attempts.reset(this, pool, pool.hashOf(facts.view), isRepeatable ? 'any' : 'lately-heard');
    this.#sent.begin(isRepeatable, pool.config.protocol !== 'http1');
    this.#attempt(null);
  }

  /** Whoever has proven itself to a connection of this pool has it to itself, from the first word of the handshake on. */
  #ownerFor(pool: Pool): OwnConnection | null {
    const session = this.#session;
    if (session.own?.isOf(pool) === true) return session.own;
    if (!authenticatesConnection(this.#facts.view.head)) return null;
    session.own?.close();
    session.own = new OwnConnection(pool, session.protocol !== 'HTTP/2');
    return session.own;
  }

  #ownOf(pool: Pool): StreamDial | undefined {
    if (this.own === null) return undefined;
    return this.own.take(pool, pool.tls === null ? '' : sentHostOf(this.#facts));
  }

  #becomeLongLived(): void {
    this.#patience.longLived = true;
    this.#session.client.wire!.keepAsking();
  }

  /** @param retryOf why, unless it is the first */
  #attempt(retryOf: FailureCode | 'path-silent' | null): void {
    const nowMs = this.#context.now();
    this.#awaitConnection(nowMs);
    const dial = this.#attempts.dial(nowMs);
    if (dial === undefined && !this.#attempts.wait(nowMs)) return this.#fail(this.#attempts.lastFailure);
    if (retryOf !== null) this.#facts.pool!.meters.retried(retryOf);
    if (dial !== undefined) this.#begin(dial);
  }

  #awaitConnection(nowMs: number): void {
    this.#attemptAtMs = nowMs;
    this.#phase = 'connecting';
    this.#retries.hinted = false;
    this.#patience.awaitConnection();
  }

  #begin(dial: StreamDial): void {
    this.#facts.attempts = this.#attempts.count;
    this.#facts.target = dial.target;
    if (dial.connected) this.onUpstreamConnected(dial);
  }

  /** The first dial that is up, pooled or new: the attempt is its from here on. */
  onUpstreamConnected(dial: StreamDial): void {
    const facts = this.#facts;
    facts.attempts = this.#attempts.count;
    facts.target = dial.target;
    facts.reused = dial.reused;
    facts.connectMs = dial.reused ? 0 : dial.connectMs;
    if (dial.reused) facts.pool!.meters.reused();
    // A target that chose HTTP/1.1 can speak no gRPC, but may know gRPC-Web itself.
    if (dial.speaks === 'http1') this.#webCall = null;
    this.#stream = this.#webCall === null ? dial.open(this) : this.#openWeb(dial, this.#webCall);
    this.#send(this.#stream);
  }

  #openWeb(dial: StreamDial, call: GrpcWebCall): UpstreamStream {
    this.#web = new GrpcWebStream(dial, this, call, this.#facts.match.rule!.filters.response);
    return this.#web;
  }

  proxyHeader(rules: ProxyProtocolOut): Buffer {
    return proxyHeaderFor(this.#session.client.wire!, rules, this.#facts.requestId);
  }

  onUpstreamConnectFailed(dial: StreamDial, code: FailureCode): void {
    this.#facts.attempts = this.#attempts.count;
    this.#facts.target = dial.target;
    this.#retryOrFail(code);
  }

  onNoRoom(code: FailureCode): void {
    this.#fail(code);
  }

  // Send ---------------------------------------------------------------------------------------------------------

  #send(stream: UpstreamStream): void {
    const { head } = this.#facts.view;
    stream.sendHead(head, requestPartsOf(this.#facts, this.#session));
    const { body, trailers } = this.#sent;
    if (body !== '') stream.sendBody(Buffer.from(body, 'latin1'), 0, body.length);
    if (!head.hasContent) return this.#awaitResponse();
    if (this.#sent.complete) {
      stream.sendEnd(trailers);
      // Text that ends within its base64 has been answered by then.
      if (this.#stream === stream) this.#awaitResponse();
      return;
    }
    this.#phase = 'request';
    this.#patience.awaitBytes(this.#context.now());
    // The body waited for the connection; it flows now.
    this.#session.continueReading();
  }

  onRequestBody(buffer: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    // The answer came first, or there is none to send to: what is left of the body is read and dropped.
    if (stream === null || this.#phase === 'idle') return;
    stream.sendBody(buffer, start, end);
    this.#sent.keepBody(buffer, start, end);
    if (this.#phase === 'request') this.#patience.moved(this.#context.now());
  }

  onRequestEnd(received: string): void {
    const trailers = withoutEdited(received, this.#facts.match.rule!.filters.request);
    this.#sent.end(trailers);
    if (this.#stream !== null && this.#facts.view.head.hasContent) this.#stream.sendEnd(trailers);
    if (this.#phase === 'request') this.#awaitResponse();
  }

  #awaitResponse(): void {
    this.#phase = 'response-head';
    this.#sentAtMs = this.#context.now();
    this.#patience.awaitAnswer(this.#sentAtMs, this.#sent.replayable);
  }

  onUpstreamDrain(): void {
    // The target was slow, not the client.
    if (this.#phase === 'request') this.#patience.judgeAnew(this.#context.now());
    this.#session.continueReading();
  }

  // Relay --------------------------------------------------------------------------------------------------------

  onUpstreamInterim(head: ResponseHead): void {
    this.#retries.hinted = true;
    this.#session.sendInterim(head, this.#facts.match.rule!.filters.response);
  }

  onUpstreamHead(head: ResponseHead): void {
    const facts = this.#facts;
    const nowMs = this.#context.now();
    const pool = facts.pool!;
    const tookMs = nowMs - (this.#sentAtMs || this.#attemptAtMs);
    const { status } = head;
    pool.meters.answered(status, tookMs);
    facts.target!.onAnswer(status === 502 || status === 503 || status === 504, tookMs, nowMs);
    // A 2xx to an extended CONNECT would open a tunnel that the target knows nothing of (RFC 8441, section 5). The target was right
    // to ignore the Upgrade that it was sent (RFC 9110, section 7.8).
    if (facts.view.head.connectProtocol !== '' && status < 300) {
      return this.onUpstreamFailure('upgrade-failed', false);
    }
    if (this.#retries.mayFollowStatus(status) && this.#attemptElsewhere(nowMs)) return;
    facts.firstByteAtMs = nowMs;
    facts.status = status;
    this.answered = true;
    this.#phase = 'response-body';
    this.answersGrpc = this.#patience.longLived && isGrpc(head);
    if (hasMediaType(head, EVENT_STREAM)) this.#becomeLongLived();
    this.#session.sendHead(head, facts);
    if (head.framing === Framing.None) return;
    this.#patience.awaitBytes(nowMs);
  }

  /** False, and nothing has changed, when nobody else can be asked: then the answer that came is better than one of ours. */
  #attemptElsewhere(nowMs: number): boolean {
    const dial = this.#attempts.dial(nowMs, true);
    const pool = this.#facts.pool!;
    if (dial === undefined) {
      pool.life.giveRetryBack();
      return false;
    }
    pool.meters.retried('status');
    const answered = this.#stream!;
    this.#leaveTarget();
    answered.close();
    this.#awaitConnection(nowMs);
    this.#begin(dial);
    return true;
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number): void {
    this.#facts.bytesOut += end - start;
    this.#session.sendBody(buffer, start, end);
    if (this.#session.congested) this.#stream?.pause();
    this.#patience.moved(this.#context.now());
  }

  /** The client has read what was queued. */
  onDownstreamDrain(): void {
    if (this.#stream === null) return;
    this.#stream.resume();
    if (this.#phase !== 'response-body') return;
    // The client was slow, not the target.
    this.#patience.awaitBytes(this.#context.now());
  }

  onUpstreamEnd(trailers: string): void {
    this.#session.sendEnd(withoutEdited(trailers, this.#facts.match.rule!.filters.response));
    this.#leaveTarget();
    this.#owner.onRelayed();
  }

  onUndecodable(): void {
    this.#fail('bad-request');
  }

  /**
   * Ends an answer to a call of gRPC-Web with a status.
   * @param lines as in trailers
   * @returns false where this cannot be said: there is no such answer, or a message of it is incomplete
   */
  endWithStatus(lines: string): boolean {
    if (this.#web?.takesTrailers !== true) return false;
    this.#web.passTrailers(lines);
    this.#session.sendEnd('');
    return true;
  }

  /** The target agreed to another protocol: from here on both sides are a tunnel. */
  onUpstreamSwitch(side: UpstreamSide, head: ResponseHead, buffer: Buffer, start: number, end: number): void {
    const facts = this.#facts;
    const { webSocketKey } = this.#session;
    // The key was ours, where the client speaks HTTP/2: nobody behind us looks at what is made of it.
    const fits = webSocketKey === '' || head.major === 2 || acceptsKey(head, webSocketKey);
    if (!fits || !isAskedUpgrade(upgradeOf(facts.view.head), head.upgrade)) {
      return this.onUpstreamFailure('upgrade-failed', true);
    }
    const nowMs = this.#context.now();
    const tookMs = nowMs - (this.#sentAtMs || this.#attemptAtMs);
    facts.pool!.meters.answered(101, tookMs);
    facts.target!.onAnswer(false, tookMs, nowMs);
    facts.status = 101;
    facts.firstByteAtMs = nowMs;
    this.answered = true;
    this.#patience.release();
    this.#stream = null;
    this.#session.client.wire!.keepAsking();
    this.#session.becomeTunnel(head, side, tunnelLimitsOf(facts, head), buffer, start, end);
  }

  // Retry or fail ------------------------------------------------------------------------------------------------

  onUpstreamFailure(code: FailureCode, spoke: boolean): void {
    const facts = this.#facts;
    // Whoever repeats what it was sent in its head may say more than we take: that is up to the client.
    if (spoke && code !== 'upstream-header-too-large') {
      const nowMs = this.#context.now();
      facts.target?.onAnswer(true, nowMs - this.#attemptAtMs, nowMs);
    }
    const leaves = this.#stream?.leaves === true;
    this.drop();
    if (this.answered || this.#retries.hinted)
      return this.#fail(code === 'upstream-reset' ? 'upstream-incomplete' : code);
    // Only a pooled connection is expected to close under a request; a fresh one that does has looked at it.
    if (code === 'upstream-reset' && !facts.reused) return this.#fail(code);
    this.#retryOrFail(code, leaves);
  }

  #retryOrFail(code: FailureCode, leaves = false): void {
    this.#attempts.lastFailure = code;
    if (!this.#retries.mayFollow(code)) return this.#fail(code);
    // A target that leaves, or that is full, is asked once more where there is no other.
    const isRefused = code === 'upstream-refused' && this.#facts.pool!.size === 1;
    if (code === 'upstream-reset') this.#attempts.repeatOnFreshConnection();
    else if (isRefused && leaves) this.#attempts.repeatOnNewConnectionFirst();
    else if (isRefused) this.#attempts.repeat();
    this.#attempt(code);
  }

  #fail(code: FailureCode): void {
    this.drop();
    if (this.answered) this.#owner.onCut(code);
    else this.#owner.onUnanswered(code);
  }

  /** The path of the connection is dead: nobody has acted on the request, or will answer it. */
  onUpstreamSilent(stream: WatchedStream, sentAtMs: number): void {
    if (this.#stream !== stream || this.#phase !== 'response-head' || this.#sentAtMs !== sentAtMs) return;
    if (!this.#retries.mayFollow('upstream-reset')) return;
    const { turn } = this.#context;
    const facts = this.#facts;
    const silent = facts.target!;
    silent.suspect(this.#context.now() + SUSPECT_MS);
    turn.enter();
    try {
      this.drop();
      this.#attempts.lastFailure = 'upstream-reset';
      this.#attempts.avoidPooledConnections(silent);
      this.#attempt('path-silent');
    } finally {
      turn.leave();
    }
  }

  // Time ---------------------------------------------------------------------------------------------------------

  onLate(): void {
    this.#context.silence.ask(this.#stream!, this, this.#sentAtMs);
  }

  onTimeout(code: FailureCode, nowMs: number): void {
    // No answer in time is as bad as a bad one: a target that hangs has to be left alone like one that fails.
    if (code === 'response-timeout') this.#facts.target?.onAnswer(true, nowMs - this.#sentAtMs, nowMs);
    this.#context.turn.enter();
    try {
      this.#fail(code);
    } finally {
      this.#context.turn.leave();
    }
  }

  /** Gives up what is in progress upstream: the client has left, or is answered otherwise. */
  drop(): void {
    const stream = this.#stream;
    if (stream === null) return this.#attempts.cancel();
    this.#leaveTarget();
    stream.close();
  }

  /** The exchange is over. */
  end(): void {
    this.#phase = 'idle';
    this.#patience.end();
  }

  release(): void {
    this.#patience.release();
    this.#attempts.cancel();
  }

  #leaveTarget(): void {
    this.#stream = null;
    this.#facts.target?.end();
  }
}
