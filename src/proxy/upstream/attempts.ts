// The attempts of one request or tcp connection: the targets that it tries, and the dials that are open for it.

import type { FailureCode } from '../../model/failures.ts';
import type { ProxyProtocolOut } from '../../model/pool-config.ts';
import type { Deadline } from '../deadlines.ts';
import type { ExchangeContext } from '../exchange-context.ts';
import type { Reuse } from './connector.ts';
import { HEDGE_AFTER_MS } from './dial-budget.ts';
import type { Pool } from './pool.ts';
import { type RoomSeeker, RoomWait } from './room-wait.ts';
import { SUSPECT_MS, type Target } from './target.ts';
import { TryOrder } from './try-order.ts';
import type { AttemptsUser, Dial, DialUser } from './upstream-stream.ts';

/**
 * An idle connection to the target, or a dial that will call `user` back; undefined when it is at its bound. A connection that
 * its client has to itself may lead to another target.
 */
export type Connect<D extends Dial> = (
  pool: Pool,
  target: Target,
  user: DialUser<D>,
  reuse: Reuse,
) => D | undefined;

/** Dials that may be open for one request. With every second one hanging, all of them hang once in 65,000 requests. */
const OPEN_DIALS = 16;
/**
 * With so many silent ones the next come two at a time. Where five eighths of all connects hang, nine requests in a thousand
 * have no connection after ten dials; sixteen, which come in the same time like this, leave one in two thousand.
 */
const UNLUCKY_DIALS = 4;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * Reused for every request of a client connection. Nothing is sent before a connection is up, so several dials for one
 * request are safe whatever its method: the first to connect is used.
 */
export class Attempts<D extends Dial> implements DialUser<D>, Deadline, RoomSeeker {
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  /** Connections used or dialled so far. */
  count = 0;
  /** Times that `dial` has found something: what retries are limited by. */
  rounds = 0;
  /** Why the last attempt failed; what the client is told when none is left. */
  lastFailure: FailureCode = 'no-target';
  readonly #context: Pick<ExchangeContext, 'deadlines' | 'now' | 'turn'>;
  readonly #connectTo: Connect<D>;
  #user!: AttemptsUser<D>;
  #pool!: Pool;
  #reuse: Reuse = 'any';
  #keepsSpare = false;
  /** Null before the first wait. */
  #roomWait: RoomWait | null = null;
  /** The first of the open dials has had its connect timeout: the others get a moment more, and no company. */
  #isLate = false;
  readonly #order = new TryOrder();
  readonly #dials: D[] = [];
  /** How many of them are counted as beside another (`DialBudget`). */
  #beside = 0;

  constructor(context: Pick<ExchangeContext, 'deadlines' | 'now' | 'turn'>, connect: Connect<D>) {
    this.#context = context;
    this.#connectTo = connect;
  }

  /**
   * @param user is told of the connection, or of the failure of the last open dial
   * @param reuse which pooled connections it may take; with `none` it keeps none either that came too late
   */
  reset(user: AttemptsUser<D>, pool: Pool, hash: number, reuse: Reuse): void {
    this.count = 0;
    this.rounds = 0;
    this.lastFailure = 'no-target';
    this.#user = user;
    this.#pool = pool;
    this.#reuse = reuse;
    this.#keepsSpare = reuse !== 'none';
    this.#order.begin(pool, hash);
  }

  /**
   * A connection to the next target, which counts the flow as begun. One that is not connected belongs to the attempts
   * until they hand over the first that is. One that is connected is its caller's. Undefined when every target
   * was tried or is at its bound, then `lastFailure` says why.
   * @param hasAnswer one is at hand and is given up for this: those whose last connect failed or hangs are no better than it
   */
  dial(nowMs: number, hasAnswer = false): D | undefined {
    const connection = this.#next(nowMs, hasAnswer);
    if (connection !== undefined) this.#begin(connection, nowMs);
    return connection;
  }

