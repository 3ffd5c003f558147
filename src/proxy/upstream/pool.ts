// A pool as one or more snapshot versions see it: members, picker and bounds, over targets that outlive the version.

import { createFlowHasher } from '../../balance/siphash.ts';
import type { HeadLimits } from '../../http1/limits.ts';
import type { Workspace } from '../../http2/workspace.ts';
import type { FailureCode } from '../../model/failures.ts';
import type { HashTable } from '../../model/messages.ts';
import type { Member, Picker } from '../../model/picker.ts';
import type { HostSet, SnapshotPool } from '../../model/snapshot.ts';
import type { MetricsBoard } from '../../telemetry/metrics-board.ts';
import type { Deadlines } from '../deadlines.ts';
import type { PoolMeters } from '../meters.ts';
import type { UpstreamTls } from '../tls/upstream-tls.ts';
import type { WireContext } from '../wire/wire.ts';
import { Connector } from './connector.ts';
import { type FlowFacts, type FlowHasher, flowHash } from './hash-key.ts';
import type { Http1Streams } from './http1-streams.ts';
import { type BuiltPool, PoolLife, type PoolVersion } from './pool-life.ts';
import type { PoolLoad, WorkerLoad } from './pool-load.ts';
import { StartQueue } from './start-queue.ts';
import type { Target } from './target.ts';

export interface PoolContext {
  readonly board: MetricsBoard;
  readonly wires: WireContext;
  readonly limits: HeadLimits;
  readonly streams: Http1Streams;
  readonly load: WorkerLoad;
  readonly http2: Workspace;
  readonly random: () => number;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
  /** The process has no descriptor or port left: idle connections are closed, so that others can be opened. */
  readonly onLocalLimit: () => void;
  /** Tells the controller that a connect to this target has succeeded for the first time. */
  readonly onProven: (pool: string, identity: string) => void;
}

/** How often failing TLS of a pool is logged; all of it is counted. */
const TLS_LOG_MS = 10_000;

/**
 * Members and picker are made with the first flow: a snapshot changes hundreds of pools at once where one node is in
 * all of them, and only those that take flows pay for it, one by one.
 */
export class Pool implements PoolVersion {
  readonly config: SnapshotPool;
  readonly life: PoolLife;
  readonly connector: Connector;
  /** Of each group; null once another version is in force. */
  #sets: readonly HostSet[] | null;
  /** Null speaks without TLS. */
  readonly tls: UpstreamTls | null;
  /** Null where starts are not bounded. */
  readonly starts: StartQueue | null;
  readonly #context: PoolContext;
  readonly #build: (pool: Pool) => BuiltPool;
  #hasher: FlowHasher | null = null;
  #built: BuiltPool | null = null;
  #tlsLogDueAtMs = 0;

  constructor(
    config: SnapshotPool,
    sets: readonly HostSet[],
    life: PoolLife | null,
    build: (pool: Pool) => BuiltPool,
    upstreamTls: UpstreamTls | null,
    context: PoolContext,
    deadlines: Deadlines,
  ) {
    this.config = config;
    this.#sets = sets;
    this.#build = build;
    this.tls = upstreamTls;
    this.#context = context;
    this.life = life ?? new PoolLife(this, context, deadlines);
    this.connector = new Connector(this, context);
    const { startsPerSecond, startWaitMs } = config.connections;
    this.starts = startsPerSecond === 0 ? null : new StartQueue(startWaitMs, deadlines, context.wires.now);
  }

  /** Of each group. */
  get sets(): readonly HostSet[] {
    return this.#sets ?? this.life.version.sets;
  }

  get members(): readonly Member[] {
    return this.built.members;
  }

  get picker(): Picker {
    return this.built.picker;
  }

  get built(): BuiltPool {
    if (this.#sets === null) return this.life.version.built;
    this.#built ??= this.#build(this);
    return this.#built;
  }

  /** The next snapshot changes nothing of it but what is in its sets, as with most events. */
  renew(sets: readonly HostSet[]): void {
    this.#sets = sets;
    this.#built = null;
  }

  /**
   * Another version is in force. Idle connections, requests and tunnels name the one that they began with, for hours it may
   * be: from here on this one has the targets of that in force, and holds none of its own.
   */
  giveWay(): void {
    this.#sets = null;
    this.#built = null;
  }

  get load(): PoolLoad {
    return this.life.load;
  }

  get meters(): PoolMeters {
    return this.life.meters;
  }

  get size(): number {
    if (this.#sets === null) return this.life.version.size;
    return this.sets.reduce((size, { members }) => size + members.length, 0);
  }

  /** A member of its own, or one of another version that names the same target. */
  has(member: Member): boolean {
    if (this.#sets === null) return this.life.version.has(member);
    if (this.#built?.members.includes(member) === true) return true;
    const { identity } = member;
    return this.config.groups.some(({ port }, group) =>
      this.sets[group]!.members.some(({ host }) => identityOf(host.address, port) === identity),
    );
  }

  invalidatePicker(): void {
    this.#built?.picker.invalidate();
  }

  /** The number that the picker takes for a flow; 0 for policies that do not hash. */
  hashOf(flow: FlowFacts): number {
    const { key, hashKey } = this.config.policy;
    if (key === null) return 0;
    this.#hasher ??= createFlowHasher(hashKey);
    return flowHash(this.#hasher, key, flow);
  }

  get name(): string {
    return this.config.name;
  }

  /** By ALPN, in a pool that wants HTTP/2. */
  onChoseHttp1(target: Target): void {
    target.choseHttp1(this.#context.wires.now());
    this.#context.log.info(
      { code: 'http1-chosen', pool: this.name, target: target.identity },
      'a target chose HTTP/1.1 where HTTP/2 was offered',
    );
  }

  onConnected(target: Target, tookMs: number, first: boolean): void {
    this.meters.connected(tookMs);
    // Nobody waits for a proof of what is active, and a pool of thousands would tell of each of them.
    if (first && target.unproven) this.#context.onProven(this.name, target.identity);
  }

  onConnectFailed(code: FailureCode, target: Target, detail: string): void {
    this.meters.connectFailed(code);
    if (code === 'local-limit') this.#context.onLocalLimit();
    if (code !== 'certificate-invalid' && code !== 'tls-handshake-failed') return;
    // Every connection would say the same until somebody acts.
    const nowMs = this.#context.wires.now();
    if (nowMs < this.#tlsLogDueAtMs) return;
    this.#tlsLogDueAtMs = nowMs + TLS_LOG_MS;
    this.#context.log.warn(
      { code, pool: this.name, target: target.identity, detail },
      'TLS to a target failed',
    );
  }

  /** See `PoolLife`. */
  onRequest(nowMs: number): void {
    this.life.onRequest(nowMs);
  }

  mayRetry(share: number): boolean {
    return this.life.mayRetry(share);
  }
}

/** `address:port`, with IPv6 in brackets. */
export function identityOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The hash tables of those pools that have one. */
export function tablesOf(pools: readonly Pool[]): readonly HashTable[] {
  return pools.flatMap((pool) => {
    const { name, policy } = { name: pool.name, policy: pool.config.policy };
    const checksum = policy.key === null ? '' : pool.picker.checksum;
    return checksum === '' ? [] : [{ pool: name, policy: policy.name, checksum }];
  });
}
