// One listening handle in one worker: accepts connections within its limits and starts a session for each.

import type { Logger } from 'pino';
import type { HeadLimits } from '../http1/limits.ts';
import type { ListenerConfig } from '../model/config.ts';
import { NO_HEADER, type ProxyHeader } from '../proxy-protocol/header.ts';
import { ClientCounts } from './client-counts.ts';
import type { ExchangeContext } from './exchange-context.ts';
import { HelloReader } from './first-bytes/hello-reader.ts';
import { type FirstBytesReader, Opening } from './first-bytes/opening.ts';
import { ProtocolReader } from './first-bytes/protocol-reader.ts';
import { ProxyHeaderReader } from './first-bytes/proxy-header-reader.ts';
import { TlsRoutes } from './first-bytes/tls-routes.ts';
import { sayUnrecognizedName } from './first-bytes/unrecognized-name.ts';
import { ForwardedClient, TrustedProxies } from './http/forwarded.ts';
import { Http1Session } from './http1-session.ts';
import { Http2Session } from './http2-session.ts';
import type { ListenerMeters } from './meters.ts';
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
  /** A listener of this worker: for connections that one hands to another. */
  readonly listenerNamed: (name: string) => Listener | undefined;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
}

const BACKLOG = 4096;
const KEEP_ALIVE_SECONDS = 30;

export class Listener implements HandshakeOwner {
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
  readonly #clients = new ClientCounts();
  #tlsRoutes: TlsRoutes;
  readonly #handshakes = new Set<Handshake>();
  /** Of an https listener, from its first snapshot on; a connection keeps what it began with. */
  tls: ListenerTls | null = null;
  #opened = 0;
  #closed = false;

  constructor(config: ListenerConfig, handle: TcpHandle, meters: ListenerMeters, context: ListenerContext) {
    this.#config = config;
    this.#handle = handle;
    this.#context = context;
    this.meters = meters;
    this.#senders = sendersOf(config);
    this.#tlsRoutes = new TlsRoutes(config.tlsRoutes);
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
    this.#tlsRoutes = new TlsRoutes(config.tlsRoutes);
    this.#config = config;
  }

  get headLimits(): HeadLimits {
    const { headerBytes, headerCount } = this.#config.limits;
    return { headerBytes, headerCount, chunkExtensionBytes: 4096, trailerBytes: 8192 };
  }

  /** Connections that are open: those in their TLS handshake and those whose last bytes are leaving included. */
  get openConnections(): number {
    return this.#opened;
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
    this.#opened += 1;
    this.meters.opened();
    client.setNoDelay(true);
    if (isSender) {
      const reader = new ProxyHeaderReader(rules, address);
      this.#open(client, reader, null, null, (early) => this.#onHeader(client, reader, early));
      return;
    }
    this.#clients.add(address);
    this.#enter(client, address, null, null);
  }

  /** A connection that has come through another listener: what there has been read of it says that it is one of ours. */
  takeOver(client: SocketHandle, address: string, header: ProxyHeader | null, early: Buffer | null): void {
    const refusal = this.#limit(address);
    if (refusal !== null) {
      this.meters.refused(refusal);
      client.close();
      return;
    }
    this.#opened += 1;
    this.meters.opened();
    this.#clients.add(address);
    this.#enter(client, address, header, early);
  }

  /** The sender of a header is not a client: the limits of one hold for the client that it names. */
  #onHeader(client: SocketHandle, { header, peer }: ProxyHeaderReader, early: Buffer | null): void {
    const address = header?.source?.address ?? peer;
    if (this.#isOneTooMany(address)) return this.#refuse(client, null, 'client-limit');
    this.#clients.add(address);
    this.#enter(client, address, header, early);
  }

