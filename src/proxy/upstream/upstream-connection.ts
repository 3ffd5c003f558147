// One connection to one target: connecting, in use by one request or tunnel, or idle until it is reused or ages out.

import type { TLSSocket } from 'node:tls';
import type { FailureCode } from '../../model/failures.ts';
import type { Deadline } from '../deadlines.ts';
import type { Placed } from '../roster.ts';
import type { UpstreamTls } from '../tls/upstream-tls.ts';
import { connectingWire, secureWireTo } from '../wire/open-wire.ts';
import type { Wire, WireContext, WireOwner } from '../wire/wire.ts';
import { connectFailureOf, outcomeOf } from './connect-failure.ts';
import { boundsOf, type ConnectionBounds } from './connection-bounds.ts';
import type { Http1Streams } from './http1-streams.ts';
import type { OwnConnection } from './own-connection.ts';
import type { Pool } from './pool.ts';
import { TARGET_LOST, type Target } from './target.ts';
import type { DialUser, StreamDial, StreamUser, UpstreamStream } from './upstream-stream.ts';

/** Who uses the bytes of a connection, or of the stream that stands for one, at the moment. */
export interface UpstreamUser {
  onUpstreamBytes(buffer: Buffer, length: number): void;
  onUpstreamEnd(): void;
  onUpstreamDrain(): void;
  /** The connection is gone while in use. */
  onUpstreamClose(error: NodeJS.ErrnoException | null): void;
}

/** A path that died without a word is found out after this and ten seconds more, even while a tunnel is silent. */
const KEEP_ALIVE_MS = 30_000;
/** A connection for one message is over before: telling the kernel takes four system calls. */
const YOUNG_MS = 5000;
/** While something speaks against the target: asked after a second of silence, then every second. */
const DOUBT_MS = 1000;
/** Questions without an answer after which the kernel gives the connection up. */
const QUESTIONS = 10;
const QUESTIONS_IN_DOUBT = 4;

const HTTP_1: readonly string[] = ['http/1.1'];

type Phase = 'connecting' | 'busy' | 'idle' | 'closed';

export class UpstreamConnection implements StreamDial, WireOwner, Deadline, Placed {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  /** Among the connections of its target. */
  place = -1;
  readonly pool: Pool;
  readonly target: Target;
  readonly wire: Wire;
  /** What it was made with; another one than the pool's now, and it is not used again. */
  readonly tls: UpstreamTls | null;
  /** The name that the target was asked for; '' without TLS or without a name. */
  readonly serverName: string;
  readonly speaks = 'http1';
  /** Whose it is, once a client has proven itself on it; null is anybody's. */
  owner: OwnConnection | null = null;
  reused = false;
  reached = false;
  connectMs = 0;
  #phase: Phase = 'connecting';
  /** Until it is connected. */
  #dialler: DialUser<UpstreamConnection> | null;
  #user: UpstreamUser | null = null;
  #requests = 0;
  /** When its last answer was complete; 0 while it has given none. */
  idleSinceMs = 0;
  /** The kernel has been told when to ask whether the target is there. */
  #asked = false;
  readonly #openedAtMs: number;
  readonly #bounds: ConnectionBounds;
  readonly #context: WireContext;
  readonly #streams: Http1Streams;

