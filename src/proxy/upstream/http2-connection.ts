// One HTTP/2 connection to a target, shared by requests: it waits to be connected, carries streams, and ages out.

import { ClientConnection } from '../../http2/client-connection.ts';
import type { OutputSink } from '../../http2/output.ts';
import type { FailureCode } from '../../model/failures.ts';
import type { ProxyProtocolOut } from '../../model/pool-config.ts';
import { writeLocal } from '../../proxy-protocol/write-header.ts';
import type { Deadline } from '../deadlines.ts';
import type { UpstreamTls } from '../tls/upstream-tls.ts';
import type { WireContext } from '../wire/wire.ts';
import { AnswerStreams, type AnswerStreamsOwner } from './answer-streams.ts';
import { boundsOf, type ConnectionBounds } from './connection-bounds.ts';
import { HEDGE_AFTER_MS } from './dial-budget.ts';
import { Http2Dial } from './http2-dial.ts';
import { Http2Dials } from './http2-dials.ts';
import { type AnswerStream, Http2Stream } from './http2-stream.ts';
import { Http2Tunnel } from './http2-tunnel.ts';
import type { Pool, PoolContext } from './pool.ts';
import { TARGET_LOST, type Target } from './target.ts';
import { UpstreamConnection, type UpstreamUser } from './upstream-connection.ts';
import type { DialUser, StreamDial, UpstreamStream } from './upstream-stream.ts';

/** What a target may have on its way to us for each request, which is what is held for a client that does not read. */
const STREAM_WINDOW = 64 * 1024 - 1;
/** For clients that do: an answer that fills it in a round trip of 10 ms runs at 200 Mbit/s. */
const LARGE = { window: 256 * 1024, streams: 16 };
const CONNECTION_WINDOW = 4 * 1024 * 1024;
const NEVER = Number.POSITIVE_INFINITY;

/** It stands when the target has said in its SETTINGS how many streams it takes. */
type Phase = 'connecting' | 'open' | 'closed';

