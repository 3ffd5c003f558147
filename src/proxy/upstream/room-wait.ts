// The wait of one request or tcp connection for room among the connections of its pool: in order, and for a limited time.

import type { FailureCode } from '../../model/failures.ts';
import type { Deadline } from '../deadlines.ts';
import type { ExchangeContext } from '../exchange-context.ts';
import type { Pool } from './pool.ts';
import type { Waiter } from './pool-load.ts';

/** Who waits. */
export interface RoomSeeker {
  /** There may be room: takes it and ends the wait, or answers false. */
  takeRoom(): boolean;
  /** The wait is over without it. */
  onNoRoom(code: FailureCode): void;
}

/** Made for the first wait of a client connection, and reused for its others. */
export class RoomWait implements Waiter, Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  before: Waiter | null = null;
  behind: Waiter | null = null;
  readonly #seeker: RoomSeeker;
  readonly #context: Pick<ExchangeContext, 'deadlines' | 'turn'>;
  /** Whose connections it waits for; null while it does not. */
  #pool: Pool | null = null;

  constructor(seeker: RoomSeeker, context: Pick<ExchangeContext, 'deadlines' | 'turn'>) {
    this.#seeker = seeker;
    this.#context = context;
  }

  /**
   * Queues behind all others that wait for the pool, whose every target is at its bound.
   * @returns why it must not, or null
   */
  begin(pool: Pool, nowMs: number): FailureCode | null {
    const { pending, pendingTimeoutMs, startsPerSecond } = pool.config.connections;
    // A target that may only not be dialled yet says nothing when it may: what waits for that has a queue of its own.
    if (pending === 0 || startsPerSecond > 0) return 'connection-limit';
    if (pool.load.waiting >= pending) return 'pending-limit';
    this.#pool = pool;
    pool.load.join(this);
    pool.meters.pending(1);
    this.#context.deadlines.set(this, nowMs + pendingTimeoutMs);
    return null;
  }

  /** It has room, or is given up. */
  end(): void {
    const pool = this.#pool;
    if (pool === null) return;
    this.#pool = null;
    pool.load.leave(this);
    pool.meters.pending(-1);
    this.#context.deadlines.clear(this);
  }

  onRoom(): boolean {
    const { turn } = this.#context;
    turn.enter();
    try {
      return this.#seeker.takeRoom();
    } finally {
      turn.leave();
    }
  }

  onDeadline(): void {
    const { turn } = this.#context;
    this.end();
    turn.enter();
    try {
      this.#seeker.onNoRoom('pending-timeout');
    } finally {
      turn.leave();
    }
  }
}
