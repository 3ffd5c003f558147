// The server side of TLS over an accepted libuv handle: one socket object, reading into the worker's shared buffer.

import { type SecureContext, TLSSocket } from 'node:tls';

/** The native side, as Node's own tls module uses it. */
interface TlsHandle {
  /** Bytes that were read before TLS took over. */
  receive(bytes: Buffer): void;
  setOCSPResponse(response: Buffer): void;
  /** Null when the peer's certificate is good, or when none was asked for. */
  verifyError(): (Error & { readonly code: string }) | null;
  hasPeerCertificate?(): boolean;
}

export interface AcceptedOptions {
  readonly handle: object;
  readonly secureContext: SecureContext;
  readonly alpn: readonly string[];
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly readBuffer: Buffer;
  /** Bytes lie in the shared buffer and are valid only during the call. */
  readonly onBytes: (buffer: Buffer, length: number) => void;
}

/**
 * `tls.Server` would wrap the connection twice and hand over its bytes in new buffers. Node reads into a given buffer
 * only when it makes the TCP handle itself (`tls.connect`), so the accepted handle is put in where it would make one.
 */
export class AcceptedSocket extends TLSSocket {
  declare _tlsOptions: { readonly accepted: object };
  declare readonly _handle: TlsHandle;

  constructor(options: AcceptedOptions) {
    const { handle, secureContext, alpn, requestCert, rejectUnauthorized, readBuffer, onBytes } = options;
    const given: unknown = {
      accepted: handle,
      isServer: true,
      secureContext,
      requestCert,
      rejectUnauthorized,
      // A client that offers none of these is told so (no_application_protocol).
      ALPNCallback: ({ protocols }: { readonly protocols: readonly string[] }) =>
        alpn.find((protocol) => protocols.includes(protocol)),
      // A client that ends its side during the handshake has left; set anew when it is done.
      allowHalfOpen: false,
      onread: {
        buffer: readBuffer,
        callback: (length: number, buffer: Uint8Array): boolean => {
          onBytes(buffer as Buffer, length);
          return true;
        },
      },
    };
    super(null as never, given as ConstructorParameters<typeof TLSSocket>[1]);
    // Node takes a socket without an outer one for one that has yet to connect.
    Object.assign(this, { connecting: false });
  }

  _wrapHandle(): unknown {
    const { _wrapHandle } = TLSSocket.prototype as unknown as {
      _wrapHandle(this: unknown, wrap: null, handle: object, hasActiveWrite: boolean): unknown;
    };
    return _wrapHandle.call(this, null, this._tlsOptions.accepted, false);
  }

  /** Errors are those of an ordinary socket from here on, as after `tls.Server`'s handshake. */
  release(): void {
    const self = this as unknown as { _releaseControl(): boolean; secureConnecting: boolean };
    self._releaseControl();
    self.secureConnecting = false;
    this.allowHalfOpen = true;
  }
}
