// TLS of Node's own handles as a session: one write at a time, over a handle of libuv.

import { OWNER, type SocketHandle } from './socket-handle.ts';
import type { TlsAsked } from './tls-context.ts';
import { encodedAlpn, type TlsSession } from './tls-session.ts';

/** A TLS connection of OpenSSL over a TCP handle, which it owns from then on. */
export interface TlsHandle extends SocketHandle {
  /** Where its own `close` finds the handle below. */
  _parent: SocketHandle;
  onhandshakedone: (this: TlsHandle) => void;
  onerror: (this: TlsHandle, error: NodeJS.ErrnoException) => void;
  /** Bytes that were read before TLS took over. */
  receive(bytes: Buffer): void;
  /** @param protocols as they stand in a ClientHello (RFC 7301, section 3.1) */
  setALPNProtocols(protocols: Buffer): void;
  setVerifyMode(requestCert: boolean, rejectUnauthorized: boolean): void;
  setOCSPResponse(response: Buffer): void;
  getALPNNegotiatedProtocol(): string | false;
  getProtocol(): string | null;
  getCipher(): { readonly name: string };
  isSessionReused(): boolean;
  getPeerCertificate(abbreviated: boolean): { readonly raw?: Buffer } | undefined;
  /** Null when the peer's certificate is good, or when none was asked for. */
  verifyError(): (Error & { readonly code: string }) | null;
  /** Frees what OpenSSL holds; not from within one of its callbacks. */
  destroySSL(): void;
}

export class NodeTls implements TlsSession {
  onhandshakedone: (this: TlsSession) => void = ignore;
  onerror: (this: TlsSession, error: NodeJS.ErrnoException) => void = ignore;
  [OWNER]?: unknown = undefined;
  readonly #tls: TlsHandle;

  constructor(tls: TlsHandle, { alpn, requestCert, rejectUnauthorized }: TlsAsked) {
    this.#tls = tls;
    tls.onhandshakedone = () => this.onhandshakedone();
    tls.onerror = (error) => this.onerror(error);
    tls.setALPNProtocols(Buffer.from(encodedAlpn(alpn), 'latin1'));
    if (requestCert) tls.setVerifyMode(true, rejectUnauthorized);
  }

  begin(received: Buffer): void {
    this.#tls.receive(received);
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

  get certificate(): Buffer | undefined {
    return this.#tls.getPeerCertificate(true)?.raw;
  }

  get verifyError(): string | null {
    return this.#tls.verifyError()?.code ?? null;
  }

  free(): void {
    this.#tls.destroySSL();
  }
}

function ignore(): void {}
