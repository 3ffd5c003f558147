// One downstream HTTP/1.1 connection: reads messages in order, runs one exchange at a time, keeps the limits.

import { joinRun } from '../http1/join-run.ts';
import { RequestParser } from '../http1/request-parser.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { Framing, Step } from '../http1/step.ts';
import { matchPreface } from '../http2/preface.ts';
import { FAILURES, type FailureCode } from '../model/failures.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { Deadline } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import type { ExchangeContext, ExchangeSession } from './exchange-context.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import { type Answer, failureAnswer, withLines } from './http/answers.ts';
import type { ForwardedClient } from './http/forwarded.ts';
import { buildSwitchHead } from './http/response-head.ts';
import { HttpSession, KEPT_READY_MS } from './http-session.ts';
import { Http1Answer } from './http1-answer.ts';
import { Http1Turns, PIECES_AT_ONCE } from './http1-turns.ts';
import type { Listener } from './listener.ts';
import type { HeaderEdits } from './router/header-edits.ts';
import { securityLine } from './router/https.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import { TUNNEL_FAILURES, Tunnel, type TunnelLimits } from './tunnel.ts';
import type { OwnConnection } from './upstream/own-connection.ts';
import type { UpstreamSide } from './upstream/upstream-stream.ts';
import type { Waiter } from './wire/pass-share.ts';
import type { Wire, WireOwner } from './wire/wire.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** The first letters of HTTP/2's preface; no usual method begins with them. */
const P = 80;
const R = 82;
const TOO_MANY_REQUESTS = 429;
/** Of those sent ahead: above its rate a client is answered a few more, so that it learns of it, and then closed. */
const REFUSED_COUNTS_FOR = 16;
/** So many were sent ahead, when more bytes came than are held. */
const DROPPED = Number.POSITIVE_INFINITY;

/** What the connection waits for: decides what a timeout means. */
type Phase = 'idle' | 'head' | 'exchange' | 'tunnel' | 'closed';

export class Http1Session extends HttpSession implements WireOwner, ExchangeSession, Deadline, Waiter {
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  readonly webSocketKey = '';
  own: OwnConnection | null = null;
  readonly #wire: Wire;
  readonly #context: ExchangeContext;
  /** What a request needs. Made with its first byte, and let go of when the connection has been idle for a moment. */
  #parser: RequestParser | null = null;
  #exchange: Exchange | null = null;
  #answer: Http1Answer | null = null;
  #turns: Http1Turns | null = null;
  #phase: Phase = 'idle';
  /** Bytes that came while an exchange was in progress. */
  #held: Buffer | null = null;
  #requests = 0;
  /** Of the bytes that are being read some come after the message in progress. */
  #hasMore = false;
  #startedAtMs = 0;
  /** When the wait for a request began. */
  #idleSinceMs: number;
  #requestEnded = true;
  #clientEnded = false;
  #consuming = false;
  /** Nothing was read yet, and what comes may be HTTP/2. */
  #fresh: boolean;
  #tunnel: Tunnel | null = null;
  #receivedCounted = 0;
  #sentCounted = 0;

  constructor(
    listener: Listener,
    makeWire: (owner: WireOwner) => Wire,
    client: ForwardedClient,
    load: ClientLoad,
    tls: TlsFacts | null,
    context: ExchangeContext,
  ) {
    super(listener, client, load, tls);
    this.#context = context;
    this.#wire = makeWire(this);
    client.wire = this.#wire;
    this.#idleSinceMs = context.now();
    this.#fresh = tls === null && listener.config.http2.enabled;
    this.#setDeadline(listener.config.timeouts.headerMs);
  }

  get takenBytes(): number {
    return this.#wire.takenBytes;
  }

  get protocol(): string {
    return this.#parser!.head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
  }

  get congested(): boolean {
    return this.#wire.congested;
  }

