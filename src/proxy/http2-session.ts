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
import { Http2Reading, type ReadingOwner } from './http2-reading.ts';
import type { Http2Request, RequestStream } from './http2-request.ts';
import { Http2Streams, type StreamsOwner } from './http2-streams.ts';
import type { Listener } from './listener.ts';
import { NOTHING } from './recorder.ts';
import type { ListenerSession } from './sessions.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { Wire, WireOwner } from './wire/wire.ts';

/** A client gets this long to answer our intention to leave before we say what the last stream was, in milliseconds. */
const DRAIN_ANSWER_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

export class Http2Session
  extends HttpSession
  implements WireOwner, Http2Client, StreamsOwner, ReadingOwner, ListenerSession, OutputSink, Deadline
{
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  readonly codec: ServerConnection<Http2Request>;
  readonly #wire: Wire;
  readonly #context: ExchangeContext;
  readonly #streams: Http2Streams;
  readonly #reading: Http2Reading;
  #requests = 0;
  /** When the last request was over. */
  #idleSinceMs = 0;
  /** When it has been idle, or has drained, for long enough. */
  #quietDueAtMs = NEVER;
  /** Since when a header block, or whatever comes before the first one, is incomplete; -1 when it is not. */
  #incompleteSinceMs = -1;
  readonly #startedAtMs: number;
  /** We take no new requests. */
  #draining = false;
  /** The client begins no new requests. */
  #clientLeaves = false;
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
    this.#reading = new Http2Reading(this, this.codec, this.#wire, context);
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

  get ended(): boolean {
    return this.#ended;
  }

  // The wire ---------------------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, length: number): void {
    this.#reading.onBytes(buffer, length);
  }

  onRead(): void {
    const sinceMs = this.codec.established ? this.codec.incompleteSinceMs : this.#startedAtMs;
    if (sinceMs !== this.#incompleteSinceMs) {
      this.#incompleteSinceMs = sinceMs;
      this.#schedule();
    }
    if (this.#draining) this.#closeIfDone();
  }

  /** A client that ends its side may still wait for what is on its way. */
  onEnd(): void {
    this.#reading.onEnd();
  }

  /** What was not sent whole never will be; who has sent it whole and has left is not waited for either. */
  onLastBytes(): void {
    this.#streams.onClientEnd();
    this.onGoaway();
    if (!this.#ended) this.#wire.askWhetherPeerIsThere();
  }

  onDrain(): void {
    this.#reading.onDrain();
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
    this.#reading.onRequest();
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
      this.#context.deadlines.set(this, Math.min(this.#quietDueAtMs, this.#incompleteDueAtMs));
  }

  get #incompleteDueAtMs(): number {
    return this.#incompleteSinceMs < 0 ? NEVER : this.#incompleteSinceMs + this.timeouts.headerMs;
  }

  /** Idle for too long, a head that does not end, or the client has not answered our intention to leave. */
  onDeadline(nowMs: number): void {
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
    this.#reading.end();
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
