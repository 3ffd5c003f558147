// One listening handle in one worker: accepts connections within its limits and starts a session for each.

import type { Logger } from 'pino';
import type { HeadLimits } from '../http1/limits.ts';
import type { ListenerConfig } from '../model/config.ts';
import type { FailureCode } from '../model/failures.ts';
import { NO_HEADER, type ProxyHeader } from '../proxy-protocol/header.ts';
import { Admission, type Pressure } from './admission/admission.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { Descriptors } from './descriptors.ts';
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
  /** The listener has stopped accepting, and ends in `deadlineMs` (Infinity: not by itself): clients are told. */
  drain(deadlineMs: number): void;
  /** Closes a connection that has waited for a request for so long, and says whether it did. */
  closeIfIdle(forMs: number): boolean;
  /** Bytes that wait for the client to read them. */
  readonly queuedBytes: number;
  /** Ends it now, whatever it does; `code` is why the request in progress failed. */
  shutdown(code: FailureCode): void;
}

export interface ListenerContext {
  readonly wires: WireContext;
  readonly exchanges: ExchangeContext;
  /** The memory ceiling of the worker. */
  readonly pressure: Pressure;
  /** A listener of this worker: for connections that one hands to another. */
  readonly listenerNamed: (name: string) => Listener | undefined;
  readonly descriptors: Descriptors;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
}

const BACKLOG = 4096;
const KEEP_ALIVE_SECONDS = 30;
/** Under pressure a connection is let go when it has waited so long: those in use come back within it. */
const IDLE_UNDER_PRESSURE_MS = 1000;
/** What a client must leave unread to be cut under pressure. */
const STUCK_BYTES = 16 * 1024;
/** Connections that are ended in one go, so that relief is no stall of its own. */
const RELIEVED_AT_ONCE = 500;

