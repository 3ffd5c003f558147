// One downstream connection of a tcp listener: picks a target, fails over along the row, then becomes a tunnel.

import { FAILURES, type Failure, type FailureCode } from '../model/failures.ts';
import type { ProxyProtocolOut } from '../model/pool-config.ts';
import { flagOf } from '../telemetry/flags.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { ExchangeContext } from './exchange-context.ts';
import type { Listener } from './listener.ts';
import { NOTHING } from './recorder.ts';
import type { ListenerSession } from './sessions.ts';
import { Tunnel, type TunnelResult } from './tunnel.ts';
import { Attempts, type Connect } from './upstream/attempts.ts';
import type { FlowFacts } from './upstream/hash-key.ts';
import type { Pool } from './upstream/pool.ts';
import { proxyHeaderFor } from './upstream/proxy-header.ts';
import type { Starter } from './upstream/start-queue.ts';
import type { Target } from './upstream/target.ts';
import type { UpstreamConnection } from './upstream/upstream-connection.ts';
import type { AttemptsUser } from './upstream/upstream-stream.ts';
import type { Wire, WireOwner } from './wire/wire.ts';

/** Targets tried before the client is given up on; every try costs at most the pool's connect timeout. */
const ATTEMPTS = 5;
/** What a client may say before its target is there; more waits in the kernel. */
const EARLY_BYTES = 64 * 1024;

export class TcpSession implements WireOwner, ListenerSession, AttemptsUser<UpstreamConnection>, Starter {
  place = -1;
  readonly #listener: Listener;
  readonly #context: ExchangeContext;
  readonly #client: string;
  readonly #load: ClientLoad;
  readonly #wire: Wire;
  readonly #startedAtMs: number;
  readonly #attempts: Attempts<UpstreamConnection>;
  #pool: Pool | null = null;
  #target: Target | null = null;
  #connection: UpstreamConnection | null = null;
  #tunnel: Tunnel | null = null;
  /** Bytes that the client sent before its target was there. */
  #early: Buffer | null = null;
  #clientEnded = false;
  #connectMs: number | null = null;
  #ended = false;

  constructor(
    listener: Listener,
    makeWire: (owner: WireOwner) => Wire,
    client: string,
    load: ClientLoad,
    pool: string,
    context: ExchangeContext,
  ) {
    this.#listener = listener;
    this.#context = context;
    this.#attempts = new Attempts(context, connectBytes);
    this.#client = client;
    this.#load = load;
    this.#startedAtMs = context.now();
    this.#wire = makeWire(this);
    this.#start(pool);
  }

  #start(name: string): void {
    const { pools, poolPlaces } = this.#context.runtime();
    const pool = pools[poolPlaces.get(name) ?? -1];
    if (pool === undefined) return this.#fail('no-target');
    this.#pool = pool;
    pool.onRequest(this.#startedAtMs);
    if (pool.starts?.isEmpty === false) return pool.starts.add(this);
    this.#attempts.reset(this, pool, pool.hashOf(flowOf(this.#client)), 'none');
    this.#attempt(null);
  }

  /** Targets may take another start by now: as if the connection had come just now. */
  tryStart(): boolean {
    const pool = this.#pool!;
    this.#attempts.reset(this, pool, pool.hashOf(flowOf(this.#client)), 'none');
    const connection = this.#attempts.dial(this.#context.now());
    if (connection === undefined) return false;
    this.#target = connection.target;
    return true;
  }

  giveUp(): void {
    this.#fail(this.#attempts.lastFailure);
  }

  /** @param retryOf why, unless it is the first */
  #attempt(retryOf: FailureCode | null): void {
    const { now } = this.#context;
    const connection = this.#attempts.rounds < ATTEMPTS ? this.#attempts.dial(now()) : undefined;
    if (connection === undefined && !this.#attempts.wait(now()))
      return this.#waitOrFail(this.#attempts.lastFailure);
    if (retryOf !== null) this.#pool!.meters.retried(retryOf);
    if (connection !== undefined) this.#target = connection.target;
  }

