// The attempts of one request or tcp connection: which targets were tried, and the next one to dial.

import type { FailureCode } from '../../model/failures.ts';
import type { Member } from '../../model/picker.ts';
import type { Pool } from './pool.ts';
import type { Target } from './target.ts';
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts';

/** Reused for every request of a client connection. */
export class Attempts {
  /** Connections used or dialled so far. */
  count = 0;
  /** Why the last attempt failed; what the client is told when none is left. */
  lastFailure: FailureCode = 'no-target';
  #pool!: Pool;
  #hash = 0;
  #freshOnly = false;
  readonly #tried: Member[] = [];

  /** @param freshOnly never takes a pooled connection */
  reset(pool: Pool, hash: number, freshOnly: boolean): void {
    this.count = 0;
    this.lastFailure = 'no-target';
    this.#pool = pool;
    this.#hash = hash;
    this.#freshOnly = freshOnly;
    this.#tried.length = 0;
  }

  /**
   * A connection to the next target, which counts the flow as begun; undefined when every target was tried or is at
   * its bound, then `lastFailure` says why.
   */
  dial(user: UpstreamUser, nowMs: number): UpstreamConnection | undefined {
    for (;;) {
      const member = this.#pool.picker.pick(this.#hash, this.#tried);
      if (member === undefined) return undefined;
      this.#tried.push(member);
      const target = member.live as Target;
      const connection = this.#pool.connect(target, user, this.#freshOnly);
      if (connection === undefined) {
        this.lastFailure = 'connection-limit';
        continue;
      }
      this.count += 1;
      target.begin(nowMs);
      return connection;
    }
  }

  /** A closed pooled connection says nothing about its target: it may be tried again, but not on the next corpse. */
  repeatOnFreshConnection(): void {
    this.#tried.pop();
    this.#freshOnly = true;
  }
}