/** Who a connection is from, and what that client has open. */
interface Client {
  readonly address: string;
  readonly load: ClientLoad;
}

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
  readonly #admission: Admission;
  #tlsRoutes: TlsRoutes;
  readonly #handshakes = new Map<Handshake, ClientLoad>();
  /** Of an https listener, from its first snapshot on; a connection keeps what it began with. */
  tls: ListenerTls | null = null;
  #closed = false;

  constructor(config: ListenerConfig, handle: TcpHandle, meters: ListenerMeters, context: ListenerContext) {
    this.#config = config;
    this.#handle = handle;
    this.#context = context;
    this.meters = meters;
    this.#senders = sendersOf(config);
    this.#tlsRoutes = new TlsRoutes(config.tlsRoutes);
    this.#admission = new Admission(() => this.#config.limits, context.pressure);
    const bound: { port?: number } = {};
    handle.getsockname(bound);
    this.port = bound.port ?? config.port;
    handle.onconnection = (status, client) => this.#accept(status, client);
    const status = handle.listen(BACKLOG);
    if (status !== 0) throw new Error(`cannot listen on ${config.host}:${config.port} (status ${status})`);
    context.descriptors.listening(1);
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

  onSessionEnd(session: ListenerSession, load: ClientLoad): void {
    if (this.#sessions.delete(session)) this.#leave(load);
  }

  /** A connection of an http listener has begun with the preface of HTTP/2: another session takes it over. */
  becomeHttp2(session: Http1Session, wire: Wire, bytes: Buffer): void {
    const { exchanges } = this.#context;
    const takeOver = (owner: WireOwner): Wire => {
      wire.owner = owner;
      return wire;
    };
    this.#sessions.delete(session);
    const successor = new Http2Session(this, takeOver, session.client, session.load, null, exchanges);
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
    this.#context.descriptors.listening(-1);
    this.drain(Number.POSITIVE_INFINITY);
  }

  drain(deadlineMs: number): void {
    for (const session of this.#sessions) session.drain(deadlineMs);
  }

  closeIdle(): void {
    for (const session of this.#sessions) session.closeIfIdle(0);
  }

  /**
   * Lets go of memory: connections that wait for a request, and where that was not enough those whose clients leave
   * the most unread.
   * @param excessBytes how much too much there is
   * @param stuckToo the first step was made before
   * @returns the bytes that were held for the clients that were cut
   */
  relieve(excessBytes: number, stuckToo: boolean): number {
    let ended = 0;
    for (const session of this.#sessions) {
      if (ended >= RELIEVED_AT_ONCE) break;
      if (!session.closeIfIdle(IDLE_UNDER_PRESSURE_MS)) continue;
      this.meters.ended('memory-limit');
      ended += 1;
    }
    return stuckToo ? this.#cutStuck(excessBytes) : 0;
  }

  #cutStuck(excessBytes: number): number {
    const stuck = [...this.#sessions].filter((session) => session.queuedBytes >= STUCK_BYTES);
    stuck.sort((left, right) => right.queuedBytes - left.queuedBytes);
    let freed = 0;
    for (const session of stuck.slice(0, RELIEVED_AT_ONCE)) {
      if (freed >= excessBytes) break;
      freed += session.queuedBytes;
      this.meters.ended('memory-limit');
      session.shutdown('memory-limit');
    }
    return freed;
  }

  /** Ends every session now: the drain deadline has come. */
  shutdown(): void {
    this.stopAccepting();
    for (const opening of this.#openings) opening.close();
    for (const handshake of this.#handshakes.keys()) handshake.close();
    for (const session of this.#sessions) session.shutdown('client-aborted');
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
    const load = this.#admit(address, isSender);
    if (load === undefined) {
      client.close();
      return;
    }
    this.#context.descriptors.opened();
    this.meters.opened();
    client.setNoDelay(true);
    if (load === null) {
      const reader = new ProxyHeaderReader(rules!, address);
      this.#open(client, reader, null, null, (early) => this.#onHeader(client, reader, early));
      return;
    }
    this.#enter(client, { address, load }, null, null);
  }

  /** Undefined, and counted by the limit, for a connection that is not taken; null where its client is not known yet. */
  #admit(address: string, isSender: boolean): ClientLoad | null | undefined {
    const isClosed =
      this.#closed || address === '' || (this.#config.protocol === 'https' && this.tls === null);
    if (isClosed) {
      this.meters.refused('closed');
      return undefined;
    }
    if (!this.#context.descriptors.mayAccept) {
      this.meters.refused('descriptor-limit');
      return undefined;
    }
    if (!isSender && this.#config.proxyProtocol?.mode === 'required') {
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
    this.#enter(client, { address, load }, header, early);
  }

  /** The sender of a header is not a client: the limits of one hold for the client that it names. */
  #onHeader(client: SocketHandle, { header, peer }: ProxyHeaderReader, early: Buffer | null): void {
    const address = header?.source?.address ?? peer;
    const { now } = this.#context.exchanges;
    const load = this.#admission.identify(address, this.#isTrusted(address), now());
    if (load !== null) return this.#enter(client, { address, load }, header, early);
    client.close();
    this.#refused(null, this.#admission.refusal);
  }

  /** Reads the first bytes of a connection before it goes on. */
  #open(
    client: SocketHandle,
    reader: FirstBytesReader,
    from: Client | null,
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
          this.#refused(from, reason);
        },
      },
      this.#context.wires,
    );
    this.#openings.add(opening);
    if (early !== null) opening.receive(early, early.length);
  }

  /** @param early bytes that have been read already */
  #enter(client: SocketHandle, from: Client, header: ProxyHeader | null, early: Buffer | null): void {
    const { address, load } = from;
    const { protocol, mux, timeouts } = this.#config;
    if (protocol === 'mux' && mux !== null) {
      const reader = new ProtocolReader(mux, timeouts.headerMs);
      this.#open(client, reader, from, early, (rest) => {
        this.#leave(load);
        const other = this.#context.listenerNamed(reader.listener);
        if (other !== undefined) return other.takeOver(client, address, header, rest);
        this.meters.refused('closed');
        client.close();
      });
    } else if (protocol === 'tls-passthrough') {
      const reader = new HelloReader(timeouts.headerMs);
      this.#open(client, reader, from, early, (hello) => this.#passOn(client, from, header, reader, hello));
    } else if (this.tls !== null) {
      const handshake = new Handshake(client, address, this.tls, this, this.#context.wires);
      handshake.proxied = header;
      this.#handshakes.set(handshake, load);
      if (early !== null) handshake.receive(early);
    } else {
      this.#enterPlain(client, from, header, early, this.#config.pool);
    }
  }

  /** A TLS connection whose ClientHello was read, and goes with everything else to a pool. */
  #passOn(
    client: SocketHandle,
    from: Client,
    header: ProxyHeader | null,
    { serverName, hello }: HelloReader,
    early: Buffer | null,
  ): void {
    const pool = this.#tlsRoutes.choose(serverName, hello?.alpn ?? [], this.#context.exchanges.random());
    if (pool === null) {
      sayUnrecognizedName(client);
      return this.#refused(from, 'hello-no-route');
    }
    const told = header ?? NO_HEADER;
    this.#enterPlain(client, from, { ...told, authority: serverName }, early, pool);
  }

  #enterPlain(
    client: SocketHandle,
    from: Client,
    header: ProxyHeader | null,
    early: Buffer | null,
    pool: string | null,
  ): void {
    const { wires } = this.#context;
    if (pool !== null) client.setKeepAlive(true, KEEP_ALIVE_SECONDS);
    const wire = this.#begin((owner) => Wire.accepted(client, owner, wires), from, header, null, pool);
    if (early !== null && !wire.closed) wire.receive(early, early.length);
  }

  /** @param from null while its client is not known yet */
  #refused(from: Client | null, reason: string): void {
    this.meters.refused(reason);
    const { name } = this.#config;
    const client = from === null ? null : from.address;
    this.#context.log.debug({ code: reason, listener: name, client }, 'connection refused');
    this.#leave(from === null ? null : from.load);
  }

  #begin(
    open: (owner: WireOwner) => Wire,
    { address, load }: Client,
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
      if (pool !== null) {
        this.#sessions.add(new TcpSession(this, makeWire, address, load, pool, exchanges));
        return wire;
      }
      const Session = facts?.alpn === 'h2' || this.#config.http2.only ? Http2Session : Http1Session;
      const forwarded = this.#forwardedClient(address, load.exempt, facts);
      this.#sessions.add(new Session(this, makeWire, forwarded, load, facts, exchanges));
      return wire;
    } finally {
      turn.leave();
    }
  }

  #forwardedClient(address: string, trusted: boolean, facts: TlsFacts | null): ForwardedClient {
    return new ForwardedClient(address, {
      protocol: facts === null ? 'http' : 'https',
      trusted,
      forwarded: this.#config.forwarded,
      certificateLines: facts?.clientLines ?? '',
    });
  }

  onSecure(handshake: Handshake, facts: TlsFacts): void {
    const load = this.#handshakes.get(handshake)!;
    this.#handshakes.delete(handshake);
    this.meters.handshaken(facts.version, facts.resumed);
    const { wires } = this.#context;
    this.#begin(
      (owner) => handshake.toWire((socket) => Wire.secure(socket, owner, wires)),
      { address: handshake.address, load },
      handshake.proxied,
      facts,
      null,
    );
  }

  onHandshakeFailed(handshake: Handshake, reason: HandshakeFailure, detail: string): void {
    const load = this.#handshakes.get(handshake)!;
    this.#handshakes.delete(handshake);
    this.meters.refused(reason);
    const { address } = handshake;
    this.#context.log.debug(
      { code: reason, listener: this.#config.name, client: address, detail },
      'TLS handshake failed',
    );
    this.#leave(load);
  }

  /** @param load null while its client is not known yet */
  #leave(load: ClientLoad | null): void {
    this.#admission.disconnect(load);
    this.#context.descriptors.closed();
    this.meters.closed(0, 0);
  }
}

function sendersOf({ proxyProtocol }: ListenerConfig): TrustedProxies {
  return new TrustedProxies(proxyProtocol?.from ?? []);
}
