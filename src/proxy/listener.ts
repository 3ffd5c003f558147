// One listener in one worker: lets connections in within its limits, starts a session for each, and ends them all.

import type { Logger } from 'pino';
import type { HeadLimits } from '../http1/limits.ts';
import type { ListenerConfig } from '../model/listener-config.ts';
import type { ProxyHeader } from '../proxy-protocol/header.ts';
import { Acceptor, type AcceptorOwner } from './acceptor.ts';
import { Admission, type Pressure } from './admission/admission.ts';
import type { Client, ClientLoad } from './admission/client-table.ts';
import type { Descriptors } from './descriptors.ts';
import { Entrance, type EntranceOwner } from './entrance.ts';
import type { ExchangeContext } from './exchange-context.ts';
import { TrustedProxies } from './http/forwarded.ts';
import type { Http1Session } from './http1-session.ts';
import type { ListenerMeters } from './meters.ts';
import type { Runtime } from './runtime.ts';
import { SessionStarter } from './session-starter.ts';
import { type ListenerSession, Sessions } from './sessions.ts';
import type { ListenerTls } from './tls/listener-tls.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { Tunnel } from './tunnel.ts';
import { prepareTunnel } from './wire/accepted-options.ts';
import type { BurstShare } from './wire/burst-share.ts';
import type { ListeningHandle, SocketHandle } from './wire/socket-handle.ts';
import type { Wire, WireContext, WireOwner } from './wire/wire.ts';

export interface ListenerContext {
  readonly wires: WireContext;
  readonly exchanges: ExchangeContext;
  /** The memory ceiling of the worker. */
  readonly pressure: Pressure;
  /** A listener of this worker: for connections that one hands to another. */
  readonly listenerNamed: (name: string) => Listener | undefined;
  readonly descriptors: Descriptors;
  /** Of connections that begin, at all listeners. */
  readonly arrivals: BurstShare;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
}

export class Listener implements AcceptorOwner, EntranceOwner {
  draining = false;
  readonly meters: ListenerMeters;
  readonly port: number;
  #config: ListenerConfig;
  readonly #context: ListenerContext;
  /** Who may send PROXY headers. */
  #senders: TrustedProxies;
  readonly #admission: Admission;
  readonly #acceptor: Acceptor;
  readonly #entrance: Entrance;
  readonly #sessions: Sessions;
  readonly #starter: SessionStarter;
  #closed = false;
  /** When all that is open ends, once it drains. */
  #endsAtMs = Number.POSITIVE_INFINITY;
  /** Since it is configured no more: what its connections were last served by. */
  lastRuntime: Runtime | null = null;

  constructor(
    config: ListenerConfig,
    socket: ListeningHandle,
    meters: ListenerMeters,
    context: ListenerContext,
  ) {
    const { wires, exchanges, log, pressure, descriptors, arrivals } = context;
    this.#config = config;
    this.#context = context;
    this.meters = meters;
    this.#senders = sendersOf(config);
    this.#admission = new Admission(() => this.#config.limits, pressure);
    this.#entrance = new Entrance(config, this, meters, { wires, random: exchanges.random, log });
    this.#sessions = new Sessions(meters);
    this.#starter = new SessionStarter(this, this.#sessions, exchanges);
    const { now } = exchanges;
    this.#acceptor = new Acceptor(config, socket, this, meters, { wires, descriptors, arrivals, now, log });
    this.port = this.#acceptor.port;
  }

  get config(): ListenerConfig {
    return this.#config;
  }

  get headLimits(): HeadLimits {
    const { headerBytes, headerLineBytes, headerCount } = this.#config.limits;
    return {
      headerBytes,
      lineBytes: headerLineBytes,
      headerCount,
      chunkExtensionBytes: 4096,
      trailerBytes: 8192,
    };
  }

  /** Connections that are open: those in their TLS handshake and those whose last bytes are leaving included. */
  get openConnections(): number {
    return this.#admission.connections;
  }

