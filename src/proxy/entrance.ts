// From an admitted connection to its session: reads what has to be read first, and shakes hands where TLS is spoken.

import type { Logger } from 'pino';
import type { ListenerConfig, ProxyProtocolIn } from '../model/listener-config.ts';
import { NO_HEADER, type ProxyHeader } from '../proxy-protocol/header.ts';
import type { Client, ClientLoad } from './admission/client-table.ts';
import { HelloReader } from './first-bytes/hello-reader.ts';
import { type FirstBytesReader, Opening } from './first-bytes/opening.ts';
import { ProtocolReader } from './first-bytes/protocol-reader.ts';
import { ProxyHeaderReader } from './first-bytes/proxy-header-reader.ts';
import { TlsRoutes } from './first-bytes/tls-routes.ts';
import { sayUnrecognizedName } from './first-bytes/unrecognized-name.ts';
import type { ListenerMeters } from './meters.ts';
import { Roster } from './roster.ts';
import { Handshake, type HandshakeFailure, type HandshakeOwner } from './tls/handshake.ts';
import type { ListenerTls } from './tls/listener-tls.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import { prepareTunnel } from './wire/accepted-options.ts';
import { acceptedWire, secureWire } from './wire/open-wire.ts';
import type { SocketHandle } from './wire/socket-handle.ts';
import type { Wire, WireContext, WireOwner } from './wire/wire.ts';

export interface EntranceOwner {
  /** A connection whose client was not known has said who that is; `early` came behind that. */
  onClientKnown(
    client: SocketHandle,
    address: string,
    header: ProxyHeader | null,
    early: Buffer | null,
  ): void;
  /** It is known which listener of the worker a connection is for. */
  onListenerKnown(
    client: SocketHandle,
    from: Client,
    listener: string,
    header: ProxyHeader | null,
    early: Buffer | null,
  ): void;
  /** The session begins, over the wire that `open` makes; a tunnel to `pool` where there is one. Returns the wire. */
  onEntered(
    open: (owner: WireOwner) => Wire,
    from: Client,
    header: ProxyHeader | null,
    facts: TlsFacts | null,
    pool: string | null,
  ): Wire;
  /** The connection is closed, and was counted. @param load null while its client was not known */
  onNotEntered(load: ClientLoad | null): void;
}

export interface EntranceContext {
  readonly wires: WireContext;
  readonly random: () => number;
  readonly log: Pick<Logger, 'debug'>;
}

export class Entrance implements HandshakeOwner {
  readonly #owner: EntranceOwner;
  readonly #meters: ListenerMeters;
  readonly #context: EntranceContext;
  readonly #openings = new Roster<Opening>();
  readonly #handshakes = new Roster<Handshake>();
  #config: ListenerConfig;
  #tlsRoutes: TlsRoutes;
  #tls: ListenerTls | null = null;

  constructor(
    config: ListenerConfig,
    owner: EntranceOwner,
    meters: ListenerMeters,
    context: EntranceContext,
  ) {
    this.#config = config;
    this.#owner = owner;
    this.#meters = meters;
    this.#context = context;
    this.#tlsRoutes = new TlsRoutes(config.tlsRoutes);
  }

  /** An https listener can do nothing before it has its TLS. */
  get isReady(): boolean {
    return this.#tls !== null || this.#config.protocol !== 'https';
  }

  /** For connections to come; those that are on their way keep what they began with. */
  follow(config: ListenerConfig, tls: ListenerTls | null): void {
    this.#config = config;
    this.#tls = tls;
    this.#tlsRoutes = new TlsRoutes(config.tlsRoutes);
  }

