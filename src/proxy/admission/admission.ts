// What one listener lets in: connections and requests, of everybody together and of each client.

import type { FailureCode } from '../../model/failures.ts';
import type { ListenerLimits } from '../../model/listener-config.ts';
import { clientKey } from './client-key.ts';
import { ClientLoad, ClientTable } from './client-table.ts';
import { TokenBucket } from './token-bucket.ts';

/** Why a connection was closed right after the accept. */
export type ConnectionRefusal =
  | 'memory-limit'
  | 'listener-limit'
  | 'client-limit'
  | 'client-connection-rate'
  | 'connection-rate';

/** Whether the process is at its ceiling (`MemoryWatch`). */
export interface Pressure {
  readonly over: boolean;
  /** Far above it: what was done so far does not suffice. */
  readonly critical: boolean;
}

/**
 * A worker at its memory ceiling still takes so many connections for each listener: with so few open it is not they
 * that hold the memory, and a worker that served nobody for good would be worse than one that is too large.
 */
export const ALWAYS_TAKEN = 64;

/** Requests in flight that a client may have at the ceiling: one that behaves well goes on, one that floods does not. */
export const PRESSED_REQUESTS = 16;

export class Admission {
  connections = 0;
  /** Requests in flight, tunnels that were requests included. */
  requests = 0;
  /** After `connect` has given null: why. */
  refusal: ConnectionRefusal = 'listener-limit';
  readonly #limits: () => ListenerLimits;
  readonly #pressure: Pressure;
  readonly #clients = new ClientTable();
  readonly #connectionRate = new TokenBucket();
  readonly #requestRate = new TokenBucket();

  /** @param limits those in force now: a reload changes what is admitted from then on */
  constructor(limits: () => ListenerLimits, pressure: Pressure) {
    this.#limits = limits;
    this.#pressure = pressure;
  }

  /** Clients that are known: bounded by the open connections and what is remembered for rates. */
  get clients(): number {
    return this.#clients.size;
  }

  /**
   * Admits a connection, or gives null and says why in `refusal`. A client's own limits come before those of all, so
   * that what one client is refused takes nothing from the others.
   * @param exempt a trusted proxy, which the limits of one client are not for
   */
  connect(address: string, exempt: boolean, nowMs: number): ClientLoad | null {
    const limits = this.#limits();
    if (!this.#hasRoom(limits)) return null;
    const client = this.#admitClient(address, exempt, nowMs, limits);
    if (client === null) return null;
    if (!this.#connectionRate.take(nowMs, limits.connectionRate, limits.connectionBurst)) {
      if (client.connections === 0) this.#clients.leave(client);
      return this.#refuse('connection-rate');
    }
    this.#clients.enter(client);
    this.connections += 1;
    return client;
  }

  /** Admits a connection whose client is not known yet: its first bytes will name it. False as `connect` gives null. */
  connectUnknown(nowMs: number): boolean {
    const limits = this.#limits();
    if (!this.#hasRoom(limits)) return false;
    if (!this.#connectionRate.take(nowMs, limits.connectionRate, limits.connectionBurst)) {
      this.#refuse('connection-rate');
      return false;
    }
    this.connections += 1;
    return true;
  }

  /** The client of a connection that was admitted without one; null as from `connect`, the connection still counts. */
  identify(address: string, exempt: boolean, nowMs: number): ClientLoad | null {
    const client = this.#admitClient(address, exempt, nowMs, this.#limits());
    if (client !== null) this.#clients.enter(client);
    return client;
  }

  #hasRoom(limits: ListenerLimits): boolean {
    if (this.#pressure.over && this.connections >= ALWAYS_TAKEN) this.#refuse('memory-limit');
    else if (this.connections >= limits.connections) this.#refuse('listener-limit');
    else return true;
    return false;
  }

  #admitClient(address: string, exempt: boolean, nowMs: number, limits: ListenerLimits): ClientLoad | null {
    // Others of its network are not trusted with it, nor is it limited with them.
    const key = exempt
      ? `trusted ${address}`
      : clientKey(address, limits.clientPrefix4, limits.clientPrefix6);
    const client = this.#clients.find(key) ?? new ClientLoad(key, exempt, this);
    if (exempt) return client;
    if (client.connections >= limits.connectionsPerClient) return this.#refuse('client-limit');
    if (limits.connectionRatePerClient === 0) return client;
    client.connectionRate ??= new TokenBucket();
    const { connectionRatePerClient: rate, connectionBurstPerClient: burst } = limits;
    if (client.connectionRate.take(nowMs, rate, burst)) return client;
    if (client.connections === 0) this.#clients.leave(client);
    return this.#refuse('client-connection-rate');
  }

  /** @param client null when it never became known */
  disconnect(client: ClientLoad | null): void {
    this.connections -= 1;
    if (client !== null) this.#clients.leave(client);
  }

  /** Admits a request of a connection, or says what it is refused with; `endRequest` follows one that was admitted. */
  beginRequest(client: ClientLoad, nowMs: number): FailureCode | null {
    const limits = this.#limits();
    if (this.#pressure.over && this.#mustRelieve(client)) return 'memory-limit';
    if (!client.exempt) {
      if (client.requests >= limits.requestsPerClient) return 'client-request-limit';
      if (limits.requestRatePerClient > 0) {
        client.requestRate ??= new TokenBucket();
        const { requestRatePerClient: rate, requestBurstPerClient: burst } = limits;
        if (!client.requestRate.take(nowMs, rate, burst)) return 'client-request-rate';
      }
    }
    if (this.requests >= limits.requests) return 'request-limit';
    if (!this.#requestRate.take(nowMs, limits.requestRate, limits.requestBurst)) return 'request-rate';
    this.requests += 1;
    client.requests += 1;
    return null;
  }

  #mustRelieve(client: ClientLoad): boolean {
    if (this.requests < ALWAYS_TAKEN) return false;
    return this.#pressure.critical || (!client.exempt && client.requests >= PRESSED_REQUESTS);
  }

  endRequest(client: ClientLoad): void {
    this.requests -= 1;
    client.requests -= 1;
  }

  #refuse(refusal: ConnectionRefusal): null {
    this.refusal = refusal;
    return null;
  }
}
