// Connections of a pool to its targets: which of those at hand is taken, and whether the bounds allow another.

import type { UpstreamLimits } from '../../model/pool-config.ts';
import { Http2Connection } from './http2-connection.ts';
import type { Pool, PoolContext } from './pool.ts';
import { areKeptAlike } from './pool-life.ts';
import type { Target } from './target.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { DialUser, StreamDial } from './upstream-stream.ts';

/**
 * Which pooled connections may be taken: all, those on which something was heard a moment ago, those where no new one may be made,
 * or none.
 */
export type Reuse = 'any' | 'lately-heard' | 'new-first' | 'none';

export class Connector {
  readonly #pool: Pool;
  readonly #context: PoolContext;

  constructor(pool: Pool, context: PoolContext) {
    this.#pool = pool;
    this.#context = context;
  }

  /**
   * An idle connection to the target, ready at once, or a new one that will call its user back.
   * Undefined when the target or the pool is at its bound of open connections, or the target at that of starts.
   * @param host of the request as it is sent on, without port; '' for a tcp connection
   */
  connect(
    target: Target,
    user: DialUser<UpstreamConnection>,
    reuse: Reuse,
    host: string,
  ): UpstreamConnection | undefined {
    return this.connectAs(target, user, reuse, this.#serverName(target, host));
  }

  #serverName(target: Target, host: string): string {
    const { tls } = this.#pool;
    return tls === null ? '' : tls.serverName(target, host);
  }

  /** @param serverName that the target is asked for; '' without TLS */
  connectAs(
    target: Target,
    user: DialUser<UpstreamConnection>,
    reuse: Reuse,
    serverName: string,
  ): UpstreamConnection | undefined {
    const { wires, streams, random } = this.#context;
    const nowMs = wires.now();
    const idle =
      reuse === 'any' || (reuse === 'lately-heard' && target.heardLately(nowMs))
        ? this.#takeIdle(target, serverName, nowMs)
        : undefined;
    if (idle !== undefined) return idle;
    if (this.#mayStart(target, nowMs))
      return new UpstreamConnection(this.#pool, target, user, wires, streams, random(), serverName);
    // One that was not heard of for a while is nearly always there, and the other answer is a refusal.
    return reuse === 'none' ? undefined : this.#takeIdle(target, serverName, nowMs);
  }

  #takeIdle(target: Target, serverName: string, nowMs: number): UpstreamConnection | undefined {
    for (let idle = target.takeIdle(serverName); idle !== undefined; idle = target.takeIdle(serverName)) {
      if (this.#mayUse(idle) && idle.isUsable(nowMs)) {
        idle.use();
        return idle;
      }
      idle.close();
    }
    return undefined;
  }

  /**
   * Takes a connection into use for the client that has it to itself.
   * @param host as with `connect`
   */
  takeOwn(own: UpstreamConnection, host: string): boolean {
    const fits = this.#mayUse(own) && own.serverName === this.#serverName(own.target, host);
    if (!fits || !own.isUsable(this.#context.wires.now())) {
      own.closeIdle();
      return false;
    }
    own.useOwn();
    return true;
  }

  /** Since a reload a connection may have to say whose it is, be made with another certificate, or end sooner. */
  #mayUse({ tls, pool }: UpstreamConnection): boolean {
    const own = this.#pool;
    const { connections, proxyProtocol } = own.config;
    return tls === own.tls && proxyProtocol === null && areKeptAlike(pool.config.connections, connections);
  }

  /**
   * A way to send one request. A connection of HTTP/2 carries many: whether it was heard lately says little, since a
   * target that is asked often is heard often.
   */
  open(target: Target, user: DialUser<StreamDial>, reuse: Reuse, host: string): StreamDial | undefined {
    const { config, tls } = this.#pool;
    const nowMs = this.#context.wires.now();
    if (config.protocol === 'http1' || target.speaksHttp1(nowMs)) {
      return this.connect(target, user, reuse, host);
    }
    const serverName = this.#serverName(target, host);
    let isOutdated = false;
    for (const connection of target.shared) {
      isOutdated ||= !connection.isOf(tls);
      // One that is being made is as fresh as another: what a lost connection carried comes back on few.
      if ((reuse === 'none' || reuse === 'new-first') && connection.connected) continue;
      const stream = connection.serves(tls, serverName) ? connection.place(user, nowMs) : undefined;
      if (stream !== undefined) return stream;
    }
    // Made with another certificate or authority, it takes nothing more, and may hold the place of one that would.
    if (isOutdated)
      for (const connection of [...target.shared]) if (!connection.isOf(tls)) connection.leave();
    if (this.#mayStart(target, nowMs))
      return new Http2Connection(this.#pool, target, this.#context, serverName).place(user, nowMs);
    for (const connection of reuse === 'none' ? [] : target.shared) {
      const stream = connection.serves(tls, serverName) ? connection.placePastBounds() : undefined;
      if (stream !== undefined) return stream;
    }
    return undefined;
  }

  /**
   * Whether the bounds of pool and target allow one more connection, now. At the target's bound an idle one is given up for
   * it, which this request may not use: it was made for another name, or heard from too long ago.
   */
  #mayStart(target: Target, nowMs: number): boolean {
    const { perTarget, startsPerSecond } = this.#bounds;
    if (target.connections.size >= perTarget && !target.hasIdle) return false;
    if (!this.#hasRoom()) return false;
    if (startsPerSecond !== 0 && !target.pace.tryStart(startsPerSecond, nowMs)) return false;
    if (target.connections.size >= perTarget) target.giveUpIdle();
    return target.connections.size < perTarget;
  }

  /** Those in force: what they bound is open for all versions of the pool, and who waits may have begun with an earlier one. */
  get #bounds(): UpstreamLimits {
    return this.#pool.life.version.config.connections;
  }

  /** No target can be asked, whichever is picked; where connections are shared, only those that stand can tell. */
  get full(): boolean {
    const { config, load } = this.#pool;
    return config.protocol === 'http1' && load.idle === 0 && load.open >= this.#bounds.perPool;
  }

  /** A pool at its bound gives up an idle connection to another target for a new one. */
  #hasRoom(): boolean {
    const { load, life } = this.#pool;
    const { perPool } = this.#bounds;
    if (load.open < perPool) return true;
    for (const target of life.targets.values()) if (target.giveUpIdle()) break;
    return load.open < perPool;
  }
}