  /** Reads the PROXY header of a connection that somebody else has accepted for its client. */
  readHeader(client: SocketHandle, rules: ProxyProtocolIn, peer: string): void {
    const reader = new ProxyHeaderReader(rules, peer);
    this.#open(client, reader, null, null, (early) => {
      const { header } = reader;
      this.#owner.onClientKnown(client, header?.source?.address ?? peer, header, early);
    });
  }

  /** @param early bytes that have been read already */
  enter(client: SocketHandle, from: Client, header: ProxyHeader | null, early: Buffer | null): void {
    const { protocol, mux, timeouts } = this.#config;
    if (protocol === 'mux' && mux !== null) {
      const reader = new ProtocolReader(mux, timeouts.headerMs);
      this.#open(client, reader, from, early, (rest) =>
        this.#owner.onListenerKnown(client, from, reader.listener, header, rest),
      );
    } else if (protocol === 'tls-passthrough') {
      const reader = new HelloReader(timeouts.headerMs);
      this.#open(client, reader, from, early, (hello) => this.#passOn(client, from, header, reader, hello));
    } else if (this.#tls !== null) {
      const { wires } = this.#context;
      const handshake = new Handshake(client, from, this.#tls, this, wires);
      handshake.proxied = header;
      this.#handshakes.add(handshake);
      if (early !== null) handshake.receive(early);
    } else {
      this.#enterPlain(client, from, header, early, this.#config.pool);
    }
  }

  /** Counts a connection that comes to nothing, which is closed already. @param from null while its client is not known */
  refuse(from: Client | null, reason: string): void {
    const client = from === null ? null : from.address;
    this.#meters.refused(reason);
    this.#context.log.debug({ code: reason, listener: this.#config.name, client }, 'connection refused');
    this.#owner.onNotEntered(from === null ? null : from.load);
  }

  /** Ends every connection of which nothing has come yet. */
  closeSilent(): void {
    for (const opening of this.#openings) if (opening.isSilent) opening.close();
    for (const handshake of this.#handshakes) if (handshake.isSilent) handshake.close();
  }

  /** Ends every connection that has not come to its session. */
  close(): void {
    for (const opening of this.#openings) opening.close();
    for (const handshake of this.#handshakes) handshake.close();
  }

  onSecure(handshake: Handshake, facts: TlsFacts): void {
    this.#handshakes.delete(handshake);
    this.#meters.handshaken(facts.version, facts.resumed);
    const { wires } = this.#context;
    this.#owner.onEntered(
      (owner) => handshake.toWire((socket) => secureWire(socket, owner, wires)),
      handshake.client,
      handshake.proxied,
      facts,
      null,
    );
  }

  onHandshakeFailed(handshake: Handshake, reason: HandshakeFailure, detail: string): void {
    const { address, load } = handshake.client;
    this.#handshakes.delete(handshake);
    this.#meters.refused(reason);
    this.#context.log.debug(
      { code: reason, listener: this.#config.name, client: address, detail },
      'TLS handshake failed',
    );
    this.#owner.onNotEntered(load);
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
          this.refuse(from, reason);
        },
      },
      this.#context.wires,
    );
    this.#openings.add(opening);
    if (early !== null) opening.receive(early, early.length);
  }

  /** A TLS connection whose ClientHello was read, and goes with everything else to a pool. */
  #passOn(
    client: SocketHandle,
    from: Client,
    header: ProxyHeader | null,
    { serverName, hello }: HelloReader,
    early: Buffer | null,
  ): void {
    const pool = this.#tlsRoutes.choose(serverName, hello?.alpn ?? [], this.#context.random());
    if (pool === null) {
      sayUnrecognizedName(this.#toLibuv(client));
      return this.refuse(from, 'hello-no-route');
    }
    const told = header ?? NO_HEADER;
    this.#enterPlain(client, from, { ...told, authority: serverName }, early, pool);
  }

  /** Of a connection that is not read by us any more. */
  #toLibuv(client: SocketHandle): SocketHandle {
    const { tcp } = this.#context.wires;
    return tcp === null ? client : tcp.toLibuv(client);
  }

  #enterPlain(
    client: SocketHandle,
    from: Client,
    header: ProxyHeader | null,
    early: Buffer | null,
    pool: string | null,
  ): void {
    const { wires } = this.#context;
    if (pool !== null) prepareTunnel(client, pool === this.#config.pool);
    const open = (owner: WireOwner): Wire => acceptedWire(client, owner, wires);
    const wire = this.#owner.onEntered(open, from, header, null, pool);
    if (early !== null && !wire.closed) wire.receive(early, early.length);
  }
}