  /** Reads the first bytes of a connection before it goes on. */
  #open(
    client: SocketHandle,
    reader: FirstBytesReader,
    address: string | null,
    early: Buffer | null,
    goOn: (early: Buffer | null) => void,
  ): void {
    const opening = new Opening(
      client,
      reader,
      {
        onOpened: (rest) => {
          this.#openings.delete(opening);
          goOn(rest);
        },
        onOpeningFailed: (reason) => {
          this.#openings.delete(opening);
          this.#refused(address, reason);
        },
      },
      this.#context.wires,
    );
    this.#openings.add(opening);
    if (early !== null) opening.receive(early, early.length);
  }

  /** @param early bytes that have been read already */
  #enter(client: SocketHandle, address: string, header: ProxyHeader | null, early: Buffer | null): void {
    const { protocol, mux, timeouts } = this.#config;
    if (protocol === 'mux' && mux !== null) {
      const reader = new ProtocolReader(mux, timeouts.headerMs);
      this.#open(client, reader, address, early, (rest) => {
        this.#leave(address);
        const other = this.#context.listenerNamed(reader.listener);
        if (other !== undefined) return other.takeOver(client, address, header, rest);
        this.meters.refused('closed');
        client.close();
      });
    } else if (protocol === 'tls-passthrough') {
      const reader = new HelloReader(timeouts.headerMs);
      this.#open(client, reader, address, early, (hello) =>
        this.#passOn(client, address, header, reader, hello),
      );
    } else if (this.tls !== null) {
      const handshake = new Handshake(client, address, this.tls, this, this.#context.wires);
      handshake.proxied = header;
      this.#handshakes.add(handshake);
      if (early !== null) handshake.receive(early);
    } else {
      this.#enterPlain(client, address, header, early, this.#config.pool);
    }
  }

  /** A TLS connection whose ClientHello was read, and goes with everything else to a pool. */
  #passOn(
    client: SocketHandle,
    address: string,
    header: ProxyHeader | null,
    { serverName, hello }: HelloReader,
    early: Buffer | null,
  ): void {
    const pool = this.#tlsRoutes.choose(serverName, hello?.alpn ?? [], this.#context.exchanges.random());
    if (pool === null) {
      sayUnrecognizedName(client);
      return this.#refused(address, 'hello-no-route');
    }
    const told = header ?? NO_HEADER;
    this.#enterPlain(client, address, { ...told, authority: serverName }, early, pool);
  }

  #enterPlain(
    client: SocketHandle,
    address: string,
    header: ProxyHeader | null,
    early: Buffer | null,
    pool: string | null,
  ): void {
    const { wires } = this.#context;
    if (pool !== null) client.setKeepAlive(true, KEEP_ALIVE_SECONDS);
    const wire = this.#begin((owner) => Wire.accepted(client, owner, wires), address, header, null, pool);
    if (early !== null && !wire.closed) wire.receive(early, early.length);
  }

  #refuse(client: SocketHandle, address: string | null, reason: string): void {
    client.close();
    this.#refused(address, reason);
  }

  #refused(address: string | null, reason: string): void {
    this.meters.refused(reason);
    const { name } = this.#config;
    this.#context.log.debug({ code: reason, listener: name, client: address }, 'connection refused');
    this.#leave(address);
  }

  #refusal(address: string, isSender: boolean): string | null {
    if (this.#closed || address === '' || (this.#config.protocol === 'https' && this.tls === null))
      return 'closed';
    if (isSender) return this.#opened >= this.#config.limits.connections ? 'listener-limit' : null;
    if (this.#config.proxyProtocol?.mode === 'required') return 'proxy-untrusted';
    return this.#limit(address);
  }

  #limit(address: string): string | null {
    if (this.#opened >= this.#config.limits.connections) return 'listener-limit';
    return this.#isOneTooMany(address) ? 'client-limit' : null;
  }

  #isOneTooMany(address: string): boolean {
    return this.#clients.count(address) >= this.#config.limits.connectionsPerClient;
  }

  #begin(
    open: (owner: WireOwner) => Wire,
    address: string,
    header: ProxyHeader | null,
    facts: TlsFacts | null,
    pool: string | null,
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
        pool !== null
          ? new TcpSession(this, makeWire, address, pool, exchanges)
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
    this.meters.handshaken(facts.version, facts.resumed);
    const { wires } = this.#context;
    this.#begin(
      (owner) => handshake.toWire((socket) => Wire.secure(socket, owner, wires)),
      handshake.address,
      handshake.proxied,
      facts,
      null,
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
    this.#opened -= 1;
    this.meters.closed(0, 0);
    if (address === null) return;
    this.#clients.remove(address);
  }
}

function sendersOf({ proxyProtocol }: ListenerConfig): TrustedProxies {
  return new TrustedProxies(proxyProtocol?.from ?? []);
}
