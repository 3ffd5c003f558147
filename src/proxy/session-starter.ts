// Begins the session of a connection: TCP, HTTP/1.1 or HTTP/2, by listener and handshake, or by the first bytes.

import type { ProxyHeader } from '../proxy-protocol/header.ts';
import type { Client } from './admission/client-table.ts';
import type { ExchangeContext } from './exchange-context.ts';
import { ForwardedClient } from './http/forwarded.ts';
import { Http1Session } from './http1-session.ts';
import { Http2Session } from './http2-session.ts';
import type { Listener } from './listener.ts';
import type { Sessions } from './sessions.ts';
import { TcpSession } from './tcp-session.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { Wire, WireOwner } from './wire/wire.ts';

export class SessionStarter {
  readonly #listener: Listener;
  readonly #sessions: Sessions;
  readonly #exchanges: ExchangeContext;

  constructor(listener: Listener, sessions: Sessions, exchanges: ExchangeContext) {
    this.#listener = listener;
    this.#sessions = sessions;
    this.#exchanges = exchanges;
  }

  /**
   * @param open makes the connection's wire for a session
   * @param header what a proxy before us has said of the client
   * @param facts of the handshake; null without TLS
   * @param pool that a tcp connection goes to; null for HTTP
   */
  start(
    open: (owner: WireOwner) => Wire,
    { address, load }: Client,
    header: ProxyHeader | null,
    facts: TlsFacts | null,
    pool: string | null,
  ): Wire {
    const listener = this.#listener;
    const exchanges = this.#exchanges;
    const { config } = listener;
    const { turn } = exchanges;
    let wire!: Wire;
    const makeWire = (owner: WireOwner): Wire => {
      wire = open(owner);
      wire.proxied = header;
      wire.tls = facts;
      return wire;
    };
    turn.enter();
    try {
      if (pool !== null) {
        this.#sessions.add(new TcpSession(listener, makeWire, address, load, pool, exchanges));
        return wire;
      }
      const Session = facts?.alpn === 'h2' || config.http2.only ? Http2Session : Http1Session;
      const client = new ForwardedClient(address, {
        protocol: facts === null ? 'http' : 'https',
        trusted: load.exempt,
        forwarded: config.forwarded,
        certificateLines: facts?.clientLines ?? '',
      });
      this.#sessions.add(new Session(listener, makeWire, client, load, facts, exchanges));
      return wire;
    } finally {
      turn.leave();
    }
  }

  /** A connection of an http listener has begun with the preface of HTTP/2: another session takes it over. */
  becomeHttp2(session: Http1Session, wire: Wire, bytes: Buffer): void {
    const takeOver = (owner: WireOwner): Wire => {
      wire.owner = owner;
      return wire;
    };
    this.#sessions.delete(session);
    const successor = new Http2Session(
      this.#listener,
      takeOver,
      session.client,
      session.load,
      null,
      this.#exchanges,
    );
    this.#sessions.add(successor);
    successor.onBytes(bytes, bytes.length);
  }
}