  // Bytes in -------------------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, length: number): void {
    if (this.#fresh && this.#isHttp2(buffer, length)) return;
    if (this.#held !== null || (this.#phase === 'exchange' && this.#requestEnded))
      this.#hold(buffer, 0, length, false);
    else {
      if (this.#turns !== null) this.#turns.requests = 0;
      this.#consume(buffer, length, false);
    }
  }

  /**
   * A client may begin with HTTP/2 at once (RFC 9113, section 3.3): its preface is no request that HTTP/1.1 knows.
   * Bytes that may become one are held for as long as a head may take.
   */
  #isHttp2(buffer: Buffer, length: number): boolean {
    const held = this.#held;
    if (held === null && (buffer[0] !== P || (length > 1 && buffer[1] !== R))) {
      this.#fresh = false;
      return false;
    }
    this.#held = null;
    const bytes =
      held === null ? buffer.subarray(0, length) : Buffer.concat([held, buffer.subarray(0, length)]);
    const match = matchPreface(bytes, 0, bytes.length);
    if (match === 'partial') {
      this.#held = held === null ? Buffer.from(bytes) : bytes;
      return true;
    }
    this.#fresh = false;
    if (match === 'yes') {
      this.#phase = 'closed';
      this.#context.deadlines.clear(this);
      this.listener.becomeHttp2(this, this.#wire, bytes);
    } else {
      this.#consume(bytes, bytes.length, held !== null);
    }
    return true;
  }

  /** @param owned the buffer is not the shared read buffer, so its rest can be held without a copy */
  #consume(buffer: Buffer, length: number, owned: boolean): void {
    this.#consuming = true;
    let position = 0;
    let pieces = 0;
    /** Bytes of a body that are decoded and not passed on yet: `buffer[run, runEnd)`. */
    let run = 0;
    let runEnd = 0;
    const parser = this.#prepare();
    while (this.#phase !== 'closed' && this.#phase !== 'tunnel') {
      if (this.#mustWait()) {
        // A body may be complete without another byte: even nothing is held, so that its end is read on with it.
        if (position < length || !this.#requestEnded) this.#hold(buffer, position, length, owned);
        break;
      }
      if (this.#phase === 'idle' && position < length) this.#beginHead();
      const step = parser.next(buffer, position, length);
      position = parser.position;
      if (step === Step.Body) {
        if (run === runEnd) run = runEnd = parser.dataStart;
        runEnd = joinRun(buffer, runEnd, parser.dataStart, parser.dataEnd);
        pieces += 1;
        if (pieces % PIECES_AT_ONCE === 0) this.#turns!.onPieces(pieces / PIECES_AT_ONCE);
        continue;
      }
      if (run < runEnd) {
        const goesOn = this.#passOn(buffer, run, runEnd);
        run = runEnd;
        // Once more: whoever takes the body may have enough now, or have ended everything.
        if (step === Step.NeedMore || !goesOn) continue;
      }
      if (step === Step.NeedMore) {
        // Only a head that did not come whole needs a timer: the common case sets none.
        if (this.#phase === 'head') this.#awaitHead(parser);
        break;
      }
      if (step === Step.Failed) {
        this.#refuse(parser.failureCode, parser.failure);
        break;
      }
      this.#hasMore = position < length;
      this.#onStep(step);
    }
    this.#hasMore = false;
    if (run < runEnd) this.#passOn(buffer, run, runEnd);
    this.#consuming = false;
  }

  onTurn(): void {
    if (this.#phase === 'closed' || this.#phase === 'tunnel') return;
    const { turn } = this.#context;
    turn.enter();
    try {
      this.continueReading();
    } finally {
      turn.leave();
    }
  }

  /** A request whose answer is in progress blocks the next one; a body waits for its connection. */
  #mustWait(): boolean {
    if (this.#turns?.waits === true) return true;
    if (this.#phase !== 'exchange') return false;
    return this.#requestEnded || !this.#exchange!.wantsBody;
  }

  /** @returns whether the message is still read */
  #passOn(buffer: Buffer, start: number, end: number): boolean {
    const exchange = this.#exchange!;
    if (exchange.active) exchange.onRequestBody(buffer, start, end);
    return this.#phase === 'exchange';
  }

  #onStep(step: Step): void {
    const parser = this.#parser!;
    const exchange = this.#exchange!;
    if (step === Step.Head) {
      this.#phase = 'exchange';
      this.#requestEnded = false;
      this.#requests += 1;
      this.#turns!.onRequest();
      this.#context.deadlines.set(this, NEVER);
      exchange.start(parser.head, this.#startedAtMs);
    } else {
      this.#requestEnded = true;
      if (exchange.active) exchange.onRequestEnd(parser.trailers);
      else if (this.#phase === 'exchange') this.#becomeIdle();
    }
  }

  #beginHead(): void {
    this.#phase = 'head';
    this.#startedAtMs = this.#context.now();
  }

  /** The time counts from the first byte: a client that sends a byte now and then gains nothing by it. */
  #awaitHead(parser: RequestParser): void {
    // Old clients put a line break behind a body (RFC 9112, section 2.2): nothing has begun.
    if (parser.idle) this.#phase = 'idle';
    else this.#context.deadlines.set(this, this.#startedAtMs + this.listener.config.timeouts.headerMs);
  }

  #becomeIdle(): void {
    this.#phase = 'idle';
    this.#parser!.releaseHead();
    this.#idleSinceMs = this.#context.now();
    this.#setDeadline(Math.min(KEPT_READY_MS, this.timeouts.idleMs));
  }

  #prepare(): RequestParser {
    this.#exchange ??= new Exchange(this, this.#context);
    this.#answer ??= new Http1Answer(this.#wire, this.#context.date);
    this.#turns ??= new Http1Turns(this, this.#context);
    this.#parser ??= new RequestParser(this.listener.headLimits, this.listener.config.underscores);
    return this.#parser;
  }

  /** The connection has served, and its time to wait is not over. */
  #mayRest(nowMs: number): boolean {
    return this.#requests > 0 && nowMs - this.#idleSinceMs < this.timeouts.idleMs;
  }

  /** Idle for a moment: a connection that only waits keeps what waiting needs. */
  #rest(): void {
    const { deadlines } = this.#context;
    deadlines.set(this, this.#idleSinceMs + this.timeouts.idleMs);
    this.#parser = null;
    this.#exchange?.release();
    this.#exchange = null;
    this.#answer = null;
    this.#turns = null;
  }

  #hold(buffer: Buffer, start: number, end: number, owned: boolean): void {
    // What is dropped once is not held afterwards: the connection ends with the answer in progress.
    if (this.#requestEnded && this.#turns?.requests === DROPPED) return;
    const bytes = buffer.subarray(start, end);
    const rest = owned ? bytes : Buffer.from(bytes);
    if (this.#requestEnded && rest.length + (this.#held?.length ?? 0) > this.limits.pipelinedBytes) {
      return this.#dropPipelined();
    }
    this.#held = this.#held === null ? rest : Buffer.concat([this.#held, rest]);
    this.#wire.pause();
  }

  /** More than is held for anybody: what is in progress is answered, and the connection ends with that. */
  #dropPipelined(): void {
    this.#turns!.requests = DROPPED;
    this.#answer!.keepAlive = false;
    this.#held = null;
    this.meters.ended('pipelined-bytes');
    this.#wire.pause();
  }

