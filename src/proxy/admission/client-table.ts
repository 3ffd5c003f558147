// What each client of a listener has open, and how fast it comes; bounded, however many addresses come.

import type { Admission } from './admission.ts';
import type { TokenBucket } from './token-bucket.ts';

/**
 * Clients without a connection that are remembered for their rates. An attacker with more addresses than that makes the
 * oldest forgotten, which gives those a full bucket again; the rates of the listener as a whole hold for everyone.
 */
const REMEMBERED = 4096;

/** One client of one listener in one worker. Shared by its connections and their requests. */
export class ClientLoad {
  connections = 0;
  requests = 0;
  /** Made when a rate is configured. */
  connectionRate: TokenBucket | null = null;
  requestRate: TokenBucket | null = null;
  readonly key: string;
  /** A trusted proxy speaks for many clients: limits of one client are not for it. */
  readonly exempt: boolean;
  readonly admission: Admission;

  constructor(key: string, exempt: boolean, admission: Admission) {
    this.key = key;
    this.exempt = exempt;
    this.admission = admission;
  }
}

/** Who a connection is from, and what that client has open. */
export interface Client {
  readonly address: string;
  readonly load: ClientLoad;
}

export class ClientTable {
  /** Clients with connections: no more than the listener has connections. */
  readonly #connected = new Map<string, ClientLoad>();
  /** Clients without, the one that left first comes first. */
  readonly #left = new Map<string, ClientLoad>();

  get size(): number {
    return this.#connected.size + this.#left.size;
  }

  /** The client with this key, or undefined when nothing is known of it. */
  find(key: string): ClientLoad | undefined {
    return this.#connected.get(key) ?? this.#left.get(key);
  }

  /** A connection of the client was accepted. */
  enter(client: ClientLoad): void {
    client.connections += 1;
    if (client.connections > 1) return;
    this.#left.delete(client.key);
    this.#connected.set(client.key, client);
  }

  /** A connection of the client is gone, or was refused for its rate. */
  leave(client: ClientLoad): void {
    if (client.connections > 0) client.connections -= 1;
    if (client.connections > 0) return;
    this.#connected.delete(client.key);
    this.#left.delete(client.key);
    if (client.connectionRate === null && client.requestRate === null) return;
    this.#left.set(client.key, client);
    if (this.#left.size <= REMEMBERED) return;
    for (const oldest of this.#left.keys()) {
      this.#left.delete(oldest);
      break;
    }
  }
}
