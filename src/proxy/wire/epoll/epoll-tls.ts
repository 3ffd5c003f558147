// TLS on a descriptor: OpenSSL between `EpollHandle` and its socket, which sees nothing but bytes in the clear.

import { OWNER } from '../socket-handle.ts';
import type { TlsSession } from '../tls-session.ts';
import type { ByteCalls, EpollHandle } from './epoll-handle.ts';
import { BEHIND, HELD, type LoadedTls, type Tls } from './tls.ts';
import { verifyErrorName } from './verify-errors.ts';

const EINTR = -4;
const EAGAIN = -11;
const EPROTO = -71;

export class EpollTls implements TlsSession, ByteCalls {
  onhandshakedone: (this: TlsSession) => void = ignore;
  onerror: (this: TlsSession, error: NodeJS.ErrnoException) => void = ignore;
  [OWNER]?: unknown = undefined;
  readonly #handle: EpollHandle;
  readonly #tls: Tls;
  readonly #state: Int32Array;

  /** @param handle opened with a context of these */
  constructor(handle: EpollHandle, { calls, state }: LoadedTls) {
    this.#handle = handle;
    this.#tls = calls;
    this.#state = state;
  }

  // For the handle ----------------------------------------------------------------------------------------------------

  receive(fd: number, buffer: Uint8Array): number {
    const result = this.#tls.receive(fd, buffer);
    if (this.#state[BEHIND] !== 0) this.#handle.moreLiesBehind();
    if (this.#state[HELD] !== 0) this.#handle.flushLater();
    if (result === EINTR) this.onhandshakedone();
    else if (result === EPROTO) {
      this.onerror(this.#failure());
      return EAGAIN;
    }
    return result;
  }

  sendText(fd: number, text: string): number {
    return this.#tls.sendText(fd, text);
  }

  sendBytes(fd: number, bytes: Uint8Array, start: number, end: number): number {
    return this.#tls.sendBytes(fd, bytes, start, end);
  }

  shutdown(fd: number): number {
    const status = this.#tls.shutdown(fd);
    if (this.#state[HELD] !== 0) this.#handle.flushLater();
    return status;
  }

  forget(fd: number): void {
    this.#tls.forget(fd);
  }

  #failure(): NodeJS.ErrnoException {
    const reason = this.#tls.failure(0);
    const code = `ERR_SSL_${(reason === '' ? 'failed' : reason).toUpperCase().replaceAll(' ', '_')}`;
    return Object.assign(new Error(this.#tls.failure(1)), { code });
  }

  // For the handshake -------------------------------------------------------------------------------------------------

  begin(received: Buffer): void {
    this.#tls.keep(this.#handle.fd, received);
    this.#handle.readNow();
  }

  staple(response: Buffer): void {
    this.#tls.staple(this.#handle.fd, response);
  }

  get alpn(): string {
    return this.#tls.alpn(this.#handle.fd);
  }

  get version(): string {
    return this.#tls.version(this.#handle.fd);
  }

  get cipher(): string {
    return this.#tls.cipher(this.#handle.fd);
  }

  get resumed(): boolean {
    return this.#tls.resumed(this.#handle.fd) === 1;
  }

  get certificate(): Buffer | undefined {
    return this.#tls.certificate(this.#handle.fd);
  }

  get verifyError(): string | null {
    return verifyErrorName(this.#tls.verified(this.#handle.fd));
  }

  /** OpenSSL has nothing of it any more once the handle is closed. */
  free(): void {}
}

function ignore(): void {}