  /** Goes on with bytes that had to wait, then with the socket. */
  continueReading(): void {
    if (this.#consuming || this.#phase === 'closed' || this.#phase === 'tunnel') return;
    if (this.#held !== null && !this.#mustWait()) {
      const held = this.#held;
      this.#held = null;
      this.#consume(held, held.length, true);
      // Its end came while bytes had to wait: what is missing will never come.
      if (this.#clientEnded && this.#held === null && this.#isReading()) return this.onEnd();
    }
    if (this.#held === null && !this.#wire.closed) this.#wire.resume();
  }

  /** Waits for bytes, not for an answer. */
  #isReading(): boolean {
    return this.#phase === 'exchange'
      ? !this.#requestEnded
      : this.#phase === 'idle' || this.#phase === 'head';
  }

  // Exchange ---------------------------------------------------------------------------------------------------------

  sendInterim(head: ResponseHead, edits: HeaderEdits | null): void {
    this.#answer!.interim(head, this.#parser!.head, edits);
  }

  sendHead(head: ResponseHead, facts: ExchangeFacts): void {
    this.#answer!.head(head, facts, this.#parser!.head, this.#mayKeepAlive());
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    this.#answer!.body(buffer, start, end);
  }

  sendEnd(trailers: string): void {
    this.#answer!.end(trailers);
  }

  sendAnswer(answer: Answer, { requestId }: ExchangeFacts): void {
    const isAhead = this.#held !== null || this.#hasMore;
    if (answer.status === TOO_MANY_REQUESTS && isAhead) this.#turns!.requests += REFUSED_COUNTS_FOR - 1;
    this.#answer!.own(answer, requestId, this.#parser!.head, this.#mayKeepAlive());
  }

  #mayKeepAlive(): boolean {
    const { head } = this.#parser!;
    return (
      head.keepAlive &&
      // A body that is still on its way cannot be told from the next request.
      (this.#requestEnded || head.framing === Framing.None) &&
      !this.#hasAllBeenRead() &&
      !this.listener.draining &&
      this.#requests < this.limits.requestsPerConnection &&
      !this.#isTooFarAhead()
    );
  }

  /** The client has ended its side, and no other request of it is waiting. */
  #hasAllBeenRead(): boolean {
    return this.#clientEnded && this.#held === null && !this.#hasMore;
  }

  /** One request is in progress; the others were sent ahead of its answer. */
  #isTooFarAhead(): boolean {
    return this.#turns!.requests - 1 > this.limits.pipelinedRequests;
  }