  #begin(connection: D, nowMs: number): void {
    this.rounds += 1;
    this.#isLate = false;
    if (connection.connected) return;
    this.#dials.push(connection);
    this.#pool.life.dials.onBegun(nowMs);
    this.#context.deadlines.set(this, nowMs + HEDGE_AFTER_MS);
  }

  /**
   * After `dial` has found every target at its bound: waits for room, in order and for a limited time. Then the user is
   * told as by `dial`, or of the end of its patience. False, and `lastFailure` says why, when it must not wait.
   */
  wait(nowMs: number): boolean {
    if (this.lastFailure !== 'connection-limit') return false;
    this.#roomWait ??= new RoomWait(this, this.#context);
    const refusal = this.#roomWait.begin(this.#pool, nowMs);
    if (refusal !== null) this.lastFailure = refusal;
    return refusal === null;
  }

  takeRoom(): boolean {
    const nowMs = this.#context.now();
    this.#order.forget();
    const connection = this.#next(nowMs);
    if (connection === undefined) return false;
    this.#roomWait?.end();
    this.#begin(connection, nowMs);
    if (connection.connected) this.#user.onUpstreamConnected(connection);
    return true;
  }

  onNoRoom(code: FailureCode): void {
    this.lastFailure = code;
    this.#user.onNoRoom(code);
  }

  /** Gives up the open dials: the client is gone or has been answered. */
  cancel(): void {
    this.#roomWait?.end();
    if (this.#dials.length === 0) return;
    this.#context.deadlines.clear(this);
    for (const dial of this.#dials) {
      dial.target.end();
      dial.close();
    }
    this.#dials.length = 0;
    this.#countBeside();
  }

  /** There are targets that were not tried; whether one of them takes requests now, `dial` says. */
  get hasOthers(): boolean {
    return this.#order.hasOthers;
  }

  /** The target of the last attempt may be tried again. */
  repeat(): void {
    this.#order.repeat();
  }

  /** A closed pooled connection says nothing about its target: it may be tried again, but not on the next corpse. */
  repeatOnFreshConnection(): void {
    this.repeat();
    this.#reuse = 'none';
  }

  /** The target leaves the connections that stand, one after the other: a new one may lead to another pod. */
  repeatOnNewConnectionFirst(): void {
    this.repeat();
    this.#reuse = 'new-first';
  }

  /**
   * The path of a pooled connection has fallen silent: others of that age may have, so new ones are made from now on. Where there
   * is nobody else, one to the same target may lead to another pod.
   */
  avoidPooledConnections(target: Target): void {
    this.#reuse = 'none';
    this.#order.keepInReserve(target);
  }

  onUpstreamConnected(connection: D): void {
    this.#won(connection);
  }

  proxyHeader(rules: ProxyProtocolOut): Buffer {
    return this.#user.proxyHeader(rules);
  }

  onUpstreamConnectFailed(connection: D, code: FailureCode): void {
    this.#forget(connection);
    connection.target.end();
    this.lastFailure = code;
    // Our own lack, which closing idle connections may have ended: the target is as good as before.
    if (code === 'local-limit') this.#order.readmit(connection.target);
    // Another dial is still open, and may connect.
    if (this.#dials.length > 0) {
      if (code === 'connect-timeout' && !this.#isLate) {
        this.#isLate = true;
        const { deadlines, now } = this.#context;
        deadlines.clear(this);
        deadlines.set(this, now() + HEDGE_AFTER_MS);
      }
      return;
    }
    this.#context.deadlines.clear(this);
    if (code === 'connection-limit' && this.#findRoom()) return;
    this.#user.onUpstreamConnectFailed(connection, this.lastFailure);
  }

  /** The target stands, and has no room on this connection: another one, or the wait for room. */
  #findRoom(): boolean {
    const nowMs = this.#context.now();
    this.#order.forget();
    const connection = this.#next(nowMs);
    if (connection === undefined) return this.wait(nowMs);
    // The round goes on.
    this.rounds -= 1;
    this.#begin(connection, nowMs);
    if (connection.connected) this.#user.onUpstreamConnected(connection);
    return true;
  }

  /** The dials have been silent for a while: one more, to the next target. */
  onDeadline(nowMs: number): void {
    const { deadlines } = this.#context;
    if (this.#isLate) return this.#giveUp();
    if (this.#dials.every(({ reached }) => reached === true)) return;
    for (const dial of this.#dials) dial.target.suspect(nowMs + SUSPECT_MS);
    if (this.#dials.length >= OPEN_DIALS) return;
    // Where there is no room now there may be soon: dials of others connect, or are given up.
    deadlines.set(this, nowMs + HEDGE_AFTER_MS);
    const isUnlucky = this.#dials.length >= UNLUCKY_DIALS;
    if (this.#addCompany(nowMs) && isUnlucky && this.#dials.length < OPEN_DIALS) this.#addCompany(nowMs);
  }

  /** One more dial. False when there is no room for it, or nobody to dial, or it has won at once. */
  #addCompany(nowMs: number): boolean {
    if (!this.#pool.life.dials.hasRoom(nowMs)) return false;
    let connection = this.#next(nowMs);
    if (connection === undefined) {
      this.#order.goAround();
      connection = this.#next(nowMs);
    }
    if (connection === undefined) return false;
    this.#pool.meters.retried('connect-slow');
    this.#dials.push(connection);
    this.#countBeside();
    if (!connection.connected) return true;
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#won(connection);
    } finally {
      turn.leave();
    }
    return false;
  }

  /** Nobody has answered within the connect timeout: without this each dial's company would keep the next one waiting. */
  #giveUp(): void {
    const [oldest] = this.#dials;
    this.cancel();
    this.#order.forgetTheSilent();
    const { turn } = this.#context;
    turn.enter();
    try {
      if (oldest !== undefined) this.#user.onUpstreamConnectFailed(oldest, this.lastFailure);
    } finally {
      turn.leave();
    }
  }

  #won(connection: D): void {
    this.#forget(connection);
    this.#context.deadlines.clear(this);
    for (const late of this.#dials) {
      late.target.end();
      // Nobody has asked it anything: it may be asked where this one refuses.
      if (late.target !== connection.target) this.#order.readmit(late.target);
      if (this.#keepsSpare) late.keepWhenConnected();
      else late.close();
    }
    this.#dials.length = 0;
    this.#countBeside();
    this.#user.onUpstreamConnected(connection);
  }

  #forget(connection: D): void {
    const index = this.#dials.indexOf(connection);
    if (index !== -1) this.#dials.splice(index, 1);
    this.#countBeside();
  }

  /** The first of the open dials is the request's own, the others are counted with those of its pool. */
  #countBeside(): void {
    const beside = Math.max(0, this.#dials.length - 1);
    this.#pool.life.dials.beside += beside - this.#beside;
    this.#beside = beside;
  }

  #next(nowMs: number, hasAnswer = false): D | undefined {
    if (this.#pool.connector.full) {
      this.lastFailure = 'connection-limit';
      return undefined;
    }
    const order = this.#order;
    const dialsHang = this.#dials.length > 0;
    let target = order.next(nowMs, dialsHang);
    for (; target !== undefined; target = order.next(nowMs, dialsHang)) {
      const connection = this.#connect(target, nowMs);
      if (connection !== undefined) return connection;
    }
    if (hasAnswer) return undefined;
    for (target = order.nextSuspect(); target !== undefined; target = order.nextSuspect()) {
      const connection = this.#connect(target, nowMs);
      if (connection !== undefined) return connection;
    }
    return undefined;
  }

  #connect(target: Target, nowMs: number): D | undefined {
    const connection = this.#connectTo(this.#pool, target, this, this.#reuse);
    if (connection === undefined) {
      this.lastFailure = 'connection-limit';
      return undefined;
    }
    this.count += 1;
    connection.target.begin(nowMs);
    return connection;
  }
}
