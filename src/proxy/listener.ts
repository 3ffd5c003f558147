// One listening handle in one worker: accepts connections within its limits and starts a session for each.

import type { Logger } from 'pino';
import type { HeadLimits } from '../http1/limits.ts';
import type { ListenerConfig } from '../model/config.ts';
import type { ProxyHeader } from '../proxy-protocol/header.ts';
import type { ExchangeContext } from './exchange-context.ts';
import { ForwardedClient, TrustedProxies } from './http/forwarded.ts';
import { Http1Session } from './http1-session.ts';
import { Http2Session } from './http2-session.ts';
import type { ListenerMeters } from './meters.ts';
import { Opening, type OpeningFailure, type OpeningOwner } from './opening.ts';
import { TcpSession } from './tcp-session.ts';
import { Handshake, type HandshakeFailure, type HandshakeOwner } from './tls/handshake.ts';
import type { ListenerTls } from './tls/listener-tls.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { SocketHandle } from './wire/tcp-binding.ts';
import { unmapped } from './wire/unmapped.ts';
import { Wire, type WireContext, type WireOwner } from './wire/wire.ts';

/** A libuv TCP handle: what `net` keeps in `_handle`. Bound by the supervisor, received over IPC. */
export interface TcpHandle {
  onconnection: ((status: number, client: SocketHandle) => void) | null;
  listen(backlog: number): number;
  close(callback?: () => void): void;
  getsockname(out: { address?: string; port?: number }): number;
}

export interface ListenerSession {
  /** Closes a connection that waits for a request. */
  /** The listener has stopped accepting, and ends in `deadlineMs` (Infinity: not by itself): clients are told. */
  drain(deadlineMs: number): void;
  closeIfIdle(): void;
  shutdown(): void;
}

export interface ListenerContext {
  readonly wires: WireContext;
  readonly exchanges: ExchangeContext;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
}

const BACKLOG = 4096;
const KEEP_ALIVE_SECONDS = 30;

export class Listener implements HandshakeOwner, OpeningOwner {
  draining = false;
  readonly meters: ListenerMeters;
  readonly port: number;
  #config: ListenerConfig;
  readonly #handle: TcpHandle;
  readonly #context: ListenerContext;
  readonly #sessions = new Set<ListenerSession>();
  readonly #openings = new Set<Opening>();
  /** Who may send PROXY headers. */
  #senders: TrustedProxies;
  readonly #byClient = new Map<string, number>();
  readonly #handshakes = new Set<Handshake>();
  /** Of an https listener, from its first snapshot on; a connection keeps what it began with. */
  tls: ListenerTls | null = null;
  #open = 0;
  #closed = false;

  constructor(config: ListenerConfig, handle: TcpHandle, meters: ListenerMeters, context: ListenerContext) {
    this.#config = config;
    this.#handle = handle;
    this.#context = context;
    this.meters = meters;
    this.#senders = sendersOf(config);
    const bound: { port?: number } = {};
    handle.getsockname(bound);
    this.port = bound.port ?? config.port;
    handle.onconnection = (status, client) => this.#accept(status, client);
    const status = handle.listen(BACKLOG);
    if (status !== 0) throw new Error(`cannot listen on ${config.host}:${config.port} (status ${status})`);
  }

  get config(): ListenerConfig {
    return this.#config;
  }