  onExchangeDone(): void {
    this.#count();
    // The client may have ended its side after its answer had begun.
    if (!this.#answer!.keepAlive || this.#hasAllBeenRead()) {
      if (this.#isTooFarAhead() && this.#turns!.requests !== DROPPED) this.meters.ended('pipelined-requests');
      this.#close(this.#wasItsLast());
      return;
    }
    if (this.#requestEnded) this.#becomeIdle();
    this.continueReading();
  }

  /**
   * The client sends nothing more: it has said so (RFC 9112, section 9.6), and has sent no body, behind which old clients put a
   * line break (section 2.2).
   */
  #wasItsLast(): boolean {
    const { head } = this.#parser!;
    return !head.keepAlive && head.framing === Framing.None && this.#held === null && !this.#hasMore;
  }

  becomeTunnel(
    head: ResponseHead,
    upstream: UpstreamSide,
    limits: TunnelLimits,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    this.#wire.text(buildSwitchHead(head, this.#parser!.head));
    this.#phase = 'tunnel';
    const { deadlines, now } = this.#context;
    const read = this.#wire.bytesRead;
    const written = this.#wire.bytesWritten;
    this.#tunnel = new Tunnel(this.#wire, this, upstream, limits, deadlines, now, (result) => {
      this.#exchange!.onTunnelEnd(
        this.#wire.bytesRead - read,
        this.#wire.bytesWritten - written,
        TUNNEL_FAILURES[result],
      );
      this.#ended();
    });
    // The bytes that were dropped would be missing in it.
    if (this.#turns!.requests === DROPPED) return this.#tunnel.shutdown();
    if (start < end) this.#tunnel.onUpstreamBytes(buffer.subarray(start, end), end - start);
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#tunnel.onBytes(held, held.length);
    if (this.#clientEnded) this.#tunnel.onEnd();
    this.onTunnel(this.#tunnel);
  }

  cut(): void {
    this.#wire.reset();
    // What has been read behind the request is not looked at any more.
    this.#ended();
  }

  // Ends -------------------------------------------------------------------------------------------------------------

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#fresh && this.#held !== null) {
      const held = this.#held;
      this.#held = null;
      this.#fresh = false;
      this.#consume(held, held.length, true);
    }
    // A client may end its side and still wait for its answer; without one in progress nothing is left to do.
    if (this.#phase === 'exchange' && this.#requestEnded) return this.#wire.askWhetherPeerIsThere();
    if (this.#held !== null) return;
    if (this.#phase === 'exchange') {
      this.#exchange!.abort('client-aborted');
      this.#wire.destroy();
    } else if (this.#phase === 'head' && !this.#parser!.idle) {
      this.#refuse('bad-request', 'incomplete-head');
    } else {
      this.#close();
    }
  }

  onDrain(): void {
    if (this.#exchange?.active === true) this.#exchange.onDownstreamDrain();
  }

  onClose(): void {
    if (this.#phase === 'exchange') this.#exchange!.abort('client-aborted');
    this.#ended();
    this.#count();
    this.listener.onSessionEnd(this, this.load);
  }

  onDeadline(nowMs: number): void {
    const { turn } = this.#context;
    turn.enter();
    try {
      if (this.#phase === 'head') this.#refuse('header-timeout', '');
      else if (this.#phase === 'idle' && this.#mayRest(nowMs)) this.#rest();
      else if (this.#phase === 'idle') {
        this.meters.ended(this.#requests === 0 ? 'header-timeout' : 'idle-timeout');
        this.#close();
      } else if (this.#turns?.waits === true) {
        this.#turns.waits = false;
        this.continueReading();
      }
    } finally {
      turn.leave();
    }
  }

  /** The next answer says close; a tunnel is told what it can be told. */
  drain(deadlineMs: number): void {
    this.#tunnel?.drain(deadlineMs, this.#context.random);
  }

  closeIfIdle(forMs: number): boolean {
    if (this.#phase !== 'idle' || this.#context.now() - this.#idleSinceMs < forMs) return false;
    this.#close();
    return true;
  }

  get queuedBytes(): number {
    return this.#wire.pendingBytes;
  }

  /** Ends the connection whatever it does: the drain deadline of the process has come. */
  shutdown(code: FailureCode): void {
    if (this.#phase === 'tunnel') this.#tunnel?.shutdown();
    else if (this.#phase === 'exchange') {
      this.#exchange!.abort(code);
      this.#wire.reset();
    } else if (this.#phase === 'closed') this.#wire.destroy();
    else this.#close();
  }

  /** Nothing of a refused message reaches a target. */
  #refuse(code: FailureCode, detail: string): void {
    if (this.#phase === 'exchange') {
      this.#exchange!.refuse(code);
      return;
    }
    const nowMs = this.#context.now();
    this.#context.recorder.refused(
      {
        listener: this.listenerName,
        protocol: 'HTTP/1.1',
        client: this.client.address,
        status: FAILURES[code].status,
        code,
        detail,
        totalMs: this.#startedAtMs === 0 ? 0 : nowMs - this.#startedAtMs,
      },
      this.meters,
    );
    const answer = withLines(failureAnswer(code), securityLine(this.hsts));
    this.#answer!.refusal(answer, this.#parser!.methodIsHead);
    this.#close();
  }

  /**
   * Sends what is queued and ends; no further request is read.
   * @param all the client has sent all that it will
   */
  #close(all = false): void {
    this.#context.deadlines.clear(this);
    this.#held = null;
    if (all) this.#wire.endAndClose();
    else this.#wire.endAndLinger();
    this.#ended();
  }

  /** Nothing more is read; the listener counts the connection until its last bytes have left. */
  #ended(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#context.deadlines.clear(this);
    this.#exchange?.release();
    this.own?.close();
    this.#count();
  }

  #count(): void {
    const { bytesRead, bytesWritten } = this.#wire;
    this.meters.bytes(bytesRead - this.#receivedCounted, bytesWritten - this.#sentCounted);
    this.#receivedCounted = bytesRead;
    this.#sentCounted = bytesWritten;
  }

  #setDeadline(afterMs: number): void {
    this.#context.deadlines.set(this, this.#context.now() + afterMs);
  }
}
