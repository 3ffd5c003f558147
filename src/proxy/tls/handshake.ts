// One accepted connection from its first byte to the end of its TLS handshake: the ClientHello is read, then answered.

import type { ProxyHeader } from '../../proxy-protocol/header.ts';
import type { Client } from '../admission/client-table.ts';
import type { Deadline } from '../deadlines.ts';
import { sayUnrecognizedName } from '../first-bytes/unrecognized-name.ts';
import type { Placed } from '../roster.ts';
import { type FirstReader, type FirstReaderOwner, readFirst } from '../wire/first-reader.ts';
import type { SecureSocket, SecureSocketOwner } from '../wire/secure-socket.ts';
import type { SocketHandle } from '../wire/socket-handle.ts';
import type { TlsContext } from '../wire/tls-context.ts';
import { TlsSocket } from '../wire/tls-socket.ts';
import type { Wire, WireContext } from '../wire/wire.ts';
import { AcceptedSocket } from './accepted-socket.ts';
import type { Identity } from './certificates.ts';
import { type ClientVerdict, clientCertificateLines } from './client-certificate.ts';
import { type ClientHello, readClientHello } from './client-hello.ts';
import type { ListenerTls } from './listener-tls.ts';
import { TlsFacts } from './tls-facts.ts';

/** A client gets this long for its TLS handshake. */
const HANDSHAKE_MS = 10_000;

const NO_CLIENT_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

/** Why a handshake came to nothing: labels of the refusal counter. */
export type HandshakeFailure =
  | 'tls-handshake'
  | 'tls-timeout'
  | 'tls-unknown-name'
  | 'tls-no-certificate'
  | 'tls-client-certificate';

export interface HandshakeOwner {
  /** The handshake is over; the caller takes the socket as its wire. */
  onSecure(handshake: Handshake, facts: TlsFacts): void;
  /** The connection is gone or is closed now; called once, and never after `onSecure`. */
  onHandshakeFailed(handshake: Handshake, reason: HandshakeFailure, detail: string): void;
}

export class Handshake implements Deadline, FirstReaderOwner, SecureSocketOwner, Placed {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  place = -1;
  readonly client: Client;
  /** What a PROXY header has said of the connection. */
  proxied: ProxyHeader | null = null;
  readonly #tls: ListenerTls;
  readonly #owner: HandshakeOwner;
  readonly #context: WireContext;
  readonly #handle: SocketHandle;
  /** Null once TLS has the handle. */
  #first: FirstReader | null;
  #hello: ClientHello | null = null;
  #identity: Identity | null = null;
  #received: Buffer | null = null;
  #socket: AcceptedSocket | TlsSocket | null = null;
  #ended = false;

  constructor(
    handle: SocketHandle,
    client: Client,
    listenerTls: ListenerTls,
    owner: HandshakeOwner,
    context: WireContext,
  ) {
    this.#handle = handle;
    this.client = client;
    this.#tls = listenerTls;
    this.#owner = owner;
    this.#context = context;
    this.#first = readFirst(handle, this, context);
    context.deadlines.set(this, context.now() + HANDSHAKE_MS);
  }

  get isSilent(): boolean {
    return this.#first !== null && this.#received === null;
  }

  /** The wire over the finished handshake. */
  toWire(make: (socket: AcceptedSocket | TlsSocket) => Wire): Wire {
    return make(this.#socket!);
  }

  /** Bytes that another has read from the socket. */
  receive(bytes: Buffer): void {
    this.onFirstBytes(bytes, bytes.length);
  }

  onDeadline(): void {
    this.#fail('tls-timeout', '');
  }

  /** Ends it now: the listener is shut down. */
  close(): void {
    this.#fail('tls-handshake', 'closed');
  }

  onFirstBytes(buffer: Buffer, length: number): void {
    if (this.#ended) return;
    const bytes = buffer.subarray(0, length);
    const received = this.#received === null ? Buffer.from(bytes) : Buffer.concat([this.#received, bytes]);
    this.#received = received;
    const hello = readClientHello(received);
    if (hello === 'more') return;
    this.#received = null;
    this.#hello = hello;
    const choice = this.#tls.choose(hello);
    this.#first!.detach();
    this.#first = null;
    if (choice === null) {
      const { tcp } = this.#context;
      sayUnrecognizedName(tcp === null ? this.#handle : tcp.toLibuv(this.#handle));
      this.#fail('tls-unknown-name', '');
      return;
    }
    this.#identity = choice.identity;
    this.#answer(choice.context, received);
  }

  onFirstEnd(): void {
    this.onGone();
  }

  onGone(): void {
    this.#fail('tls-handshake', 'left');
  }

  #answer(context: TlsContext, received: Buffer): void {
    const { tcp, reads } = this.#context;
    const socket =
      tcp === null
        ? new AcceptedSocket(this.#handle, context, this, reads.first)
        : new TlsSocket(this.#handle, context, this, reads.first, tcp);
    this.#socket = socket;
    const staple = this.#tls.stapleFor(this.#identity, this.#hello);
    if (staple !== null) socket.staple(staple);
    socket.handshake(received);
  }

  onTlsError({ code, message }: NodeJS.ErrnoException): void {
    if (code === NO_CLIENT_CERTIFICATE) this.#fail('tls-client-certificate', 'none');
    else this.#fail('tls-handshake', message);
  }

  onSecure(): void {
    if (this.#ended) return;
    const socket = this.#socket!;
    const verdict = this.#verdict(socket);
    if (verdict !== null && verdict.kind !== 'verified' && this.#tls.clientAuth?.mode === 'required') {
      this.#fail('tls-client-certificate', verdict.kind === 'failed' ? verdict.reason : 'none');
      return;
    }
    this.#ended = true;
    this.#context.deadlines.clear(this);
    const { alpn, version, cipher, resumed } = socket;
    this.#owner.onSecure(
      this,
      new TlsFacts({
        serverName: this.#hello?.serverName ?? '',
        identity: this.#identity,
        alpn,
        version,
        cipher,
        resumed,
        clientLines: verdict === null ? '' : clientCertificateLines(verdict),
      }),
    );
  }

  /** Null where no certificate is asked for. */
  #verdict(socket: SecureSocket): ClientVerdict | null {
    if (this.#tls.clientAuth === null) return null;
    const { clientCertificate, verifyError } = socket;
    if (clientCertificate === undefined) return { kind: 'none' };
    if (verifyError !== null) return { kind: 'failed', reason: verifyError };
    return { kind: 'verified', certificate: clientCertificate };
  }

  #fail(reason: HandshakeFailure, detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#context.deadlines.clear(this);
    const noCertificate = reason === 'tls-handshake' && this.#identity === null && this.#socket !== null;
    this.#first?.destroy();
    this.#socket?.destroy();
    this.#owner.onHandshakeFailed(this, noCertificate ? 'tls-no-certificate' : reason, detail);
  }
}
