// One downstream HTTP/2 connection: the codec over its wire, its limits and its end.

import { ErrorCode } from '../http2/error-code.ts';
import type { ConnectionFailure } from '../http2/failures.ts';
import type { OutputSink } from '../http2/output.ts';
import { ServerConnection } from '../http2/server-connection.ts';
import type { FailureCode } from '../model/failures.ts';
import { flagOf } from '../telemetry/flags.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { Deadline } from './deadlines.ts';
import type { ExchangeContext } from './exchange-context.ts';
import type { ForwardedClient } from './http/forwarded.ts';
import { HttpSession, KEPT_READY_MS } from './http-session.ts';
import type { Http2Client } from './http2-client.ts';
import type { Http2Request, RequestStream } from './http2-request.ts';
import { Http2Streams, type StreamsOwner } from './http2-streams.ts';
import type { Listener } from './listener.ts';
import { NOTHING } from './recorder.ts';
import type { ListenerSession } from './sessions.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { Waiter } from './wire/pass-share.ts';
import type { Wire, WireOwner } from './wire/wire.ts';

/** A client that does not read must not make us collect answers to what it asks. */
const UNREAD_BYTES = 1024 * 1024;
/** A client gets this long to answer our intention to leave before we say what the last stream was, in milliseconds. */
const DRAIN_ANSWER_MS = 1000;
/**
 * Content that many streams take turns with byte by byte cannot be joined, and each part costs as much as 16 chunks of HTTP/1.
 * Beyond some of them in a read, the connection rests until the worker has had time for that.
 */
const PARTS_AT_ONCE = 512;
const PIECES_A_PART = 16;
/** Bytes of a read that pay for a part of it. */
const BYTES_A_PART = 64;
/** Requests that are read in one go, where each may be answered at once. */
const REQUESTS_AT_ONCE = 64;
const NEVER = Number.POSITIVE_INFINITY;

