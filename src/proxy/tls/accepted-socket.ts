// The server side of TLS where Node's handles cannot be had: one `TLSSocket` over an accepted handle, and no second one.

import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { SecureSocket, SecureSocketOwner } from '../wire/secure-socket.ts';
import type { SocketHandle } from '../wire/socket-handle.ts';
import type { SocketUser } from '../wire/tcp-socket.ts';
import type { TlsContext } from '../wire/tls-context.ts';

/** The native side, as Node's own tls module uses it. */
interface NativeTls {
  receive(bytes: Buffer): void;
  setOCSPResponse(response: Buffer): void;
  verifyError(): (Error & { readonly code: string }) | null;
}

/**
 * `tls.Server` would wrap the connection twice and hand over its bytes in new buffers. Node reads into a given buffer
 * only when it makes the TCP handle itself (`tls.connect`), so the accepted handle is put in where it would make one.
 */
export class AcceptedSocket extends TLSSocket implements SecureSocket {
  declare _tlsOptions: { readonly accepted: object };
  declare readonly _handle: NativeTls;
  #user: SocketUser | null = null;

  constructor(
    accepted: SocketHandle,
    { ofNode, asked: { alpn, requestCert, rejectUnauthorized } }: TlsContext,
    owner: SecureSocketOwner,
    readBuffer: Buffer,
  ) {
    const given: unknown = {
      accepted,
      isServer: true,
      secureContext: ofNode!,
      requestCert,
      rejectUnauthorized,
      ALPNCallback: ({ protocols }: { readonly protocols: readonly string[] }) =>
        alpn.find((protocol) => protocols.includes(protocol)),
      // A client that ends its side during the handshake has left; set anew when it is done.
      allowHalfOpen: false,
      onread: {
        buffer: readBuffer,
        callback: (length: number): boolean => {
          this.#user?.onSocketRead(length);
          return true;
        },
      },
    };
    super(null as never, given as ConstructorParameters<typeof TLSSocket>[1]);
    // Node takes a socket without an outer one for one that has yet to connect.
    Object.assign(this, { connecting: false });
    this.once('secure', () => owner.onSecure());
    this.once('_tlsError', (error: NodeJS.ErrnoException) => owner.onTlsError(error));
    this.on('error', () => {});
    this.once('close', () => owner.onGone());
  }

  _wrapHandle(): unknown {
    const { _wrapHandle } = TLSSocket.prototype as unknown as {
      _wrapHandle(this: unknown, wrap: null, handle: object, hasActiveWrite: boolean): unknown;
    };
    return _wrapHandle.call(this, null, this._tlsOptions.accepted, false);
  }

  handshake(received: Buffer): void {
    this._handle.receive(received);
  }

  staple(response: Buffer): void {
    this._handle.setOCSPResponse(response);
  }

  get alpn(): string {
    const { alpnProtocol } = this;
    return typeof alpnProtocol === 'string' ? alpnProtocol : '';
  }

  get version(): string {
    return this.getProtocol() ?? '';
  }

  get cipher(): string {
    return this.getCipher().name;
  }

  get resumed(): boolean {
    return this.isSessionReused();
  }

  get clientCertificate(): X509Certificate | undefined {
    return this.getPeerX509Certificate();
  }

  get verifyError(): string | null {
    return this._handle.verifyError()?.code ?? null;
  }

  /** Errors are those of an ordinary socket from here on, as after `tls.Server`'s handshake. */
  takenBy(user: SocketUser): void {
    this.#user = user;
    const self = this as unknown as { _releaseControl(): boolean; secureConnecting: boolean };
    self._releaseControl();
    self.secureConnecting = false;
    this.allowHalfOpen = true;
  }
}
