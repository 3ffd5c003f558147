// One request and its response, from top to bottom: route, forward or answer, record.

import { FieldId } from '../http1/field-id.ts';
import { normalisePath } from '../http1/normalise.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { FAILURES, type FailureCode } from '../model/failures.ts';
import type { ExchangeContext, ExchangeSession } from './exchange-context.ts';
import { ExchangeFacts } from './exchange-facts.ts';
import { Forwarding, type ForwardingOwner } from './forwarding.ts';
import { type Answer, OPTIONS_ANSWER, withLines } from './http/answers.ts';
import { grpcStatusLines } from './http/grpc.ts';
import { answerTo } from './http/grpc-web.ts';
import { maxForwardsOf } from './http/request-head.ts';
import { isAcceptableRequestId } from './http/request-id.ts';
import { directAnswer, redirectAnswer } from './http/rule-answers.ts';
import { securityLine } from './router/https.ts';
import { render } from './router/template.ts';
import { actionOf, NO_POOL } from './router/weighted.ts';
import type { Runtime } from './runtime.ts';

/** Reused for one request after the other: those of an HTTP/1.1 connection, or of a place in an HTTP/2 connection. */
export class Exchange implements ForwardingOwner {
  readonly facts: ExchangeFacts;
  readonly #session: ExchangeSession;
  readonly #context: ExchangeContext;
  readonly #forwarding: Forwarding;
  #active = false;
  /** Counted among the requests in flight. */
  #admitted = false;

  constructor(session: ExchangeSession, context: ExchangeContext) {
    this.#session = session;
    this.#context = context;
    this.facts = new ExchangeFacts(session.client.address);
    this.#forwarding = new Forwarding(this, session, context, this.facts);
  }

  get active(): boolean {
    return this.#active;
  }

  /** False while a body has to wait for its connection: the session stops reading. */
  get wantsBody(): boolean {
    return this.#forwarding.wantsBody;
  }

  // 1. Route -----------------------------------------------------------------------------------------------------

