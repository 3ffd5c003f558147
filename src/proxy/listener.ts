// One listening handle in one worker: accepts connections within its limits and starts a session for each.

import type { Logger } from 'pino';
import type { HeadLimits } from '../http1/limits.ts';
import type { ListenerConfig } from '../model/config.ts';
import type { ExchangeContext } from './exchange-context.ts';
import { ForwardedClient } from './http/forwarded.ts';
import { Http1Session } from './http1-session.ts';
import { Http2Session } from './http2-session.ts';
import type { ListenerMeters } from './meters.ts';
import { TcpSession } from './tcp-session.ts';
import { Handshake, type HandshakeFailure, type HandshakeOwner } from './tls/handshake.ts';
import type { ListenerTls } from './tls/listener-tls.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import { Wire, type WireContext, type WireOwner } from './wire/wire.ts';

/** A libuv TCP handle: what `net` keeps in `_handle`. Bound by the supervisor, received over IPC. */
export interface TcpHandle {
  onconnection: ((status: number, client: ClientHandle) => void) | null;
  listen(backlog: number): number;
  close(callback?: () => void): void;
  getsockname(out: { address?: string; port?: number }): number;
}

interface ClientHandle {
  getpeername(out: { address?: string }): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, delaySeconds: number): number;
  close(): void;
}

export interface ListenerSession {
  /** Closes a connection that waits for a request. */
  /** The listener has stopped accepting: what can be told to a client is told. */
  drain(): void;
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

export class Listener implements HandshakeOwner {
  draining = false;
  readonly meters: ListenerMeters;
  readonly port: number;
  #config: ListenerConfig;
  readonly #handle: TcpHandle;
  readonly #context: ListenerContext;
  readonly #sessions = new Set<ListenerSession>();
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
    for (const session of this.#sessions) session.drain();
  }

  closeIdle(): void {
    for (const session of this.#sessions) session.closeIfIdle();
  }

  /** Ends every session now: the drain deadline has come. */
  shutdown(): void {
    this.stopAccepting();
    for (const handshake of this.#handshakes) handshake.close();
    for (const session of this.#sessions) session.shutdown();
  }

  #accept(status: number, client: ClientHandle): void {
    if (status !== 0) {
      this.meters.refused('accept-failed');
      this.#context.log.warn({ code: 'accept-failed', listener: this.#config.name, status }, 'accept failed');
      return;
    }
    const peer: { address?: string } = {};
    client.getpeername(peer);
    const address = unmapped(peer.address ?? '');
    const refusal = this.#refusal(address);
    if (refusal !== null) {
      this.meters.refused(refusal);
      client.close();
      return;
    }
    this.#open += 1;
    this.#byClient.set(address, (this.#byClient.get(address) ?? 0) + 1);
    this.meters.opened();
    client.setNoDelay(true);
    if (this.#config.protocol === 'tcp') client.setKeepAlive(true, KEEP_ALIVE_SECONDS);
    if (this.tls !== null) {
      this.#handshakes.add(new Handshake(client, address, this.tls, this, this.#context.wires));
    } else {
      this.#begin((owner) => Wire.plain(client, owner, this.#context.wires), address, null);
    }
  }

  #refusal(address: string): string | null {
    const { connections, connectionsPerClient } = this.#config.limits;
    if (this.#closed || address === '' || (this.#config.protocol === 'https' && this.tls === null))
      return 'closed';
    if (this.#open >= connections) return 'listener-limit';
    if ((this.#byClient.get(address) ?? 0) >= connectionsPerClient) return 'client-limit';
    return null;
  }

  #begin(makeWire: (owner: WireOwner) => Wire, address: string, facts: TlsFacts | null): void {
    const { exchanges } = this.#context;
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

  #leave(address: string): void {
    this.#open -= 1;
    const left = (this.#byClient.get(address) ?? 1) - 1;
    if (left <= 0) this.#byClient.delete(address);
    else this.#byClient.set(address, left);
    this.meters.closed(0, 0);
  }
}

/** An IPv4 client of a dual-stack socket is named by its IPv4 address. */
function unmapped(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