  /**
   * Takes what a snapshot says: limits and timeouts hold at once, connections that are open keep their parser's bounds
   * and their TLS.
   * @param tls of an https listener; null for all others
   */
  follow(config: ListenerConfig, tls: ListenerTls | null): void {
    if (config.proxyProtocol !== this.#config.proxyProtocol) this.#senders = sendersOf(config);
    this.#config = config;
    this.#acceptor.follow(config);
    this.#entrance.follow(config, tls);
  }

  // Connections that come -------------------------------------------------------------------------------------------

  admit(address: string): ClientLoad | null | undefined {
    const load = this.#connect(address);
    if (load === undefined) return undefined;
    this.#context.descriptors.opened();
    this.meters.opened();
    return load;
  }

  /** Counted by the limit, when it is not taken. */
  #connect(address: string): ClientLoad | null | undefined {
    const { proxyProtocol } = this.#config;
    const isSender = proxyProtocol !== null && this.#senders.has(address);
    if (this.#closed || address === '' || !this.#entrance.isReady) {
      this.meters.refused('closed');
      return undefined;
    }
    if (!this.#context.descriptors.mayAccept) {
      this.meters.refused('descriptor-limit');
      return undefined;
    }
    if (!isSender && proxyProtocol?.mode === 'required') {
      this.meters.refused('proxy-untrusted');
      return undefined;
    }
    const nowMs = this.#context.exchanges.now();
    if (isSender && this.#admission.connectUnknown(nowMs)) return null;
    const load = isSender ? null : this.#admission.connect(address, this.#isTrusted(address), nowMs);
    if (load !== null) return load;
    this.meters.refused(this.#admission.refusal);
    return undefined;
  }

  begin(client: SocketHandle, address: string, load: ClientLoad | null): void {
    if (load !== null) return this.#entrance.enter(client, { address, load }, null, null);
    const rules = this.#config.proxyProtocol;
    if (rules !== null) return this.#entrance.readHeader(client, rules, address);
    // A reload came between: nobody is asked for headers any more.
    client.close();
    this.#entrance.refuse(null, 'proxy-untrusted');
  }

  #isTrusted(address: string): boolean {
    return this.#context.exchanges.runtime().trustedProxies.has(address);
  }

  /** A connection that has come through another listener: what there has been read of it says that it is one of ours. */
  takeOver(client: SocketHandle, address: string, header: ProxyHeader | null, early: Buffer | null): void {
    const { now } = this.#context.exchanges;
    const load = this.#admission.connect(address, this.#isTrusted(address), now());
    if (load === null) {
      this.meters.refused(this.#admission.refusal);
      client.close();
      return;
    }
    this.#context.descriptors.opened();
    this.meters.opened();
    // The socket that it was accepted from is that of the other, which is not prepared for tunnels.
    if (this.#config.pool !== null) prepareTunnel(client, false);
    this.#entrance.enter(client, { address, load }, header, early);
  }

  /** The sender of a header is not a client: the limits of one hold for the client that it names. */
  onClientKnown(
    client: SocketHandle,
    address: string,
    header: ProxyHeader | null,
    early: Buffer | null,
  ): void {
    const { now } = this.#context.exchanges;
    const load = this.#admission.identify(address, this.#isTrusted(address), now());
    if (load !== null) return this.#entrance.enter(client, { address, load }, header, early);
    client.close();
    this.#entrance.refuse(null, this.#admission.refusal);
  }

  onListenerKnown(
    client: SocketHandle,
    { address, load }: Client,
    listener: string,
    header: ProxyHeader | null,
    early: Buffer | null,
  ): void {
    this.#leave(load);
    const other = this.#context.listenerNamed(listener);
    if (other !== undefined) return other.takeOver(client, address, header, early);
    this.meters.refused('closed');
    client.close();
  }

  onNotEntered(load: ClientLoad | null): void {
    this.#leave(load);
  }

  onEntered(
    open: (owner: WireOwner) => Wire,
    client: Client,
    header: ProxyHeader | null,
    facts: TlsFacts | null,
    pool: string | null,
  ): Wire {
    return this.#starter.start(open, client, header, facts, pool);
  }

  /** A connection of an http listener has begun with the preface of HTTP/2: another session takes it over. */
  becomeHttp2(session: Http1Session, wire: Wire, bytes: Buffer): void {
    this.#starter.becomeHttp2(session, wire, bytes);
  }

  onSessionEnd(session: ListenerSession, load: ClientLoad): void {
    if (this.#sessions.delete(session)) this.#leave(load);
  }

  /** @param load null while its client is not known yet */
  #leave(load: ClientLoad | null): void {
    this.#admission.disconnect(load);
    this.#context.descriptors.closed();
    this.meters.closed(0, 0);
  }

  // The end ----------------------------------------------------------------------------------------------------------

  /** The configuration that comes into force does not name it. */
  retire(lastRuntime: Runtime): void {
    this.lastRuntime = lastRuntime;
    this.stopAccepting();
  }

  /** Stops accepting; the handle stays open in the supervisor and queues for this worker's successor. */
  stopAccepting(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.draining = true;
    this.#acceptor.close();
    this.drain(Number.POSITIVE_INFINITY);
  }

  drain(deadlineMs: number): void {
    this.#endsAtMs = Math.min(this.#endsAtMs, this.#context.exchanges.now() + deadlineMs);
    this.#sessions.drain(deadlineMs);
  }

  /** A tunnel begins: where this drains already, it is told as those were that were there. */
  onTunnel(tunnel: Pick<Tunnel, 'drain'>): void {
    const { now, random } = this.#context.exchanges;
    if (this.draining) tunnel.drain(this.#endsAtMs - now(), random);
  }

  closeIdle(): void {
    this.#entrance.closeSilent();
    this.#sessions.closeIdle();
  }

  /** Lets go of memory, as `Sessions.relieve` says. */
  relieve(excessBytes: number, stuckToo: boolean): number {
    return this.#sessions.relieve(excessBytes, stuckToo);
  }

  /** Ends every connection now: the drain deadline has come. */
  shutdown(): void {
    this.stopAccepting();
    this.#entrance.close();
    this.#sessions.shutdown();
  }
}

function sendersOf({ proxyProtocol }: ListenerConfig): TrustedProxies {
  return new TrustedProxies(proxyProtocol?.from ?? []);
}
