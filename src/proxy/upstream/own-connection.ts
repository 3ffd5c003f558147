// The connection that a client has to itself: it has proven itself on it, and its target takes all that comes there for the client's.

import type { Pool } from './pool.ts';
import type { PoolLife } from './pool-life.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

export class OwnConnection {
  /** Whether it waits for the client's next request: those of HTTP/2 have no order, and each may be somebody else's. */
  readonly keeps: boolean;
  readonly #life: PoolLife;
  #connection: UpstreamConnection | null = null;

  constructor(pool: Pool, keeps: boolean) {
    this.#life = pool.life;
    this.keeps = keeps;
  }

  isOf(pool: Pool): boolean {
    return this.#life === pool.life;
  }

  /** A connection that is used for the client, and from here on for nobody else. */
  hold(connection: UpstreamConnection): void {
    if (this.#connection !== connection) this.close();
    this.#connection = connection;
    connection.owner = this;
  }

  /**
   * Into use again, wherever the picker would send the request. Undefined when it is gone, is too old or is in use.
   * @param host of the request as it is sent on, without port
   */
  take(pool: Pool, host: string): UpstreamConnection | undefined {
    const connection = this.#connection;
    if (connection === null || !pool.connector.takeOwn(connection, host)) return undefined;
    return connection;
  }

  /** The client is gone: nobody else may have what waits for it. */
  close(): void {
    this.#connection?.closeIdle();
    this.#connection = null;
  }
}