  /** Limits and timeouts of a reload; connections that are open keep their parser's bounds. */
  set config(config: ListenerConfig) {
    if (config.proxyProtocol !== this.#config.proxyProtocol) this.#senders = sendersOf(config);
    this.#config = config;
  }

  get headLimits(): HeadLimits {
    const { headerBytes, headerCount } = this.#config.limits;
    return { headerBytes, headerCount, chunkExtensionBytes: 4096, trailerBytes: 8192 };
  }

  /** Connections that are open: those in their TLS handshake and those whose last bytes are leaving included. */
  get openConnections(): number {
    return this.#open;
  }

  onSessionEnd(session: ListenerSession, client: string): void {
    if (!this.#sessions.delete(session)) return;
    this.#leave(client);
  }

  /** A connection of an http listener has begun with the preface of HTTP/2: another session takes it over. */
  becomeHttp2(session: ListenerSession, wire: Wire, client: ForwardedClient, bytes: Buffer): void {
    const { exchanges } = this.#context;
    const takeOver = (owner: WireOwner): Wire => {
      wire.owner = owner;
      return wire;
    };
    this.#sessions.delete(session);
    const successor = new Http2Session(this, takeOver, client, null, exchanges);
    this.#sessions.add(successor);
    successor.onBytes(bytes, bytes.length);
  }

  /** Stops accepting; the handle stays open in the supervisor and queues for this worker's successor. */
  stopAccepting(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.draining = true;
    this.#handle.onconnection = null;
    this.#handle.close();
    this.drain(Number.POSITIVE_INFINITY);
  }

  drain(deadlineMs: number): void {
    for (const session of this.#sessions) session.drain(deadlineMs);
  }

  closeIdle(): void {
    for (const session of this.#sessions) session.closeIfIdle();
  }

  /** Ends every session now: the drain deadline has come. */
  shutdown(): void {
    this.stopAccepting();
    for (const opening of this.#openings) opening.close();
    for (const handshake of this.#handshakes) handshake.close();
    for (const session of this.#sessions) session.shutdown();
  }

  #accept(status: number, client: SocketHandle): void {
    if (status !== 0) {
      this.meters.refused('accept-failed');
      this.#context.log.warn({ code: 'accept-failed', listener: this.#config.name, status }, 'accept failed');
      return;
    }
    const peer: { address?: string } = {};
    client.getpeername(peer);
    const address = unmapped(peer.address ?? '');
    const rules = this.#config.proxyProtocol;
    const isSender = rules !== null && this.#senders.has(address);
    const refusal = this.#refusal(address, isSender);
    if (refusal !== null) {
      this.meters.refused(refusal);
      client.close();
      return;
    }
    this.#open += 1;
    this.meters.opened();
    client.setNoDelay(true);
    if (this.#config.protocol === 'tcp') client.setKeepAlive(true, KEEP_ALIVE_SECONDS);
    if (isSender) {
      this.#openings.add(new Opening(client, address, rules, this, this.#context.wires));
      return;
    }
    this.#countClient(address);
    this.#enter(client, address, null, null);
  }

  /** The sender of a header is not a client: the limits of one hold for the client that it names. */
  onOpened(opening: Opening, header: ProxyHeader | null, early: Buffer | null): void {
    this.#openings.delete(opening);
    const address = header?.source?.address ?? opening.peer;
    const client = opening.handle;
    if (this.#isOneTooMany(address)) {
      this.meters.refused('client-limit');
      client.close();
      this.#leave(null);
      return;
    }
    this.#countClient(address);
    this.#enter(client, address, header, early);
  }

  onOpeningFailed(opening: Opening, reason: OpeningFailure): void {
    this.#openings.delete(opening);
    this.meters.refused(reason);
    const { name } = this.#config;
    this.#context.log.debug({ code: reason, listener: name, peer: opening.peer }, 'connection refused');
    this.#leave(null);
  }

  /** @param early bytes that have been read already */
  #enter(client: SocketHandle, address: string, header: ProxyHeader | null, early: Buffer | null): void {
    const { wires } = this.#context;
    if (this.tls !== null) {
      const handshake = new Handshake(client, address, this.tls, this, wires);
      handshake.proxied = header;
      this.#handshakes.add(handshake);
      if (early !== null) handshake.receive(early);
      return;
    }
    const wire = this.#begin((owner) => Wire.accepted(client, owner, wires), address, header, null);
    if (early !== null && !wire.closed) wire.receive(early, early.length);
  }

  #refusal(address: string, isSender: boolean): string | null {
    if (this.#closed || address === '' || (this.#config.protocol === 'https' && this.tls === null))
      return 'closed';
    if (this.#open >= this.#config.limits.connections) return 'listener-limit';
    if (isSender) return null;
    if (this.#config.proxyProtocol?.mode === 'required') return 'proxy-untrusted';
    return this.#isOneTooMany(address) ? 'client-limit' : null;
  }

  #isOneTooMany(address: string): boolean {
    return (this.#byClient.get(address) ?? 0) >= this.#config.limits.connectionsPerClient;
  }

  #countClient(address: string): void {
    this.#byClient.set(address, (this.#byClient.get(address) ?? 0) + 1);
  }

  #begin(
    open: (owner: WireOwner) => Wire,
    address: string,
    header: ProxyHeader | null,
    facts: TlsFacts | null,
  ): Wire {
    const { exchanges } = this.#context;
    let wire!: Wire;
    const makeWire = (owner: WireOwner): Wire => {
      wire = open(owner);
      wire.proxied = header;
      wire.tls = facts;
      return wire;
    };
    const { turn } = exchanges;
    turn.enter();
    try {
      const session =
        this.#config.protocol === 'tcp'
          ? new TcpSession(this, makeWire, address, exchanges)
          : facts?.alpn === 'h2'
            ? new Http2Session(this, makeWire, this.#forwardedClient(address, facts), facts, exchanges)
            : new Http1Session(this, makeWire, this.#forwardedClient(address, facts), facts, exchanges);
      this.#sessions.add(session);
      return wire;
    } finally {
      turn.leave();
    }
  }

  #forwardedClient(address: string, facts: TlsFacts | null): ForwardedClient {
    const trusted = this.#context.exchanges.runtime().trustedProxies.has(address);
    return new ForwardedClient(address, {
      protocol: facts === null ? 'http' : 'https',
      trusted,
      forwarded: this.#config.forwarded,
      certificateLines: facts?.clientLines ?? '',
    });
  }

  onSecure(handshake: Handshake, facts: TlsFacts): void {
    this.#handshakes.delete(handshake);
    const { wires } = this.#context;
    this.#begin(
      (owner) => handshake.toWire((socket) => Wire.secure(socket, owner, wires)),
      handshake.address,
      handshake.proxied,
      facts,
    );
  }

  onHandshakeFailed(handshake: Handshake, reason: HandshakeFailure, detail: string): void {
    this.#handshakes.delete(handshake);
    this.meters.refused(reason);
    const { address } = handshake;
    this.#context.log.debug(
      { code: reason, listener: this.#config.name, client: address, detail },
      'TLS handshake failed',
    );
    this.#leave(address);
  }

  /** @param address null while its client is not known yet */
  #leave(address: string | null): void {
    this.#open -= 1;
    this.meters.closed(0, 0);
    if (address === null) return;
    const left = (this.#byClient.get(address) ?? 1) - 1;
    if (left <= 0) this.#byClient.delete(address);
    else this.#byClient.set(address, left);
  }
}

function sendersOf({ proxyProtocol }: ListenerConfig): TrustedProxies {
  return new TrustedProxies(proxyProtocol?.from ?? []);
}
