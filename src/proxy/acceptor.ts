// The listening handle of one listener: connections come off it with their names, and begin one after the other in a burst.

import type { Logger } from 'pino';
import type { ListenerConfig } from '../model/listener-config.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { Descriptors } from './descriptors.ts';
import type { ListenerMeters } from './meters.ts';
import { prepareAccepted, prepareListening } from './wire/accepted-options.ts';
import type { BurstShare } from './wire/burst-share.ts';
import { plainAddress } from './wire/plain-address.ts';
import type { ListeningHandle, SocketHandle, SocketName } from './wire/socket-handle.ts';
import type { WireContext } from './wire/wire.ts';

export interface AcceptorOwner {
  /** Undefined, and counted, for a connection that is not taken; null where its client is not known yet. */
  admit(address: string): ClientLoad | null | undefined;
  /** Its turn has come. @param load as `admit` has given it */
  begin(client: SocketHandle, address: string, load: ClientLoad | null): void;
}

export interface AcceptorContext {
  readonly wires: WireContext;
  readonly descriptors: Descriptors;
  /** Of connections that begin, at all listeners. */
  readonly arrivals: BurstShare;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly log: Pick<Logger, 'warn'>;
}

const BACKLOG = 4096;
/** Between two lines that say that none could be accepted. */
const ACCEPT_LOG_MS = 1000;

export class Acceptor {
  /** That it is bound to. */
  readonly port: number;
  readonly #handle: ListeningHandle;
  /** The own end of all its connections; null where they may come to any address of the machine. */
  readonly #ownName: SocketName | null;
  readonly #owner: AcceptorOwner;
  readonly #meters: ListenerMeters;
  readonly #context: AcceptorContext;
  #config: ListenerConfig;
  /** No line of the log says until then that accepting fails. */
  #quietUntilMs = Number.NEGATIVE_INFINITY;

  /** Throws when the socket cannot listen. */
  constructor(
    config: ListenerConfig,
    socket: ListeningHandle,
    owner: AcceptorOwner,
    meters: ListenerMeters,
    context: AcceptorContext,
  ) {
    const { wires, descriptors } = context;
    const handle = wires.tcp === null ? socket : wires.tcp.listening(socket);
    this.#config = config;
    this.#handle = handle;
    this.#owner = owner;
    this.#meters = meters;
    this.#context = context;
    const bound: SocketName = {};
    handle.getsockname(bound);
    this.port = bound.port ?? config.port;
    this.#ownName = isUnspecified(bound.address) ? null : bound;
    prepareListening(handle, config.pool !== null);
    handle.onconnection = (status, client) => this.#accept(status, client);
    const status = handle.listen(BACKLOG);
    if (status !== 0) throw new Error(`cannot listen on ${config.host}:${config.port} (status ${status})`);
    descriptors.listening(1);
  }

  /** For connections to come. */
  follow(config: ListenerConfig): void {
    this.#config = config;
    prepareListening(this.#handle, config.pool !== null);
  }

  /** The handle stays open in the supervisor. */
  close(): void {
    this.#handle.onconnection = null;
    this.#handle.close();
    this.#context.descriptors.listening(-1);
    this.#context.arrivals.flush();
  }

  #accept(status: number, client: SocketHandle): void {
    if (status !== 0) {
      this.#failed(status);
      return;
    }
    const peer = client.peerName ?? peerNameOf(client);
    client.peerName = peer;
    if (this.#ownName !== null) client.ownName = this.#ownName;
    const address = plainAddress(peer.address ?? '');
    const load = this.#owner.admit(address);
    if (load === undefined) {
      client.close();
      return;
    }
    prepareAccepted(client);
    const { arrivals } = this.#context;
    if (arrivals.mayGoOn()) return this.#owner.begin(client, address, load);
    arrivals.wait({ onTurn: () => this.#owner.begin(client, address, load) });
  }

  /** Where descriptors are short every connection that comes fails: all are counted, and the log has one a second. */
  #failed(status: number): void {
    this.#meters.refused('accept-failed');
    const { now, log } = this.#context;
    const nowMs = now();
    if (nowMs < this.#quietUntilMs) return;
    this.#quietUntilMs = nowMs + ACCEPT_LOG_MS;
    log.warn({ code: 'accept-failed', listener: this.#config.name, status }, 'accept failed');
  }
}

function peerNameOf(client: SocketHandle): SocketName {
  const name: SocketName = {};
  client.getpeername(name);
  return name;
}

function isUnspecified(address = ''): boolean {
  return address === '0.0.0.0' || address === '::' || address === '';
}
