// One accepted connection from its first byte to the end of its TLS handshake: the ClientHello is read, then answered.

import net from 'node:net';
import type { SecureContext } from 'node:tls';
import type { ProxyHeader } from '../../proxy-protocol/header.ts';
import type { Deadline, Deadlines } from '../deadlines.ts';
import type { Wire } from '../wire/wire.ts';
import { AcceptedSocket } from './accepted-socket.ts';
import type { Identity } from './certificates.ts';
import { type ClientVerdict, clientCertificateLines } from './client-certificate.ts';
import { type ClientHello, readClientHello } from './client-hello.ts';
import type { ListenerTls } from './listener-tls.ts';
import { TlsFacts } from './tls-facts.ts';

/** A client gets this long for its TLS handshake. */
const HANDSHAKE_MS = 10_000;
/** Fatal alert `unrecognized_name` (RFC 8446, section 6.2) in a record: nothing is encrypted before the ServerHello. */
const UNRECOGNIZED_NAME = '\x15\x03\x03\x00\x02\x02\x70';

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

interface HandshakeContext {
  readonly readBuffer: Buffer;
  readonly deadlines: Deadlines;
  readonly now: () => number;
}

export class Handshake implements Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  readonly address: string;
  /** What a PROXY header has said of the connection. */
  proxied: ProxyHeader | null = null;
  readonly #tls: ListenerTls;
  readonly #owner: HandshakeOwner;
  readonly #context: HandshakeContext;
  readonly #handle: object;
  #raw: net.Socket | null;
  #hello: ClientHello | null = null;
  #identity: Identity | null = null;
  #received: Buffer | null = null;
  #socket: AcceptedSocket | null = null;
  #wire: Wire | null = null;
  #ended = false;

  constructor(
    handle: object,
    address: string,
    listenerTls: ListenerTls,
    owner: HandshakeOwner,
    context: HandshakeContext,
  ) {
    this.#handle = handle;
    this.address = address;
    this.#tls = listenerTls;
    this.#owner = owner;
    this.#context = context;
    this.#raw = this.#openRaw();
    context.deadlines.set(this, context.now() + HANDSHAKE_MS);
  }

  /** The wire over the finished handshake. */
  toWire(make: (socket: AcceptedSocket) => Wire): Wire {
    const wire = make(this.#socket!);
    this.#wire = wire;
    return wire;
  }

  /** Bytes that another has read from the socket. */
  receive(bytes: Buffer): void {
    this.#onHelloBytes(bytes, bytes.length);
  }

  onDeadline(): void {
    this.#fail('tls-timeout', '');
  }

  /** Ends it now: the listener is shut down. */
  close(): void {
    this.#fail('tls-handshake', 'closed');
  }

  #openRaw(): net.Socket {
    const options: unknown = {
      handle: this.#handle,
      onread: {
        buffer: this.#context.readBuffer,
        callback: (length: number, buffer: Uint8Array): boolean => {
          this.#onHelloBytes(buffer as Buffer, length);
          return true;
        },
      },
    };
    const raw = new net.Socket(options as net.SocketConstructorOpts);
    raw.on('error', () => {});
    raw.on('close', () => {
      if (this.#raw === raw) this.#fail('tls-handshake', 'left');
    });
    return raw;
  }

  #onHelloBytes(buffer: Buffer, length: number): void {
    if (this.#ended) return;
    const bytes = buffer.subarray(0, length);
    const received = this.#received === null ? Buffer.from(bytes) : Buffer.concat([this.#received, bytes]);
    this.#received = received;
    const hello = readClientHello(received);
    if (hello === 'more') return;
    this.#received = null;
    this.#hello = hello;
    const choice = this.#tls.choose(hello);
    if (choice === null) {
      this.#raw!.end(UNRECOGNIZED_NAME, 'latin1');
      this.#raw!.destroySoon();
      this.#fail('tls-unknown-name', '');
      return;
    }
    this.#identity = choice.identity;
    // From here on the handle belongs to TLS; the first socket has only been its reader.
    const raw = this.#raw as unknown as { _handle: object | null };
    this.#raw = null;
    raw._handle = null;
    this.#answer(choice.context, received);
  }

  #answer(secureContext: SecureContext, received: Buffer): void {
    const { clientAuth, alpn } = this.#tls;
    const socket = new AcceptedSocket({
      handle: this.#handle,
      secureContext,
      alpn,
      requestCert: clientAuth !== null,
      // A missing certificate ends the handshake with an alert; one that does not verify ends it in `#onSecure`.
      rejectUnauthorized: clientAuth?.mode === 'required',
      readBuffer: this.#context.readBuffer,
      onBytes: (buffer, length) => this.#wire?.receive(buffer, length),
    });
    this.#socket = socket;
    const staple = this.#tls.stapleFor(this.#identity, this.#hello);
    if (staple !== null) socket._handle.setOCSPResponse(staple);
    socket.once('secure', () => this.#onSecure(socket));
    socket.once('_tlsError', (error: NodeJS.ErrnoException) => this.#onTlsError(error));
    socket.on('error', () => {});
    socket.once('close', () => this.#fail('tls-handshake', 'left'));
    socket._handle.receive(received);
  }

  /** OpenSSL has sent the alert that says so. */
  #onTlsError({ code, message }: NodeJS.ErrnoException): void {
    if (code === NO_CLIENT_CERTIFICATE) this.#fail('tls-client-certificate', 'none');
    else this.#fail('tls-handshake', message);
  }

  #onSecure(socket: AcceptedSocket): void {
    if (this.#ended) return;
    const verdict = this.#verdict(socket);
    if (verdict !== null && verdict.kind !== 'verified' && this.#tls.clientAuth?.mode === 'required') {
      this.#fail('tls-client-certificate', verdict.kind === 'failed' ? verdict.reason : 'none');
      return;
    }
    this.#ended = true;
    this.#context.deadlines.clear(this);
    socket.release();
    const { alpnProtocol } = socket;
    this.#owner.onSecure(
      this,
      new TlsFacts({
        serverName: this.#hello?.serverName ?? '',
        identity: this.#identity,
        alpn: typeof alpnProtocol === 'string' ? alpnProtocol : '',
        version: socket.getProtocol() ?? '',
        cipher: socket.getCipher().name,
        resumed: socket.isSessionReused(),
        clientLines: verdict === null ? '' : clientCertificateLines(verdict),
      }),
    );
  }

  /** Null where no certificate is asked for. */
  #verdict(socket: AcceptedSocket): ClientVerdict | null {
    if (this.#tls.clientAuth === null) return null;
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return { kind: 'none' };
    const error = socket._handle.verifyError();
    if (error !== null && error !== undefined) return { kind: 'failed', reason: error.code };
    return { kind: 'verified', certificate };
  }

  #fail(reason: HandshakeFailure, detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#context.deadlines.clear(this);
    const noCertificate = reason === 'tls-handshake' && this.#identity === null && this.#socket !== null;
    if (reason !== 'tls-unknown-name') this.#raw?.destroy();
    this.#socket?.destroy();
    this.#owner.onHandshakeFailed(this, noCertificate ? 'tls-no-certificate' : reason, detail);
  }
}