export class Http2Session
  extends HttpSession
  implements WireOwner, Http2Client, StreamsOwner, ListenerSession, OutputSink, Deadline, Waiter
{
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  readonly codec: ServerConnection<Http2Request>;
  readonly #wire: Wire;
  readonly #context: ExchangeContext;
  readonly #streams: Http2Streams;
  #requests = 0;
  /** When the last request was over. */
  #idleSinceMs = 0;
  /** When it has been idle, or has drained, for long enough. */
  #quietDueAtMs = NEVER;
  /** Since when a header block, or whatever comes before the first one, is incomplete; -1 when it is not. */
  #incompleteSinceMs = -1;
  readonly #startedAtMs: number;
  /** Parts that have been counted, pieces that are not paid for, and when that is looked at again. */
  #partsCounted = 0;
  #piecesOwed = 0;
  #restDueAtMs = NEVER;
  /** We take no new requests. */
  #draining = false;
  /** The client begins no new requests. */
  #clientLeaves = false;
  #paused = false;
  /** Requests of the bytes that are being read, and those of these bytes that wait for their turn. */
  #atOnce = 0;
  #held: Buffer | null = null;
  #clientEnded = false;
  #ended = false;
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
    const { http2, underscores } = listener.config;
    this.#context = context;
    this.#streams = new Http2Streams(this, this, context);
    const options = {
      head: listener.headLimits,
      underscores,
      maxStreams: http2.streams,
      streamWindow: http2.streamWindow,
      connectionWindow: http2.connectionWindow,
      extendedConnect: true,
    };
    this.codec = new ServerConnection<Http2Request>(this.#streams, this, options, context.http2);
    this.#wire = makeWire(this);
    client.wire = this.#wire;
    this.codec.start();
    this.#startedAtMs = context.now();
    this.#incompleteSinceMs = this.#startedAtMs;
    this.onLastRequestClosed();
  }

  /** What waits for a window is no more than one read for each stream; what waits for the socket is all of theirs. */
  get queuedBytes(): number {
    return this.#wire.pendingBytes;
  }

  get congested(): boolean {
    return this.#wire.congested;
  }

  // The wire ---------------------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, length: number): void {
    if (this.#held === null) this.#read(buffer, length);
    // What TLS has decrypted comes also when nothing is read.
    else this.#held = Buffer.concat([this.#held, buffer.subarray(0, length)]);
  }

  #read(buffer: Buffer, length: number): void {
    if (this.#ended) return;
    this.#atOnce = 0;
    this.codec.congested = this.#wire.congested;
    const position = this.codec.receive(buffer, 0, length, this.#context.now());
    if (position < length) this.#hold(buffer, position, length);
    const sinceMs = this.codec.established ? this.codec.incompleteSinceMs : this.#startedAtMs;
    if (sinceMs !== this.#incompleteSinceMs) {
      this.#incompleteSinceMs = sinceMs;
      this.#schedule();
    }
    if (this.#draining) this.#closeIfDone();
    this.#payForParts(position);
    if (this.#wire.congested && this.#wire.pendingBytes > UNREAD_BYTES) {
      this.#paused = true;
      this.#wire.pause();
    }
  }

  /** So many requests came at once that others have their turn first. */
  #hold(buffer: Buffer, start: number, end: number): void {
    this.#held = Buffer.from(buffer.subarray(start, end));
    this.#wire.pause();
    this.#context.share.wait(this);
  }

  onTurn(): void {
    const held = this.#held;
    // A client that does not read has no turn until it does.
    if (held === null || this.#ended || this.#paused) return;
    this.#held = null;
    this.#within(() => {
      this.#read(held, held.length);
      if (this.#held !== null) return;
      if (this.#clientEnded) this.#onLastBytes();
      this.#readOn();
    });
  }

  #readOn(): void {
    if (!this.#paused && this.#piecesOwed === 0 && this.#held === null) this.#wire.resume();
  }

  #payForParts(length: number): void {
    const parts = this.codec.handedOn - this.#partsCounted - Math.floor(length / BYTES_A_PART);
    this.#partsCounted = this.codec.handedOn;
    if (parts <= PARTS_AT_ONCE || this.#ended) return;
    this.#piecesOwed += parts * PIECES_A_PART;
    this.#rest(this.#context.now());
  }

  /** Reads on when everything is paid for, else rests for a tick. */
  #rest(nowMs: number): void {
    this.#piecesOwed = this.#context.pieces.pay(this.#piecesOwed, nowMs);
    const rests = this.#piecesOwed > 0;
    this.#restDueAtMs = rests ? nowMs : NEVER;
    this.#schedule();
    if (rests) this.#wire.pause();
    else this.#readOn();
  }

  /** A client that ends its side may still wait for what is on its way. */
  onEnd(): void {
    this.#clientEnded = true;
    if (this.#held === null) this.#onLastBytes();
  }

  /** What was not sent whole never will be; who has sent it whole and has left is not waited for either. */
  #onLastBytes(): void {
    this.#streams.onClientEnd();
    this.onGoaway();
    if (!this.#ended) this.#wire.askWhetherPeerIsThere();
  }

  onDrain(): void {
    this.codec.congested = false;
    if (this.#paused) {
      this.#paused = false;
      if (this.#held === null) this.#readOn();
      else this.#context.share.wait(this);
    }
    this.#streams.onDrain();
  }

  onClose(): void {
    this.codec.close();
    this.#streams.abandon();
    this.#end();
    this.#count();
    this.listener.onSessionEnd(this, this.load);
  }

  take(): Buffer {
    return this.#context.buffers.take();
  }

  send(buffer: Buffer, used: number): void {
    this.#wire.block(buffer, used);
  }

  pending(): void {
    if (!this.#context.turn.dirty(this)) queueMicrotask(() => this.flush());
  }

  /** The pass is over: frames of all streams leave together. */
  flush(): void {
    this.codec.flush();
  }

  // Requests ---------------------------------------------------------------------------------------------------------

  onRequest(): void {
    this.#requests += 1;
    this.#atOnce += 1;
    if (this.#atOnce === REQUESTS_AT_ONCE) this.codec.rest();
    if (this.#draining) return;
    this.#setQuietDue(NEVER);
    if (this.listener.draining || this.#requests >= this.listener.config.limits.requestsPerConnection)
      this.#leave();
  }

  onRequestDone(): void {
    this.#count();
  }

  onRequestClosed(request: Http2Request, stream: RequestStream): void {
    this.#streams.release(request, stream);
  }

  onLastRequestClosed(): void {
    if (this.#ended || this.#draining || this.#clientLeaves) return this.#closeIfDone();
    this.#idleSinceMs = this.#context.now();
    this.#setQuietDue(this.#idleSinceMs + Math.min(KEPT_READY_MS, this.listener.config.timeouts.idleMs));
  }

  /** Idle for a moment: what further requests would take is let go of, but for those of a page. */
  #keepLittle(): void {
    this.#streams.keepLittle();
    this.codec.keepLittle();
    this.#setQuietDue(this.#idleSinceMs + this.listener.config.timeouts.idleMs);
  }

  /** The client broke the protocol or floods us: counted, logged, and ended with what its GOAWAY says. */
  onFailure(failure: ConnectionFailure): void {
    const { config, meters } = this.listener;
    meters.http2Failed(failure);
    this.#context.recorder.connection({
      ...NOTHING,
      startedAtMs: this.#context.wallClock(),
      listener: config.name,
      protocol: 'HTTP/2',
      client: this.client.address,
      totalMs: 0,
      flag: flagOf('bad-request'),
      reason: failure,
    });
    this.#streams.abandon();
    this.#close();
  }

  // Ends -------------------------------------------------------------------------------------------------------------

  onGoaway(): void {
    this.#clientLeaves = true;
    this.#closeIfDone();
  }

  #setQuietDue(dueAtMs: number): void {
    this.#quietDueAtMs = dueAtMs;
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#ended)
      this.#context.deadlines.set(
        this,
        Math.min(this.#quietDueAtMs, this.#incompleteDueAtMs, this.#restDueAtMs),
      );
  }

  get #incompleteDueAtMs(): number {
    return this.#incompleteSinceMs < 0 ? NEVER : this.#incompleteSinceMs + this.timeouts.headerMs;
  }

  /** Idle for too long, a head that does not end, or the client has not answered our intention to leave. */
  onDeadline(nowMs: number): void {
    if (nowMs >= this.#restDueAtMs) return this.#rest(nowMs);
    this.#within(() => {
      if (nowMs >= this.#incompleteDueAtMs) return this.#endIncomplete();
      if (this.#draining) this.codec.finishDrain();
      else if (nowMs - this.#idleSinceMs < this.listener.config.timeouts.idleMs) this.#keepLittle();
      else {
        this.meters.ended('idle-timeout');
        this.#leave();
      }
      this.#closeIfDone();
    });
  }

  /** The first that a client has to say, or a header block, has taken too long: nothing else can be read before its end. */
  #endIncomplete(): void {
    if (this.codec.established) return this.codec.onIncomplete();
    this.meters.ended('header-timeout');
    this.codec.goaway(ErrorCode.NoError);
    this.#close();
  }

  /** The listener takes no new connections: this one takes no new requests, but for those on their way. */
  drain(deadlineMs: number): void {
    this.#streams.drain(deadlineMs);
    this.#within(() => this.#leave());
  }

  #leave(): void {
    if (this.#draining || this.#ended) return;
    this.#draining = true;
    this.codec.drain();
    this.#setQuietDue(this.#context.now() + DRAIN_ANSWER_MS);
  }

  /** When the client knows which requests are answered, and they are. */
  #closeIfDone(): void {
    if (this.#ended || this.#streams.count > 0) return;
    if (!this.#clientLeaves && !(this.#draining && this.codec.drained)) return;
    // A client that leaves is told which request was its last: what follows in the same read is not looked at.
    this.codec.finishDrain();
    this.#close();
  }

  closeIfIdle(forMs: number): boolean {
    if (this.#streams.count > 0 || this.#ended || this.#context.now() - this.#idleSinceMs < forMs)
      return false;
    this.#within(() => {
      this.codec.goaway(ErrorCode.NoError);
      this.#close();
    });
    return true;
  }

  /** Ends the connection whatever it does: the drain deadline of the process has come. */
  shutdown(code: FailureCode): void {
    this.#within(() => {
      this.#streams.shutdown(code);
      this.codec.goaway(ErrorCode.NoError);
      this.codec.flush();
      this.#end();
      this.#wire.flush();
      this.#wire.destroy();
    });
  }

  /** Sends what is queued and ends; nothing more is read. */
  #close(): void {
    this.codec.flush();
    this.#end();
    this.#wire.endAndLinger();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#context.deadlines.clear(this);
    this.#count();
  }

  #count(): void {
    const { bytesRead, bytesWritten } = this.#wire;
    this.meters.bytes(bytesRead - this.#receivedCounted, bytesWritten - this.#sentCounted);
    this.#receivedCounted = bytesRead;
    this.#sentCounted = bytesWritten;
  }

  #within(act: () => void): void {
    const { turn } = this.#context;
    turn.enter();
    try {
      act();
    } finally {
      turn.leave();
    }
  }
}
