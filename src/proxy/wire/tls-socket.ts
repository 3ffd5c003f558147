// The server's end of a TLS connection straight on a handle: no stream, and one write after the other.

import { X509Certificate } from 'node:crypto';
import type { SecureSocket, SecureSocketOwner } from './secure-socket.ts';
import { OWNER, type SocketHandle } from './socket-handle.ts';
import type { TcpBinding } from './tcp-binding.ts';
import { type SocketUser, TcpSocket } from './tcp-socket.ts';
import type { TlsContext } from './tls-context.ts';
import type { TlsSession } from './tls-session.ts';

interface WaitingBytes {
  readonly bytes: Uint8Array;
  readonly onWritten: (error: Error | null) => void;
}

export class TlsSocket extends TcpSocket implements SecureSocket {
  readonly encrypted = true;
  readonly #session: TlsSession;
  /** Null when the handshake is over. */
  #owner: SecureSocketOwner | null;
  /** What comes after the write that is going on: the handle takes no second one. */
  readonly #waiting: (string | WaitingBytes)[] = [];
  #waitingBytes = 0;

  /** @param handle of the accepted connection; nothing reads it any more */
  constructor(
    handle: SocketHandle,
    context: TlsContext,
    owner: SecureSocketOwner,
    readBuffer: Buffer,
    binding: TcpBinding,
  ) {
    const { handle: own, session } = binding.createTlsServer(handle, context);
    super(own, readBuffer, binding);
    this.#session = session;
    this.#owner = owner;
    session[OWNER] = this;
    // An open handle holds its owner: nothing else need do so during the handshake.
    if (own._parent !== undefined) own._parent[OWNER] = this;
    session.onhandshakedone = onHandshakeDone;
    session.onerror = onTlsError;
  }

  handshake(received: Buffer): void {
    this.begin(new HandshakeUser(this, this.#owner!), true);
    if (!this.destroyed) this.#session.begin(received);
  }

  staple(response: Buffer): void {
    this.#session.staple(response);
  }

  get alpn(): string {
    return this.#session.alpn;
  }

  get version(): string {
    return this.#session.version;
  }

  get cipher(): string {
    return this.#session.cipher;
  }

  get resumed(): boolean {
    return this.#session.resumed;
  }

  get clientCertificate(): X509Certificate | undefined {
    const { certificate } = this.#session;
    return certificate === undefined ? undefined : new X509Certificate(certificate);
  }

  get verifyError(): string | null {
    return this.#session.verifyError;
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

  /** Node's handle encrypts it at once, or makes a copy. */
  override writeNow(buffer: Buffer, start: number, end: number): number {
    if (this._handle?.writeNow !== undefined) return super.writeNow(buffer, start, end);
    if (this.writes > 0 || this.writableEnded || this._handle === null) return 0;
    super.writeBytes(buffer.subarray(start, end), ignore);
    return this.destroyed ? 0 : end - start;
  }

  /** Our own handle does. */
  override get stopsAtOnce(): boolean {
    return this._handle?.writeNow !== undefined;
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
    // Our own handle may be done with a write at once.
    while (this.writes === 0 && !this.destroyed) {
      const next = this.#waiting.shift();
      if (next === undefined) return super.drained();
      if (typeof next === 'string') {
        this.#waitingBytes -= next.length;
        super.writeText(next);
      } else {
        this.#waitingBytes -= next.bytes.length;
        super.writeBytes(next.bytes, next.onWritten);
      }
    }
  }

  protected override handleClosed(): void {
    this.#session.free();
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

function ignore(): void {}

/** One function for all sessions, as with reads. */
function onHandshakeDone(this: TlsSession): void {
  (this[OWNER] as TlsSocket).handshakeDone();
}

function onTlsError(this: TlsSession, error: NodeJS.ErrnoException): void {
  (this[OWNER] as TlsSocket).tlsFailed(error);
}