  /** A request head is complete; `startedAtMs` is when its first byte came. It must stay as it is until the end. */
  start(head: RequestHead, startedAtMs: number): void {
    this.#reset(head, startedAtMs);
    const refusal = this.#admit();
    if (refusal !== null) return this.#answer(refusal);
    const { view, match } = this.facts;
    const path = head.path === '*' ? '*' : normalisePath(head.path, this.#session.paths);
    if (path === null) return this.#answer('bad-request');
    if (head.method === 'CONNECT') return this.#answer('method-unsupported');
    // An https resource is not for a connection without TLS (RFC 9110, section 7.4), unless a trusted proxy asks.
    if (head.scheme === 'https' && this.#session.scheme === 'http' && !this.#session.client.trusted) {
      return this.#answer('bad-request');
    }
    // Another host than the one that the connection was made for: the client must make one for it.
    if (this.#session.tls?.agreesWith(head.host) === false) return this.#answer('misdirected');
    if (head.has(FieldId.MaxForwards)) {
      const left = maxForwardsOf(head);
      if (Number.isNaN(left)) return this.#answer('bad-request');
      if (left === 0) return this.#answerAsLast();
    }
    view.set(head, path);
    // Not kept: a client that waits with its connection open would hold all of that version.
    const { listenerName, lastRuntime } = this.#session;
    let runtime = this.#context.runtime();
    let router = runtime.routers.get(listenerName);
    if (router === undefined && lastRuntime !== null) {
      runtime = lastRuntime;
      router = runtime.routers.get(listenerName);
    }
    if (router === undefined || !router.match(view, match)) return this.#answer(match.refusal ?? 'no-route');
    view.captures = match.captures;
    view.captureNames = match.rule!.captureNames;
    this.#act(runtime);
  }

  /** Takes the request in, or says which limit refuses it. */
  #admit(): FailureCode | null {
    const { load, meters } = this.#session;
    const refusal = load.admission.beginRequest(load, this.facts.headAtMs);
    this.#admitted = refusal === null;
    if (this.#admitted) meters.requests(1);
    return refusal;
  }

  #act(runtime: Runtime): void {
    const { match } = this.facts;
    const { action } = match.rule!;
    if (action.kind === 'respond') return this.#complete(directAnswer(action, match.captures));
    if (action.kind === 'redirect') {
      // A request of HTTP/1.0 need not say which host it is for: a redirect without one would lead to what its path names.
      if (action.host === null && this.facts.view.head.host === '') return this.#answer('bad-request');
      const origin = { scheme: this.#session.scheme, port: this.#session.listenerPort };
      return this.#complete(redirectAnswer(action, this.facts.view, origin, match));
    }
    const index = actionOf(action, match.captures, this.#context.random());
    const pool = index === NO_POOL ? undefined : runtime.pools[index];
    if (pool === undefined) {
      return this.#answer(action.kind === 'service' ? 'no-environment' : 'no-target');
    }
    this.#forwarding.begin(pool);
  }

  // 2. Forward: pick, connect, send, relay, retry ----------------------------------------------------------------

  /** Body bytes of the request, decoded. */
  onRequestBody(buffer: Buffer, start: number, end: number): void {
    this.facts.bytesIn += end - start;
    this.#forwarding.onRequestBody(buffer, start, end);
  }

  /** The request is complete; its validated trailer lines may follow the last chunk. */
  onRequestEnd(trailers: string): void {
    this.#forwarding.onRequestEnd(trailers);
  }

  /** The client has read what was queued. */
  onDownstreamDrain(): void {
    this.#forwarding.onDownstreamDrain();
  }

  onRelayed(): void {
    this.#finish();
  }

  // 3. Answer ----------------------------------------------------------------------------------------------------

  onUnanswered(code: FailureCode): void {
    this.#answer(code);
  }

  /** Answers with a failure of the table; the request has not been answered before. */
  #answer(code: FailureCode): void {
    this.facts.failure = code;
    this.#complete(withLines(answerTo(this.facts.view.head, code), this.#securityLines()));
  }

  /** Max-Forwards has run out: the request is for us (RFC 9110, section 7.6.2), and TRACE would show others' fields. */
  #answerAsLast(): void {
    if (this.facts.view.head.method === 'TRACE') return this.#answer('method-unsupported');
    this.#complete(withLines(OPTIONS_ANSWER, this.#securityLines()));
  }

  /** What the rule says, or where none was found the listener; only over TLS (RFC 6797, section 7.2). */
  #securityLines(): string {
    const { match } = this.facts;
    if (this.#session.tls === null) return '';
    if (match.rule === null) return securityLine(this.#session.hsts);
    return render(match.rule.filters.security, match.captures);
  }

  #complete(answer: Answer): void {
    this.facts.status = answer.status;
    this.facts.bytesOut = this.facts.view.head.method === 'HEAD' ? 0 : answer.body.length;
    this.#session.sendAnswer(answer, this.facts);
    this.#finish();
  }

  /** The answer has begun and cannot be completed: the client must see that. */
  onCut(code: FailureCode): void {
    this.facts.failure = code;
    const isToldAsFrame = this.#forwarding.endWithStatus(grpcStatusLines(code));
    this.#record();
    if (isToldAsFrame) return this.#session.onExchangeDone();
    // A gRPC client reads the status from trailers, which only HTTP/2 can send behind any part of a body.
    if (this.#session.protocol === 'HTTP/2' && this.#forwarding.answersGrpc) {
      this.#session.sendEnd(grpcStatusLines(code));
      this.#session.onExchangeDone();
    } else {
      this.#session.cut();
    }
  }

  /** What came of the body is not valid: the client gets the answer to that unless another has begun. */
  refuse(code: FailureCode): void {
    if (!this.#active) return;
    this.#forwarding.drop();
    if (this.#forwarding.answered) this.onCut(code);
    else this.#answer(code);
  }

  /** The client is gone, or sent something that is no longer its request. */
  abort(code: FailureCode): void {
    if (!this.#active) return;
    this.facts.failure = code;
    if (!this.#forwarding.answered) this.facts.status = FAILURES[code].status;
    this.#forwarding.drop();
    this.#record();
  }

  // 4. Record ----------------------------------------------------------------------------------------------------

  #finish(): void {
    this.#record();
    this.#session.onExchangeDone();
  }

  #record(): void {
    this.#active = false;
    this.#forwarding.end();
    if (this.#admitted) {
      const { load, meters } = this.#session;
      this.#admitted = false;
      load.admission.endRequest(load);
      meters.requests(-1);
    }
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

  /** It is not used any more: nothing may hold it for a time to come. */
  release(): void {
    this.#forwarding.release();
  }

  #reset(head: RequestHead, startedAtMs: number): void {
    const { client } = this.#session;
    this.#active = true;
    this.facts.reset(head, startedAtMs, this.#context.now());
    this.#forwarding.reset();
    const foreign = client.trusted ? head.valueOf(FieldId.XRequestId) : '';
    this.facts.requestId =
      foreign !== '' && isAcceptableRequestId(foreign) ? foreign : this.#context.requestIds.next();
  }
}
