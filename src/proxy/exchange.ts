// One request and its response, from top to bottom: route, pick, connect, send, relay, retry or answer, record.

import { FieldId } from '../http1/field-id.ts';
import { normalisePath } from '../http1/normalise.ts';
import { responseFailure } from '../http1/parse-failure.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { Framing, Step } from '../http1/step.ts';
import { lastChunk } from '../http1/write.ts';
import { FAILURES, type Failure, type FailureCode } from '../model/failures.ts';
import type { Deadline } from './deadlines.ts';
import type { ExchangeContext, ExchangeSession } from './exchange-context.ts';
import { ExchangeFacts } from './exchange-facts.ts';
import { type AnswerParts, failureAnswer, failureBody, optionsAnswer } from './http/answers.ts';
import { writeBody } from './http/body.ts';
import { buildRequestHead, isAskedUpgrade, maxForwardsOf, upgradeOf } from './http/request-head.ts';
import { isAcceptableRequestId } from './http/request-id.ts';
import type { RequestView } from './http/request-view.ts';
import {
  buildInterimHead,
  buildResponseHead,
  buildSwitchHead,
  type DownstreamFraming,
  downstreamFraming,
} from './http/response-head.ts';
import { directAnswer, redirectAnswer } from './http/rule-answers.ts';
import { SentRequest } from './http/sent-request.ts';
import { rewritePath } from './router/filters.ts';
import type { RouteMatch } from './router/router.ts';
import { render } from './router/template.ts';
import { actionOf, NO_POOL } from './router/weighted.ts';
import type { Runtime } from './runtime.ts';
import { Attempts } from './upstream/attempts.ts';
import { SUSPECT_MS } from './upstream/target.ts';
import { TARGET_LOST, type UpstreamConnection, type UpstreamUser } from './upstream/upstream-connection.ts';

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
const NEVER = Number.POSITIVE_INFINITY;
/** A request that may be repeated is looked after when its answer takes longer, in milliseconds, and again after. */
const SILENT_AFTER_MS = 400;
const SILENT_AGAIN_MS = 200;

/** Which side has to act next: decides what a timeout means. */
type Phase = 'idle' | 'connecting' | 'request' | 'response-head' | 'response-body';

/** Reused for every request of a client connection: one is in progress at a time (RFC 9112, section 9.3.2). */
export class Exchange implements UpstreamUser, Deadline {
  dueAtMs = NEVER;
  filedTick = -1;

  readonly facts: ExchangeFacts;
  readonly match: RouteMatch;
  readonly view: RequestView;
  readonly #session: ExchangeSession;
  readonly #context: ExchangeContext;
  readonly #attempts: Attempts;
  #runtime: Runtime;
  #head!: RequestHead;
  #phase: Phase = 'idle';
  #connection: UpstreamConnection | null = null;
  readonly #sent = new SentRequest();
  #requestComplete = false;
  #responseStarted = false;
  #framing: DownstreamFraming = 'none';
  #keepAlive = false;
  #attemptAtMs = 0;
  #sentAtMs = 0;
  #totalDueAtMs = NEVER;
  #answerDueAtMs = NEVER;

  constructor(session: ExchangeSession, context: ExchangeContext) {
    this.#session = session;
    this.#context = context;
    this.#attempts = new Attempts(context);
    this.#runtime = context.runtime();
    this.facts = new ExchangeFacts(session.client.address);
    this.match = this.facts.match;
    this.view = this.facts.view;
  }

  get active(): boolean {
    return this.#phase !== 'idle';
  }

