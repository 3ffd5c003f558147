// One connection to one target: connecting, in use by one request or tunnel, or idle until it is reused or ages out.

import type { HeadLimits } from '../../http1/limits.ts';
import type { FailureCode } from '../../model/failures.ts';
import type { Deadline } from '../deadlines.ts';
import { Wire, type WireContext, type WireOwner } from '../wire/wire.ts';
import { Http1Stream } from './http1-stream.ts';
import type { Pool } from './pool.ts';
import { TARGET_LOST, type Target } from './target.ts';
import type { DialUser, StreamDial, StreamUser, UpstreamStream } from './upstream-stream.ts';

/** Who uses the connection's bytes at the moment. */
export interface UpstreamUser {
  onUpstreamBytes(connection: UpstreamConnection, buffer: Buffer, length: number): void;
  onUpstreamEnd(connection: UpstreamConnection): void;
  onUpstreamDrain(connection: UpstreamConnection): void;
  /** The connection is gone while in use. */
  onUpstreamClose(connection: UpstreamConnection, error: NodeJS.ErrnoException | null): void;
}

/** A path that died without a word is found out after this and ten seconds more, even while a tunnel is silent. */
const KEEP_ALIVE_MS = 30_000;
/** While something speaks against the target: asked after a second of silence, then every second. */
const DOUBT_MS = 1000;
/** Questions without an answer after which the kernel gives the connection up. */
const QUESTIONS = 10;
const QUESTIONS_IN_DOUBT = 4;

type Phase = 'connecting' | 'busy' | 'idle' | 'closed';

