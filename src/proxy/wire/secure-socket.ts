// Our end of a client's TLS connection as its handshake sees it, whatever it is built on.

import type { X509Certificate } from 'node:crypto';
import type { SocketUser } from './tcp-socket.ts';

/** Told of the handshake. */
export interface SecureSocketOwner {
  /** It is over; somebody takes the socket now, or destroys it. */
  onSecure(): void;
  /** OpenSSL has sent the alert that says so; the socket is still open. */
  onTlsError(error: NodeJS.ErrnoException): void;
  /** The connection was gone before. */
  onGone(): void;
}

/** What has been agreed on is known when the handshake is over. */
export interface SecureSocket {
  /** Begins the handshake with the bytes that have been read of the connection. */
  handshake(received: Buffer): void;
  /** Sends this OCSP response along (RFC 6066, section 8). */
  staple(response: Buffer): void;
  /** '' when nothing was agreed on (RFC 7301). */
  readonly alpn: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  readonly resumed: boolean;
  /** Undefined when the client has shown none. */
  readonly clientCertificate: X509Certificate | undefined;
  /** OpenSSL's code of what is wrong with the client's certificate; null when nothing. */
  readonly verifyError: string | null;
  /** Reads go to this one from here on. */
  takenBy(user: SocketUser): void;
  destroy(): void;
}