  constructor(
    pool: Pool,
    target: Target,
    dialler: DialUser<UpstreamConnection>,
    context: WireContext,
    streams: Http1Streams,
    jitter: number,
    serverName: string,
  ) {
    this.pool = pool;
    this.target = target;
    this.#dialler = dialler;
    this.#context = context;
    this.#streams = streams;
    this.#openedAtMs = context.now();
    const { timeouts } = pool.config;
    this.#bounds = boundsOf(pool.config.connections, jitter);
    this.tls = pool.tls;
    this.serverName = serverName;
    this.wire = pool.tls === null ? this.#dialPlain() : this.#dialSecure(pool.tls);
    this.wire.socket.setNoDelay(true);
    if (target.doubted) this.keepAlive(true);
    target.connections.add(this);
    pool.load.open += 1;
    context.deadlines.set(this, this.#openedAtMs + timeouts.connectMs);
  }

  #dialPlain(): Wire {
    const { address, port } = this.target;
    return connectingWire(address, port, this, this.#context);
  }

  #dialSecure(upstreamTls: UpstreamTls): Wire {
    const { address, port } = this.target;
    const alpn = this.target.speaksHttp1(this.#openedAtMs) ? HTTP_1 : upstreamTls.alpn;
    const options = upstreamTls.options(this.target, this.serverName, alpn);
    const rules = this.pool.config.proxyProtocol;
    // As HAProxy does with `send-proxy-v2 ssl`: the header is for whoever ends TLS, too.
    const first = rules === null ? null : () => this.#dialler!.proxyHeader(rules);
    const wire = secureWireTo({ host: address, port }, options, first, this, this.#context);
    const socket = wire.socket as TLSSocket;
    upstreamTls.keepSessionsOf(socket, this.target, this.serverName);
    socket.once('connect', () => {
      this.reached = true;
    });
    socket.once('secureConnect', () => this.onConnect());
    return wire;
  }

  /** The protocol that the target has agreed to by ALPN; '' without TLS, or when it agreed to none. */
  get alpn(): string {
    const { alpnProtocol } = this.wire.socket as Partial<TLSSocket>;
    return typeof alpnProtocol === 'string' ? alpnProtocol : '';
  }

  /** Takes a connected connection into use for one request. */
  open(user: StreamUser): UpstreamStream {
    user.own?.hold(this);
    const stream = this.#streams.lend(this);
    stream.begin(user);
    this.#user = stream;
    return stream;
  }

  get connected(): boolean {
    return this.#phase === 'busy' || this.#phase === 'idle';
  }

  /** A dial that nobody waits for any more: an idle connection, once it is connected. */
  get spare(): boolean {
    return this.#phase === 'connecting' && this.#dialler === null;
  }

  /** Once connected it goes to the idle ones. */
  keepWhenConnected(): void {
    // It would be for one client, and no other may have it.
    if (this.pool.config.proxyProtocol !== null) return this.close();
    this.#dialler = null;
  }

  /** Gives its bytes to a tunnel, from the start or from a request that became one. */
  handOver(user: UpstreamUser): void {
    this.#user = user;
  }

  /** An idle connection is used again; it has been taken out of its target's idle ones. */
  use(): void {
    this.#phase = 'busy';
    this.reused = true;
    this.pool.load.endIdle();
    this.pool.meters.connections(1, -1);
    this.#context.deadlines.set(this, Number.POSITIVE_INFINITY);
  }

  /** The same for one that has not been taken out. */
  useOwn(): void {
    this.#unlist();
    this.use();
  }

  /** False when the connection is too old or was closed: it is dropped and another must be taken. */
  isUsable(nowMs: number): boolean {
    return this.#phase === 'idle' && !this.wire.closed && nowMs - this.#openedAtMs < this.#bounds.ageMs;
  }

  /** Gives the connection back after a complete exchange; it is kept if its bounds allow. */
  release(): void {
    this.#user = null;
    this.#requests += 1;
    const { target } = this;
    const { connections } = this.pool.config;
    const nowMs = this.#context.now();
    const ageMs = nowMs - this.#openedAtMs;
    if (
      // It has been told which client it is for.
      this.pool.config.proxyProtocol !== null ||
      this.owner?.keeps === false ||
      target.retired ||
      target.ejected ||
      this.wire.closed ||
      this.wire.broken ||
      (this.#requests >= this.#bounds.requests && ageMs >= this.#bounds.leastAgeMs) ||
      ageMs >= this.#bounds.ageMs ||
      this.#waiting.length >= connections.idlePerTarget
    ) {
      this.close();
      return;
    }
    if (!this.#asked) this.keepAlive(target.doubted);
    this.#phase = 'idle';
    this.idleSinceMs = nowMs;
    this.pool.meters.connections(-1, 1);
    this.wire.resume();
    this.#context.deadlines.set(this, nowMs + this.pool.load.beginIdle(connections.idleMs));
    this.#waiting.push(this);
    this.pool.load.tell();
  }

  closeIdle(): void {
    if (this.#phase === 'idle') this.#dropIdle();
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
    this.#asked = true;
    // Answered by the other kernel: a silent `git clone` on a node that drains is not disturbed.
    if (doubted) socket.setKeepAlive(true, DOUBT_MS, DOUBT_MS, QUESTIONS_IN_DOUBT);
    else socket.setKeepAlive(true, KEEP_ALIVE_MS, DOUBT_MS, QUESTIONS);
  }

  /** Cuts the connection with a reset, and tells its user. */
  lose(): void {
    if (this.#phase === 'connecting') return this.#failConnect('connect-failed');
    if (this.#phase === 'closed') return;
    if (this.#phase === 'idle') this.#unlist();
    const user = this.#user;
    this.#user = null;
    this.#closed();
    this.wire.reset();
    const { turn } = this.#context;
    turn.enter();
    try {
      user?.onUpstreamClose(TARGET_LOST);
    } finally {
      turn.leave();
    }
  }

  onDeadline(): void {
    if (this.#phase === 'connecting') this.#failConnect('connect-timeout');
    else if (this.#phase === 'idle') this.#dropIdle();
    else if (!this.#asked) this.keepAlive(this.target.doubted);
  }

  onBytes(buffer: Buffer, length: number): void {
    // Bytes that nobody asked for: the next answer could not be told from them.
    if (this.#user === null) this.#dropIdle();
    else this.#user.onUpstreamBytes(buffer, length);
  }

  onEnd(): void {
    // Only TLS has something to read before it is connected.
    if (this.#phase === 'connecting')
      return this.#failConnect('tls-handshake-failed', 'closed in the handshake');
    if (this.#user === null) this.#dropIdle();
    else this.#user.onUpstreamEnd();
  }

  onDrain(): void {
    this.#user?.onUpstreamDrain();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    const phase = this.#phase;
    if (phase === 'closed') return;
    if (phase === 'connecting') {
      const isExcused = error !== null && this.tls?.blamesClient(error) === true;
      return this.#failConnect(connectFailureOf(error, this.reached), error?.message ?? '', isExcused);
    }
    if (phase === 'idle') this.#unlist();
    this.#closed();
    const user = this.#user;
    this.#user = null;
    user?.onUpstreamClose(error);
  }

  onConnect(): void {
    if (this.#phase !== 'connecting') return;
    const { turn, deadlines, now } = this.#context;
    this.#phase = 'busy';
    this.pool.meters.connections(1, 0);
    const nowMs = now();
    this.connectMs = nowMs - this.#openedAtMs;
    deadlines.set(this, this.#asked ? Number.POSITIVE_INFINITY : nowMs + YOUNG_MS);
    const dialler = this.#dialler;
    this.#dialler = null;
    if (dialler?.awaitsTarget !== true) this.stand();
    if (dialler === null) {
      this.release();
      return;
    }
    turn.enter();
    try {
      this.#sayClient(dialler);
      dialler.onUpstreamConnected(this);
    } finally {
      turn.leave();
    }
  }

  /** The target takes requests on it. */
  stand(): void {
    const first = !this.target.proven;
    this.target.onConnected(this.#context.now());
    this.pool.onConnected(this.target, this.connectMs, first);
  }

  /** The target has accepted it, and does not take requests on it. */
  fail(code: FailureCode, outcome: 'refused' | 'silent'): void {
    this.target.onConnectFailed(this.#context.now(), outcome);
    this.pool.onConnectFailed(code, this.target, '');
  }

  /** Before everything else; where there is TLS, it was said before that. */
  #sayClient(dialler: DialUser<UpstreamConnection>): void {
    const rules = this.pool.config.proxyProtocol;
    if (rules === null || this.tls !== null) return;
    const header = dialler.proxyHeader(rules);
    this.wire.bytes(header, 0, header.length);
  }

  /** @param isExcused the target is not to blame */
  #failConnect(code: FailureCode, detail = '', isExcused = false): void {
    const dialler = this.#dialler;
    this.#dialler = null;
    this.#closed();
    this.wire.destroy();
    // What this process lacks is not held against the target.
    if (code !== 'local-limit' && !isExcused)
      this.target.onConnectFailed(this.#context.now(), outcomeOf(code));
    this.pool.onConnectFailed(code, this.target, detail);
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
    const index = this.#waiting.indexOf(this);
    if (index !== -1) this.#waiting.splice(index, 1);
  }

  /** Where it is kept while nobody uses it. */
  get #waiting(): UpstreamConnection[] {
    return this.owner === null ? this.target.idle : this.target.owned;
  }

  #closed(): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'busy') this.pool.meters.connections(-1, 0);
    else if (this.#phase === 'idle') {
      this.pool.load.endIdle();
      this.pool.meters.connections(0, -1);
    }
    this.#phase = 'closed';
    this.target.connections.delete(this);
    this.#context.deadlines.clear(this);
    this.pool.load.open -= 1;
    this.pool.load.tell();
  }
}