  /** False while a body has to wait for its connection: the session stops reading. */
  get wantsBody(): boolean {
    const connection = this.#connection;
    if (this.#head.framing === Framing.None) return true;
    if (this.#phase === 'connecting') return false;
    return connection === null || !connection.wire.congested;
  }

  // 1. Route -----------------------------------------------------------------------------------------------------

  /** A request head is complete; `startedAtMs` is when its first byte came. */
  start(head: RequestHead, startedAtMs: number): void {
    this.#reset(head, startedAtMs);
    const path = head.path === '*' ? '*' : normalisePath(head.path, this.#session.paths);
    if (path === null) return this.#answer('bad-request');
    if (head.method === 'CONNECT') return this.#answer('method-unsupported');
    // An https resource is not for a connection without TLS (RFC 9110, section 7.4), unless a trusted proxy asks.
    if (head.scheme === 'https' && this.#session.scheme === 'http' && !this.#session.client.trusted) {
      return this.#answer('bad-request');
    }
    if (head.has(FieldId.MaxForwards)) {
      const left = maxForwardsOf(head);
      if (Number.isNaN(left)) return this.#answer('bad-request');
      if (left === 0) return this.#answerAsLast();
    }
    this.view.set(head, path);
    const router = this.#runtime.routers.get(this.#session.listenerName);
    if (router === undefined || !router.match(this.view, this.match)) return this.#answer('no-route');
    this.view.captures = this.match.captures;
    this.view.captureNames = this.match.rule!.captureNames;
    this.#act();
  }

  #act(): void {
    const { action, rule } = this.match.rule!;
    if (action.kind === 'respond' || action.kind === 'redirect') return this.#answerByRule();
    const index = actionOf(action, this.match.captures, this.#context.random());
    const pool = index === NO_POOL ? undefined : this.#runtime.pools[index];
    if (pool === undefined) {
      return this.#answer(action.kind === 'service' ? 'no-environment' : 'no-target');
    }
    this.facts.pool = pool;
    pool.onRequest(this.facts.headAtMs);
    const totalMs = rule.timeouts.totalMs ?? pool.config.timeouts.totalMs;
    if (totalMs > 0) this.#totalDueAtMs = this.facts.startedAtMs + totalMs;
    this.#attempts.reset(this, pool, pool.hashOf(this.view), false);
    this.#sent.replayable = IDEMPOTENT.has(this.#head.method);
    this.#attempt();
  }

  // 2. Pick and connect ------------------------------------------------------------------------------------------

  #attempt(): void {
    const nowMs = this.#context.now();
    this.#attemptAtMs = nowMs;
    this.#phase = 'connecting';
    this.#setDeadline(NEVER);
    const connection = this.#attempts.dial(nowMs);
    if (connection === undefined) return this.#answer(this.#attempts.lastFailure);
    this.facts.attempts = this.#attempts.count;
    this.facts.target = connection.target;
    if (connection.connected) this.onUpstreamConnected(connection);
  }

  /** The first connection that is up, pooled or new: the attempt is its from here on. */
  onUpstreamConnected(connection: UpstreamConnection): void {
    const { facts } = this;
    facts.attempts = this.#attempts.count;
    facts.target = connection.target;
    facts.reused = connection.reused;
    facts.connectMs = connection.reused ? 0 : connection.connectMs;
    if (connection.reused) facts.pool!.meters.reused();
    this.#connection = connection;
    this.#send(connection);
  }

  onUpstreamConnectFailed(connection: UpstreamConnection, code: FailureCode): void {
    this.facts.attempts = this.#attempts.count;
    this.facts.target = connection.target;
    this.#retryOrAnswer(code);
  }

  // 3. Send ------------------------------------------------------------------------------------------------------

  #send(connection: UpstreamConnection): void {
    connection.parser.begin(this.#head.method);
    if (this.#sent.text === '') this.#sent.text = this.#requestHeadText();
    connection.wire.text(this.#sent.text);
    if (this.#requestComplete || this.#head.framing === Framing.None) this.#awaitResponse();
    else {
      this.#phase = 'request';
      this.#setDeadline(this.#context.now() + this.#streamIdleMs());
      // The body waited for the connection; it flows now.
      this.#session.continueReading();
    }
  }

  #requestHeadText(): string {
    const head = this.#head;
    const { filters } = this.match.rule!;
    const { captures } = this.match;
    const received = this.#session.paths.forward === 'received' ? head.path : this.view.path;
    const path =
      filters.path === null
        ? received
        : rewritePath(filters.path, this.view.path, this.match.prefixLength, captures);
    return buildRequestHead(head, {
      target: head.hasQuery ? `${path}?${head.query}` : path,
      authority: filters.host === null ? head.authority : render(filters.host, captures),
      client: this.#session.client,
      requestId: this.facts.requestId,
      edits: filters.request,
      captures,
    });
  }

  /** Body bytes of the request, decoded. */
  onRequestBody(buffer: Buffer, start: number, end: number): void {
    this.facts.bytesIn += end - start;
    const connection = this.#connection;
    // The answer came first, or there is none to send to: what is left of the body is read and dropped.
    if (connection === null || this.#phase === 'idle') return;
    const chunked = this.#head.framing === Framing.Chunked;
    writeBody(connection.wire, chunked, buffer, start, end);
    this.#sent.keepBody(chunked, buffer, start, end);
    if (this.#phase === 'request') this.#setDeadline(this.#context.now() + this.#streamIdleMs());
  }

  /** The request is complete; its validated trailer lines may follow the last chunk. */
  onRequestEnd(trailers: string): void {
    this.#requestComplete = true;
    const connection = this.#connection;
    if (connection !== null && this.#head.framing === Framing.Chunked) {
      const last = lastChunk(trailers);
      connection.wire.text(last);
      this.#sent.keep(last);
    }
    if (this.#phase === 'request') this.#awaitResponse();
  }

  #awaitResponse(): void {
    this.#phase = 'response-head';
    this.#sentAtMs = this.#context.now();
    const waitMs =
      this.match.rule!.rule.timeouts.responseHeaderMs ?? this.facts.pool!.config.timeouts.responseHeaderMs;
    this.#answerDueAtMs = this.#sentAtMs + waitMs;
    const looksAtMs = this.#sent.replayable ? this.#sentAtMs + SILENT_AFTER_MS : NEVER;
    this.#setDeadline(Math.min(this.#answerDueAtMs, looksAtMs));
  }

  onUpstreamDrain(): void {
    this.#session.continueReading();
  }

  // 4. Relay -----------------------------------------------------------------------------------------------------

  onUpstreamBytes(connection: UpstreamConnection, buffer: Buffer, length: number): void {
    const { parser } = connection;
    let position = 0;
    while (this.#connection === connection) {
      const step = parser.next(buffer, position, length);
      position = parser.position;
      switch (step) {
        case Step.NeedMore:
          if (this.#session.wire.congested) connection.wire.pause();
          return;
        case Step.Interim:
          this.#relayInterim(parser.head);
          break;
        case Step.Head:
          if (parser.head.status === 101) return this.#switch(connection, buffer, position, length);
          this.#onResponseHead(connection, parser.head);
          break;
        case Step.Body:
          this.#relayBody(buffer, parser.dataStart, parser.dataEnd);
          break;
        case Step.End:
          return this.#onResponseEnd(connection, parser.trailers, position < length);
        case Step.Failed:
          return this.#onUpstreamFailure(responseFailure(parser.failure || 'status-invalid'), true);
      }
    }
  }

  /** 1xx answers pass to clients that can read them (RFC 9110, section 15.2). */
  #relayInterim(head: ResponseHead): void {
    if (this.#head.minor === 1) this.#session.wire.text(buildInterimHead(head));
  }

  #onResponseHead(connection: UpstreamConnection, head: ResponseHead): void {
    const nowMs = this.#context.now();
    const pool = this.facts.pool!;
    const tookMs = nowMs - (this.#sentAtMs || this.#attemptAtMs);
    const { status } = head;
    pool.meters.answered(status, tookMs);
    connection.target.onAnswer(status === 502 || status === 503 || status === 504, tookMs, nowMs);
    const { retry } = this.match.rule!.rule;
    if (retry.statuses.length > 0 && retry.statuses.includes(status) && this.#mayRetryStatus(retry)) {
      pool.meters.retried('status');
      this.#dropConnection();
      return this.#attempt();
    }
    this.facts.firstByteAtMs = nowMs;
    this.facts.status = status;
    this.#responseStarted = true;
    this.#phase = 'response-body';
    this.#framing = downstreamFraming(head, this.#head.minor);
    // A body that is still on its way cannot be told from the next request: the connection ends with this answer.
    this.#keepAlive =
      this.#session.mayKeepAlive && this.#framing !== 'until-close' && this.#requestReceived();
    const { filters } = this.match.rule!;
    this.#session.wire.text(
      buildResponseHead(head, {
        framing: this.#framing,
        requestId: this.facts.requestId,
        date: this.#context.date,
        edits: filters.response,
        captures: this.match.captures,
        clientMinor: this.#head.minor,
        keepAlive: this.#keepAlive,
      }),
    );
    if (head.framing !== Framing.None) this.#setDeadline(nowMs + this.#streamIdleMs());
  }

  #requestReceived(): boolean {
    return this.#requestComplete || this.#head.framing === Framing.None;
  }

  #mayRetryStatus(retry: { attempts: number; budget: number }): boolean {
    return (
      this.#attempts.count <= retry.attempts &&
      this.#sent.replayable &&
      this.#requestReceived() &&
      this.facts.pool!.mayRetry(retry.budget)
    );
  }

  #relayBody(buffer: Buffer, start: number, end: number): void {
    this.facts.bytesOut += end - start;
    writeBody(this.#session.wire, this.#framing === 'chunked', buffer, start, end);
    this.#setDeadline(this.#context.now() + this.#streamIdleMs());
  }

  /** The client has read what was queued. */
  onDownstreamDrain(): void {
    const connection = this.#connection;
    if (connection === null) return;
    connection.wire.resume();
    if (this.#phase === 'response-body') this.#setDeadline(this.#context.now() + this.#streamIdleMs());
  }

  #onResponseEnd(connection: UpstreamConnection, trailers: string, surplus: boolean): void {
    if (this.#framing === 'chunked') this.#session.wire.text(lastChunk(trailers));
    const reusable = !surplus && connection.parser.head.keepAlive && this.#requestReceived();
    this.#connection = null;
    this.facts.target!.end();
    if (reusable) connection.release();
    else connection.close();
    this.#finish();
  }

  onUpstreamEnd(connection: UpstreamConnection): void {
    if (connection.parser.eof() === Step.End) return this.#onResponseEnd(connection, '', true);
    this.#onUpstreamFailure(responseFailure(connection.parser.failure || 'closed-before-response'), false);
  }

  onUpstreamClose(connection: UpstreamConnection, error: NodeJS.ErrnoException | null): void {
    // A reset may not pass for the end of a body that is delimited by the close (RFC 9112, section 8).
    if (error === null && connection.parser.eof() === Step.End) {
      return this.#onResponseEnd(connection, '', true);
    }
    if (error === TARGET_LOST) return this.#onUpstreamFailure('target-lost', false);
    this.#onUpstreamFailure(this.#responseStarted ? 'upstream-incomplete' : 'upstream-reset', false);
  }

  /** The target agreed to another protocol: from here on both sides are a tunnel. */
  #switch(connection: UpstreamConnection, buffer: Buffer, position: number, length: number): void {
    const { head } = connection.parser;
    const asked = upgradeOf(this.#head);
    if (!isAskedUpgrade(asked, head.upgrade)) return this.#onUpstreamFailure('upgrade-failed', true);
    this.facts.pool!.meters.answered(101, this.#context.now() - this.#sentAtMs);
    this.facts.status = 101;
    this.facts.firstByteAtMs = this.#context.now();
    this.#responseStarted = true;
    this.#context.deadlines.clear(this);
    this.#session.wire.text(buildSwitchHead(head));
    if (position < length) this.#session.wire.bytes(buffer, position, length);
    this.#connection = null;
    this.#session.becomeTunnel(connection, this.#streamIdleMs());
  }

  // 5. Retry or answer -------------------------------------------------------------------------------------------

  /** @param spoke the target sent something that was not a valid answer */
  #onUpstreamFailure(code: FailureCode, spoke: boolean): void {
    if (spoke) {
      const nowMs = this.#context.now();
      this.facts.target?.onAnswer(true, nowMs - this.#attemptAtMs, nowMs);
    }
    const fresh = this.#connection?.reused === false;
    this.#dropConnection();
    if (this.#responseStarted) return this.#cut(code);
    // Only a pooled connection is expected to close under a request; a fresh one that does has looked at it.
    if (code === 'upstream-reset' && fresh) return this.#answer(code);
    this.#retryOrAnswer(code);
  }

  #retryOrAnswer(code: FailureCode): void {
    this.#attempts.lastFailure = code;
    if (!this.#mayRetry(code)) return this.#answer(code);
    this.facts.pool!.meters.retried(code);
    if (code === 'upstream-reset') this.#attempts.repeatOnFreshConnection();
    this.#attempt();
  }

  #mayRetry(code: FailureCode): boolean {
    const { retry } = FAILURES[code] as Failure;
    const rules = this.match.rule!.rule.retry;
    if (retry === 'always') return this.#attempts.rounds <= rules.attempts;
    if (retry === 'never' || !this.#sent.replayable) return false;
    // The race with a server's idle timeout is ours, not the request's: one repeat is made even where retries are off.
    return this.#attempts.rounds <= Math.max(1, rules.attempts) && this.facts.pool!.mayRetry(rules.budget);
  }

  /** Answers with a failure of the table; the request has not been answered before. */
  #answer(code: FailureCode): void {
    const failure: Failure = FAILURES[code];
    this.facts.failure = code;
    this.facts.status = failure.status;
    this.#dropConnection();
    const parts = this.#answerParts(!failure.close);
    this.facts.bytesOut = parts.isHead ? 0 : failureBody(code).length;
    this.#session.wire.text(failureAnswer(code, parts));
    this.#finish();
  }

  /** Decides whether the connection stays, and says so in an answer of our own. */
  #answerParts(mayStay: boolean): AnswerParts {
    this.#keepAlive = mayStay && this.#session.mayKeepAlive && this.#requestReceived();
    return {
      date: this.#context.date.toString(),
      requestId: this.facts.requestId,
      keepAlive: this.#keepAlive,
      clientMinor: this.#head.minor,
      isHead: this.#head.method === 'HEAD',
    };
  }

  /** Max-Forwards has run out: the request is for us (RFC 9110, section 7.6.2), and TRACE would show others' fields. */
  #answerAsLast(): void {
    if (this.#head.method === 'TRACE') return this.#answer('method-unsupported');
    this.facts.status = 204;
    this.#session.wire.text(optionsAnswer(this.#answerParts(true)));
    this.#finish();
  }

  #answerByRule(): void {
    const parts = this.#answerParts(true);
    const { action } = this.match.rule!;
    if (action.kind === 'respond') {
      this.facts.status = action.status;
      this.facts.bytesOut = parts.isHead ? 0 : action.body.length;
      this.#session.wire.text(directAnswer(action, this.match.captures, parts));
    } else if (action.kind === 'redirect') {
      this.facts.status = action.status;
      const origin = { scheme: this.#session.scheme, port: this.#session.listenerPort };
      this.#session.wire.text(redirectAnswer(action, this.view, origin, this.match, parts));
    }
    this.#finish();
  }

  /** The answer has begun and cannot be completed: the client must see that, so the connection is reset. */
  #cut(code: FailureCode): void {
    this.facts.failure = code;
    this.#keepAlive = false;
    this.#record();
    this.#session.cut();
  }

  /** The path of the connection is dead: nobody has acted on the request, or will answer it. */
  onUpstreamSilent(connection: UpstreamConnection): void {
    if (this.#connection !== connection || this.#phase !== 'response-head') return;
    if (!this.#mayRetry('upstream-reset')) return;
    const { turn } = this.#context;
    connection.target.suspect(this.#context.now() + SUSPECT_MS);
    this.facts.pool!.meters.retried('path-silent');
    turn.enter();
    try {
      this.#dropConnection();
      this.#attempts.lastFailure = 'upstream-reset';
      this.#attempts.avoidPooledConnections();
      this.#attempt();
    } finally {
      turn.leave();
    }
  }

  onDeadline(nowMs: number): void {
    if (this.#phase === 'response-head' && nowMs < this.#answerDueAtMs && nowMs < this.#totalDueAtMs) {
      this.#context.silence.ask(this.#connection!, this, this.#sentAtMs);
      this.#setDeadline(Math.min(this.#answerDueAtMs, nowMs + SILENT_AGAIN_MS));
      return;
    }
    const waitsForClient = this.#phase === 'request';
    const code: FailureCode =
      nowMs >= this.#totalDueAtMs
        ? 'total-timeout'
        : this.#phase === 'response-head'
          ? 'response-timeout'
          : waitsForClient && !this.#connection?.wire.congested
            ? 'body-timeout'
            : 'stream-idle';
    this.#context.turn.enter();
    try {
      this.#answerOrCut(code);
    } finally {
      this.#context.turn.leave();
    }
  }

  /** What came of the body is not valid: the client gets the answer to that unless another has begun. */
  refuse(code: FailureCode): void {
    if (this.#phase !== 'idle') this.#answerOrCut(code);
  }

  #answerOrCut(code: FailureCode): void {
    if (!this.#responseStarted) return this.#answer(code);
    this.#dropConnection();
    this.#cut(code);
  }

  /** The client is gone, or sent something that is no longer its request. */
  abort(code: FailureCode): void {
    if (this.#phase === 'idle') return;
    this.facts.failure = code;
    if (!this.#responseStarted) this.facts.status = FAILURES[code].status;
    this.#dropConnection();
    this.#record();
  }

  // 6. Record ----------------------------------------------------------------------------------------------------

  #finish(): void {
    this.#record();
    this.#session.onExchangeDone(this.#keepAlive);
  }

  #record(): void {
    this.#phase = 'idle';
    this.#context.deadlines.set(this, NEVER);
    this.#context.recorder.record(this.facts, this.#session, this.#context.now());
  }

  /** The session ended a tunnel that this exchange had become. */
  onTunnelEnd(bytesIn: number, bytesOut: number, failure: FailureCode | null): void {
    this.facts.bytesIn += bytesIn;
    this.facts.bytesOut += bytesOut;
    this.facts.failure = failure;
    this.facts.target?.end();
    this.#record();
  }

  #dropConnection(): void {
    const connection = this.#connection;
    if (connection === null) return this.#attempts.cancel();
    this.#leaveTarget();
    connection.close();
  }

  #leaveTarget(): void {
    this.#connection = null;
    this.facts.target?.end();
  }

  #streamIdleMs(): number {
    return this.match.rule!.rule.timeouts.streamIdleMs ?? this.facts.pool!.config.timeouts.streamIdleMs;
  }

  #setDeadline(dueAtMs: number): void {
    this.#context.deadlines.set(this, Math.min(dueAtMs, this.#totalDueAtMs));
  }

  #reset(head: RequestHead, startedAtMs: number): void {
    const { client } = this.#session;
    this.#runtime = this.#context.runtime();
    this.#head = head;
    this.#phase = 'connecting';
    this.facts.reset(head, startedAtMs, this.#context.now());
    this.#connection = null;
    this.#sent.reset();
    this.#requestComplete = false;
    this.#responseStarted = false;
    this.#framing = 'none';
    this.#sentAtMs = 0;
    this.#totalDueAtMs = NEVER;
    this.#answerDueAtMs = NEVER;
    const foreign = client.trusted ? head.valueOf(FieldId.XRequestId) : '';
    this.facts.requestId =
      foreign !== '' && isAcceptableRequestId(foreign) ? foreign : this.#context.requestIds.next();
  }
}