  #waitOrFail(code: FailureCode): void {
    const starts = this.#pool?.starts ?? null;
    if (code === 'connection-limit' && starts !== null) starts.add(this);
    else this.#fail(code);
  }

  onUpstreamConnected(connection: UpstreamConnection): void {
    this.#target = connection.target;
    this.#connection = connection;
    this.#connectMs = connection.connectMs;
    const { deadlines, now } = this.#context;
    const { idleMs } = this.#listener.config.timeouts;
    const limits = { idleMs, lifetimeMs: Number.POSITIVE_INFINITY, webSocket: false };
    this.#tunnel = new Tunnel(this.#wire, this, connection, limits, deadlines, now, (result) =>
      this.#done(result),
    );
    const early = this.#early;
    this.#early = null;
    if (early !== null) this.#tunnel.onBytes(early, early.length);
    if (this.#clientEnded) this.#tunnel.onEnd();
  }

  proxyHeader(rules: ProxyProtocolOut): Buffer {
    const uniqueId = rules.facts.includes('unique-id') ? this.#context.requestIds.next() : '';
    return proxyHeaderFor(this.#wire, rules, uniqueId);
  }

  onNoRoom(code: FailureCode): void {
    this.#fail(code);
  }

  onUpstreamConnectFailed(_connection: UpstreamConnection, code: FailureCode): void {
    this.#attempts.lastFailure = code;
    this.#attempt(code);
  }

  // Before the tunnel is there, the client may speak first, end its side, or leave.

  onBytes(buffer: Buffer, length: number): void {
    const bytes = Buffer.from(buffer.subarray(0, length));
    this.#early = this.#early === null ? bytes : Buffer.concat([this.#early, bytes]);
    // A paused socket does not tell that its client has left, so a greeting alone pauses nothing.
    if (this.#early.length >= EARLY_BYTES) this.#wire.pause();
  }

  onEnd(): void {
    this.#clientEnded = true;
  }

  onDrain(): void {}

  onClose(): void {
    const connection = this.#connection;
    this.#pool?.starts?.remove(this);
    this.#attempts.cancel();
    this.#leaveTarget();
    connection?.close();
    this.#record('client-aborted');
    this.#listener.onSessionEnd(this, this.#load);
  }

  /** A tunnel has no idle moment that its ends could know of. */
  closeIfIdle(): boolean {
    return false;
  }

  get queuedBytes(): number {
    return this.#wire.pendingBytes;
  }

  /** Bytes that are opaque cannot be told that the end is near. */
  drain(): void {}

  shutdown(): void {
    if (this.#tunnel !== null) this.#tunnel.shutdown();
    else this.#wire.destroy();
  }

  #done(result: TunnelResult): void {
    // What is queued counts as sent.
    this.#wire.flush();
    this.#leaveTarget();
    this.#record(result === 'complete' || result === 'shutdown' ? null : result, result);
  }

  #fail(code: FailureCode): void {
    this.#record(code);
    this.#wire.reset();
  }

  #leaveTarget(): void {
    if (this.#connection !== null) this.#target?.end();
    this.#connection = null;
  }

  #record(code: FailureCode | null, result: string = code ?? 'complete'): void {
    if (this.#ended) return;
    this.#ended = true;
    const { meters, config } = this.#listener;
    const { bytesRead, bytesWritten } = this.#wire;
    meters.bytes(bytesRead, bytesWritten);
    meters.tcpEnded(result);
    if (code !== null && (FAILURES[code] as Failure).level !== 'debug') meters.failed(code);
    const totalMs = this.#context.now() - this.#startedAtMs;
    this.#context.recorder.connection({
      ...NOTHING,
      startedAtMs: this.#context.wallClock() - totalMs,
      listener: config.name,
      protocol: 'tcp',
      client: this.#client,
      bytesIn: bytesRead,
      bytesOut: bytesWritten,
      pool: this.#pool?.name ?? null,
      target: this.#target?.identity ?? null,
      node: this.#target?.node ?? null,
      attempts: this.#attempts.count,
      connectMs: this.#connectMs,
      totalMs,
      flag: flagOf(code),
      reason: code,
      targetKey: this.#target,
    });
  }
}

const connectBytes: Connect<UpstreamConnection> = (pool, target, user, reuse) =>
  pool.connector.connect(target, user, reuse, '');

/** A tcp flow has nothing but its client's address to hash. */
function flowOf(clientAddress: string): FlowFacts {
  return {
    clientAddress,
    host: '',
    path: '',
    query: '',
    header: () => undefined,
    capture: () => undefined,
  };
}