export class Http2Connection
  implements DialUser<UpstreamConnection>, UpstreamUser, OutputSink, AnswerStreamsOwner, Deadline
{
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  readonly awaitsTarget = true;
  readonly target: Target;
  readonly codec: ClientConnection<Http2Stream>;
  readonly streams: AnswerStreams;
  readonly #pool: Pool;
  readonly #context: WireContext;
  readonly #transport: UpstreamConnection;
  /** Until it is connected. */
  readonly #waiting = new Http2Dials();
  #phase: Phase = 'connecting';
  #requests = 0;
  readonly #bounds: ConnectionBounds;
  readonly #dialledAtMs: number;
  /** Takes no new streams: too old, or the target has said so. */
  #leaving = false;
  #idle = false;

  constructor(pool: Pool, target: Target, context: PoolContext, serverName: string) {
    const jitter = context.random();
    this.#pool = pool;
    this.target = target;
    this.#context = context.wires;
    this.#bounds = boundsOf(pool.config.connections, jitter);
    this.#dialledAtMs = context.wires.now();
    const options = {
      head: context.limits,
      underscores: 'pass',
      maxStreams: 1,
      streamWindow: STREAM_WINDOW,
      large: LARGE,
      connectionWindow: CONNECTION_WINDOW,
      extendedConnect: false,
    } as const;
    this.streams = new AnswerStreams(this, context.wires.now);
    this.codec = new ClientConnection<Http2Stream>(this.streams, this, options, context.http2);
    target.shared.push(this);
    const { wires, streams } = context;
    this.#transport = new UpstreamConnection(pool, target, this, wires, streams, jitter, serverName);
  }

  get connected(): boolean {
    return this.#phase === 'open';
  }

  /** The target is there, and has still to say what it takes. */
  get reached(): boolean {
    return this.#transport.reached || this.#transport.connected;
  }

  /** It stands, carries nothing, and nobody waits for it. */
  get idle(): boolean {
    return this.#idle && this.#waiting.count === 0;
  }

  /** Whether it was made with the same TLS, and asked for the same name. */
  serves(tls: UpstreamTls | null, serverName: string): boolean {
    return this.isOf(tls) && this.#transport.serverName === serverName;
  }

  /** Whether it was made with the same TLS: certificate, authority and all. */
  isOf(tls: UpstreamTls | null): boolean {
    return this.#transport.tls === tls;
  }

  get connectMs(): number {
    return this.#transport.connectMs;
  }

  get socket(): UpstreamStream['socket'] {
    return this.#transport.wire.socket;
  }

  get congested(): boolean {
    return this.#transport.wire.congested;
  }

  /** A place for one more request, now or when it is connected; undefined when it takes no more. */
  place(dialler: DialUser<StreamDial>, nowMs: number): StreamDial | undefined {
    if (this.#phase === 'connecting') {
      if (this.#waiting.count >= this.target.streamLimit || this.#hangs(nowMs)) return undefined;
      const dial = new Http2Dial(this, dialler);
      this.#waiting.add(dial);
      return dial;
    }
    if (nowMs - this.#dialledAtMs >= this.#bounds.ageMs) this.leave();
    if (this.#phase === 'closed' || this.#leaving || !this.codec.canOpen) return undefined;
    if (this.streams.isStuck(nowMs)) return undefined;
    return new Http2Stream(this);
  }

  /** Whoever waits for it has to have company elsewhere, and so has whoever comes now. */
  #hangs(nowMs: number): boolean {
    return !this.reached && nowMs - this.#dialledAtMs >= HEDGE_AFTER_MS;
  }

  /**
   * A place on a connection past its age or its number of requests, or without a window: where no other may be made, one that its
   * long streams keep open is better than none.
   */
  placePastBounds(): Http2Stream | undefined {
    // After the target's GOAWAY, and on a target that takes nothing new, there is no such place.
    if (this.#phase !== 'open' || this.target.retired || !this.codec.canOpen) return undefined;
    return new Http2Stream(this);
  }

  /** A request that waited is given up. */
  forget(dial: Http2Dial, keep: boolean): void {
    this.#waiting.delete(dial);
    if (this.#phase === 'connecting' && this.#waiting.count === 0 && (!keep || this.#leaving)) this.#close();
  }

  begin(owner: Http2Stream, method: string): AnswerStream | null {
    const stream = this.streams.open(method, owner);
    if (stream === null) return null;
    this.#requests += 1;
    this.#setIdle(false);
    const { requests, leastAgeMs } = this.#bounds;
    if (this.#requests >= requests && this.#context.now() - this.#dialledAtMs >= leastAgeMs)
      this.#leaving = true;
    return stream;
  }

  tunnel(stream: Http2Stream): Http2Tunnel {
    return new Http2Tunnel(stream, this.#context.deadlines, this.#context.now);
  }

  /** A stream is closed, and nobody looks at it any more. */
  end(stream: AnswerStream): void {
    this.streams.release(stream);
    if (this.#phase !== 'open') return;
    if (this.streams.count === 0) {
      if (this.#leaving || this.target.retired || this.target.ejected) return this.#close();
      this.#setIdle(true);
    }
    this.#pool.load.tell();
  }

  /** No new streams; closed when those that are open have ended. */
  leave(): void {
    this.#leaving = true;
    if (this.streams.count === 0 && this.#waiting.count === 0) this.within(() => this.#close());
  }

  onDeadline(): void {
    if (this.#phase === 'connecting') this.within(() => this.#lose('connect-timeout'));
    else if (this.streams.count === 0) this.leave();
  }

  // The transport ----------------------------------------------------------------------------------------------------

  onUpstreamConnected(transport: UpstreamConnection): void {
    if (transport.tls !== null && transport.alpn !== 'h2') return this.#fallBack(transport);
    transport.handOver(this);
    this.codec.start();
    this.#context.deadlines.set(this, this.#context.now() + this.#pool.config.timeouts.connectMs);
  }

  /** The target has chosen HTTP/1.1 (RFC 7301). */
  #fallBack(transport: UpstreamConnection): void {
    this.#phase = 'closed';
    this.#unlist();
    this.codec.close();
    transport.stand();
    this.#pool.onChoseHttp1(this.target);
    this.#waiting.fallBack(transport, this.#pool);
  }

  /** It carries the requests of many clients. */
  proxyHeader({ version }: ProxyProtocolOut): Buffer {
    return writeLocal(version);
  }

  onUpstreamConnectFailed(_transport: UpstreamConnection, code: FailureCode): void {
    this.#phase = 'closed';
    this.#unlist();
    this.#waiting.fail(code);
  }

  onUpstreamBytes(buffer: Buffer, length: number): void {
    this.codec.congested = this.congested;
    this.codec.receive(buffer, 0, length, this.#context.now());
  }

  onUpstreamEnd(): void {
    this.#lose('upstream-reset');
  }

  onUpstreamDrain(): void {
    this.codec.congested = false;
    this.streams.onDrain();
  }

  onUpstreamClose(error: NodeJS.ErrnoException | null): void {
    this.#lose(error === TARGET_LOST ? 'target-lost' : 'upstream-reset');
  }

  take(): Buffer {
    return this.#context.pool.take();
  }

  send(buffer: Buffer, used: number): void {
    this.#transport.wire.block(buffer, used);
  }

  pending(): void {
    if (!this.#context.turn.dirty(this)) queueMicrotask(() => this.flush());
  }

  flush(): void {
    this.codec.flush();
  }

  // The codec --------------------------------------------------------------------------------------------------------

  onGoaway(): void {
    this.leave();
  }

  onSettings(): void {
    this.target.streamLimit = Math.max(1, this.codec.maxStreams);
    if (this.#phase === 'connecting') {
      // A target that takes nothing yet may say soon that it does: until then it has not connected.
      if (this.codec.maxStreams === 0) return;
      this.#phase = 'open';
      this.#transport.stand();
      this.#setIdle(true);
      this.#waiting.serve(this.codec);
      if (this.#leaving) this.leave();
    }
    this.#pool.load.tellAll();
  }

  onFailure(): void {
    this.#lose('upstream-protocol');
  }

  // Ends -------------------------------------------------------------------------------------------------------------

  #lose(code: FailureCode): void {
    const streams = [...this.codec.streams];
    const { incompleteHeadOn } = this.codec;
    const isNew = this.#phase === 'connecting';
    this.#close();
    if (isNew) this.#failConnect(code);
    for (const stream of streams) {
      // Part of its head has come: the target has read the request.
      const isPartial = code === 'upstream-reset' && stream.id === incompleteHeadOn;
      stream.owner?.fail(isPartial ? 'upstream-incomplete' : code, code === 'upstream-protocol');
    }
  }

  /** It has come to nothing before the target has said what it takes. */
  #failConnect(code: FailureCode): void {
    const isLate = code === 'connect-timeout';
    const failure = isLate ? code : 'connect-failed';
    // Who speaks, or hangs up, is there; who says nothing may be a pod behind a node that is well.
    if (code !== 'target-lost') this.#transport.fail(failure, isLate ? 'silent' : 'refused');
    this.#waiting.fail(failure);
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    // The transport counts itself out as one in use.
    this.#setIdle(false);
    this.#phase = 'closed';
    this.#unlist();
    this.codec.close();
    this.#transport.close();
  }

  #unlist(): void {
    this.#context.deadlines.clear(this);
    const index = this.target.shared.indexOf(this);
    if (index !== -1) this.target.shared.splice(index, 1);
  }

  #setIdle(idle: boolean): void {
    if (this.#idle === idle) return;
    this.#idle = idle;
    this.#pool.meters.connections(idle ? -1 : 1, idle ? 1 : -1);
    const { deadlines, now } = this.#context;
    deadlines.set(this, idle ? now() + this.#pool.config.connections.idleMs : NEVER);
  }

  within(act: () => void): void {
    const { turn } = this.#context;
    turn.enter();
    try {
      act();
    } finally {
      turn.leave();
    }
  }
}
