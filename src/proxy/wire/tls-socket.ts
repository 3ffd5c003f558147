// The server's end of a TLS connection straight on Node's TLS handle: no stream, and one write after the other.

import { X509Certificate } from 'node:crypto';
import type { SecureSocket, SecureSocketOptions, SecureSocketOwner } from './secure-socket.ts';
import { OWNER, type SocketHandle } from './socket-handle.ts';
import type { TcpBinding, TlsHandle } from './tcp-binding.ts';
import { type SocketUser, TcpSocket } from './tcp-socket.ts';

interface WaitingBytes {
  readonly bytes: Uint8Array;
  readonly onWritten: (error: Error | null) => void;
}

export class TlsSocket extends TcpSocket implements SecureSocket {
  readonly encrypted = true;
  readonly #tls: TlsHandle;
  /** Null when the handshake is over. */
  #owner: SecureSocketOwner | null;
  /** What comes after the write that is going on: the handle takes no second one. */
  readonly #waiting: (string | WaitingBytes)[] = [];
  #waitingBytes = 0;

  /** @param handle of the accepted connection; nothing reads it any more */
  constructor(
    handle: SocketHandle,
    { secureContext, alpn, requestCert, rejectUnauthorized }: SecureSocketOptions,
    owner: SecureSocketOwner,
    readBuffer: Buffer,
    binding: TcpBinding,
  ) {
    const tls = binding.createTlsServer(handle, secureContext.context);
    super(tls, readBuffer, binding);
    this.#tls = tls;
    this.#owner = owner;
    // An open handle holds its owner: nothing else need do so during the handshake.
    handle[OWNER] = this;
    tls.onhandshakedone = onHandshakeDone;
    tls.onerror = onTlsError;
    tls.setALPNProtocols(encodedAlpn(alpn));
    if (requestCert) tls.setVerifyMode(true, rejectUnauthorized);
  }

  handshake(received: Buffer): void {
    this.begin(new HandshakeUser(this, this.#owner!), true);
    if (!this.destroyed) this.#tls.receive(received);
  }

  staple(response: Buffer): void {
    this.#tls.setOCSPResponse(response);
  }

  get alpn(): string {
    const protocol = this.#tls.getALPNNegotiatedProtocol();
    return protocol === false ? '' : protocol;
  }

  get version(): string {
    return this.#tls.getProtocol() ?? '';
  }

  get cipher(): string {
    return this.#tls.getCipher().name;
  }

  get resumed(): boolean {
    return this.#tls.isSessionReused();
  }

  get clientCertificate(): X509Certificate | undefined {
    const raw = this.#tls.getPeerCertificate(true)?.raw;
    return raw === undefined ? undefined : new X509Certificate(raw);
  }

  get verifyError(): string | null {
    return this.#tls.verifyError()?.code ?? null;
  }

  takenBy(user: SocketUser): void {
    this.begin(user, false);
  }

  override get writableLength(): number {
    return super.writableLength + this.#waitingBytes;
  }

  override writeText(text: string): boolean {
    if (this.writes === 0) return super.writeText(text);
    const last = this.#waiting.length - 1;
    const before = this.#waiting[last];
    if (typeof before === 'string') this.#waiting[last] = before + text;
    else this.#waiting.push(text);
    this.#waitingBytes += text.length;
    return this.hasRoom();
  }

  override writeBytes(bytes: Uint8Array, onWritten: (error: Error | null) => void): boolean {
    if (this.writes === 0) return super.writeBytes(bytes, onWritten);
    this.#waiting.push({ bytes, onWritten });
    this.#waitingBytes += bytes.length;
    return this.hasRoom();
  }

  /** OpenSSL encrypts it at once, or the handle makes a copy. */
  override writeNow(buffer: Buffer, start: number, end: number): number {
    if (this.writes > 0 || this.writableEnded || this._handle === null) return 0;
    super.writeBytes(buffer.subarray(start, end), ignore);
    return this.destroyed ? 0 : end - start;
  }

  /** Its end is a message of its own: close_notify (RFC 8446, section 6.1). */
  override closeWritten(): boolean {
    return false;
  }

  override destroy(error: NodeJS.ErrnoException | null = null): void {
    const waiting = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    super.destroy(error);
    for (const next of waiting) {
      if (typeof next !== 'string') next.onWritten(error ?? new Error('the socket is closed'));
    }
  }

  /** TLS shows a cut by the missing close_notify. */
  override resetAndDestroy(): void {
    this.destroy();
  }

  handshakeDone(): void {
    const owner = this.#owner;
    this.#owner = null;
    owner?.onSecure();
  }

  tlsFailed(error: NodeJS.ErrnoException): void {
    if (this.destroyed) return;
    if (this.#owner === null) this.destroy(error);
    else this.#owner.onTlsError(error);
  }

  protected override drained(): void {
    const next = this.#waiting.shift();
    if (next === undefined) super.drained();
    else if (typeof next === 'string') {
      this.#waitingBytes -= next.length;
      super.writeText(next);
    } else {
      this.#waitingBytes -= next.bytes.length;
      super.writeBytes(next.bytes, next.onWritten);
    }
  }

  protected override handleClosed(): void {
    this.#tls.destroySSL();
  }
}

/** A client that ends its side during the handshake has left. */
class HandshakeUser implements SocketUser {
  readonly #socket: TlsSocket;
  readonly #owner: SecureSocketOwner;

  constructor(socket: TlsSocket, owner: SecureSocketOwner) {
    this.#socket = socket;
    this.#owner = owner;
  }

  onSocketEnd(): void {
    this.#socket.destroy();
  }

  onSocketClose(): void {
    this.#owner.onGone();
  }

  onSocketConnect(): void {}

  onSocketRead(): void {}

  onSocketDrain(): void {}

  onSocketFinish(): void {}
}

/** Lists of protocols as they stand in a ClientHello (RFC 7301, section 3.1); there are as many as kinds of listeners. */
const encodedLists = new Map<readonly string[], Buffer>();

function encodedAlpn(protocols: readonly string[]): Buffer {
  let encoded = encodedLists.get(protocols);
  if (encoded === undefined) {
    encoded = Buffer.from(
      protocols.map((name) => String.fromCharCode(name.length) + name).join(''),
      'latin1',
    );
    encodedLists.set(protocols, encoded);
  }
  return encoded;
}

function ignore(): void {}

/** One function for all handles, as with reads. */
function onHandshakeDone(this: TlsHandle): void {
  (this[OWNER] as TlsSocket).handshakeDone();
}

function onTlsError(this: TlsHandle, error: NodeJS.ErrnoException): void {
  (this[OWNER] as TlsSocket).tlsFailed(error);
}