export class UpstreamConnection implements StreamDial, WireOwner, Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  readonly pool: Pool;
  readonly target: Target;
  readonly wire: Wire;
  /** Made on first use: a tcp tunnel never needs it. */
  #stream: Http1Stream | null = null;
  reused = false;
  connectMs = 0;
  #phase: Phase = 'connecting';
  /** Until it is connected. */
  #dialler: DialUser<UpstreamConnection> | null;
  #user: UpstreamUser | null = null;
  #requests = 0;
  /** When its last answer was complete; 0 while it has given none. */
  idleSinceMs = 0;
  readonly #openedAtMs: number;
  readonly #requestLimit: number;
  readonly #ageLimitMs: number;
  readonly #context: WireContext;
  readonly #limits: HeadLimits;

  constructor(
    pool: Pool,
    target: Target,
    dialler: DialUser<UpstreamConnection>,
    context: WireContext,
    limits: HeadLimits,
    jitter: number,
  ) {
    this.pool = pool;
    this.target = target;
    this.#dialler = dialler;
    this.#context = context;
    this.#limits = limits;
    this.#openedAtMs = context.now();
    const { connections, timeouts } = pool.config;
    // Jitter keeps connections that were opened together from being closed together.
    const spread = 0.9 + 0.2 * jitter;
    this.#requestLimit = connections.requests === 0 ? Infinity : Math.max(1, connections.requests * spread);
    this.#ageLimitMs = connections.ageMs === 0 ? Infinity : connections.ageMs * spread;
    this.wire = Wire.connecting(target.address, target.port, this, context);
    this.wire.socket.setNoDelay(true);
    this.keepAlive(target.doubted);
    target.connections.add(this);
    context.deadlines.set(this, this.#openedAtMs + timeouts.connectMs);
  }

  /** Takes a connected connection into use for one request. */
  open(user: StreamUser): UpstreamStream {
    this.#stream ??= new Http1Stream(this, this.#limits);
    this.#stream.begin(user);
    this.#user = this.#stream;
    return this.#stream;
  }

  get connected(): boolean {
    return this.#phase === 'busy' || this.#phase === 'idle';
  }

  /** Once connected it goes to the idle ones. */
  keepWhenConnected(): void {
    this.#dialler = null;
    this.target.spare.add(this);
  }

  /** Gives its bytes to a tunnel, from the start or from a request that became one. */
  handOver(user: UpstreamUser): void {
    this.#user = user;
  }

  /** Takes an idle connection out of the idle ones. */
  use(): void {
    this.#phase = 'busy';
    this.reused = true;
    this.pool.meters.connections(1, -1);
    this.#context.deadlines.set(this, Number.POSITIVE_INFINITY);
  }

  /** False when the connection is too old or was closed: it is dropped and another must be taken. */
  isUsable(nowMs: number): boolean {
    return this.#phase === 'idle' && !this.wire.closed && nowMs - this.#openedAtMs < this.#ageLimitMs;
  }

  /** Gives the connection back after a complete exchange; it is kept if its bounds allow. */
  release(): void {
    this.#user = null;
    this.#requests += 1;
    const { target } = this;
    const { connections } = this.pool.config;
    const nowMs = this.#context.now();
    if (
      // It has been told which client it is for.
      this.pool.config.proxyProtocol !== null ||
      target.retired ||
      target.ejected ||
      this.wire.closed ||
      this.#requests >= this.#requestLimit ||
      nowMs - this.#openedAtMs >= this.#ageLimitMs ||
      target.idle.length >= connections.idlePerTarget
    ) {
      this.close();
      return;
    }
    this.#phase = 'idle';
    this.idleSinceMs = nowMs;
    this.pool.meters.connections(-1, 1);
    this.wire.resume();
    this.#context.deadlines.set(this, nowMs + connections.idleMs);
    target.idle.push(this);
  }

  /** Ends the connection without telling its user. */
  close(): void {
    this.#dialler = null;
    this.#user = null;
    this.#closed();
    this.wire.destroy();
  }

  /** How soon the kernel finds out that nobody is there any more, while nothing is on its way. */
  keepAlive(doubted: boolean): void {
    const { socket } = this.wire;
    // Answered by the other kernel: a silent `git clone` on a node that drains is not disturbed.
    if (doubted) socket.setKeepAlive(true, DOUBT_MS, DOUBT_MS, QUESTIONS_IN_DOUBT);
    else socket.setKeepAlive(true, KEEP_ALIVE_MS, DOUBT_MS, QUESTIONS);
  }

  /** Cuts the connection with a reset, and tells its user. */
  lose(): void {
    if (this.#phase === 'connecting') return this.#failConnect('connect-failed');
    if (this.#phase === 'idle') return this.#dropIdle();
    if (this.#phase === 'closed') return;
    const user = this.#user;
    this.#user = null;
    this.#closed();
    this.wire.reset();
    const { turn } = this.#context;
    turn.enter();
    try {
      user?.onUpstreamClose(this, TARGET_LOST);
    } finally {
      turn.leave();
    }
  }

  onDeadline(): void {
    if (this.#phase === 'connecting') this.#failConnect('connect-timeout');
    else if (this.#phase === 'idle') this.#dropIdle();
  }

  onBytes(buffer: Buffer, length: number): void {
    // Bytes that nobody asked for: the next answer could not be told from them.
    if (this.#user === null) this.#dropIdle();
    else this.#user.onUpstreamBytes(this, buffer, length);
  }

  onEnd(): void {
    if (this.#user === null) this.#dropIdle();
    else this.#user.onUpstreamEnd(this);
  }

  onDrain(): void {
    this.#user?.onUpstreamDrain(this);
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    const phase = this.#phase;
    if (phase === 'closed') return;
    if (phase === 'connecting') {
      this.#failConnect(error === null ? 'connect-failed' : connectFailure(error));
      return;
    }
    if (phase === 'idle') this.#unlist();
    this.#closed();
    const user = this.#user;
    this.#user = null;
    user?.onUpstreamClose(this, error);
  }

  onConnect(): void {
    if (this.#phase !== 'connecting') return;
    const { turn, deadlines, now } = this.#context;
    this.#phase = 'busy';
    this.pool.meters.connections(1, 0);
    const nowMs = now();
    this.connectMs = nowMs - this.#openedAtMs;
    deadlines.set(this, Number.POSITIVE_INFINITY);
    const first = !this.target.proven;
    this.target.onConnected(nowMs);
    this.pool.onConnected(this.target, this.connectMs, first);
    const dialler = this.#dialler;
    this.#dialler = null;
    if (dialler === null) {
      this.target.spare.delete(this);
      this.release();
      return;
    }
    turn.enter();
    try {
      dialler.onUpstreamConnected(this);
    } finally {
      turn.leave();
    }
  }

  #failConnect(code: FailureCode): void {
    const dialler = this.#dialler;
    this.#dialler = null;
    this.#closed();
    this.wire.destroy();
    this.target.onConnectFailed(this.#context.now(), code === 'connect-refused' ? 'refused' : 'silent');
    this.pool.onConnectFailed(code);
    const { turn } = this.#context;
    turn.enter();
    try {
      dialler?.onUpstreamConnectFailed(this, code);
    } finally {
      turn.leave();
    }
  }

  #dropIdle(): void {
    this.#unlist();
    this.close();
  }

  #unlist(): void {
    const index = this.target.idle.indexOf(this);
    if (index !== -1) this.target.idle.splice(index, 1);
  }

  #closed(): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'busy') this.pool.meters.connections(-1, 0);
    else if (this.#phase === 'idle') this.pool.meters.connections(0, -1);
    this.#phase = 'closed';
    this.target.spare.delete(this);
    this.target.connections.delete(this);
    this.#context.deadlines.clear(this);
  }
}

function connectFailure(error: NodeJS.ErrnoException): FailureCode {
  if (error.code === 'ECONNREFUSED') return 'connect-refused';
  if (error.code === 'ETIMEDOUT') return 'connect-timeout';
  return 'connect-failed';
}
