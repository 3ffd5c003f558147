// What the handshakes of one identity share: certificates, what is negotiated, and what is asked of clients.

import type { SecureContext } from 'node:tls';

/** Names and meanings are those of `tls.createSecureContext`, where it has them. */
export interface TlsContextOptions {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string;
  readonly ecdhCurve: string;
  readonly sigalgs: string;
  readonly honorCipherOrder: boolean;
  readonly secureOptions: number;
  /** Seconds. */
  readonly sessionTimeout: number;
  readonly sessionIdContext: string;
  /** PEM, each with its chain, in the order of their keys; none, and every handshake fails. */
  readonly cert: readonly string[];
  readonly key: readonly string[];
  readonly ca?: string;
  readonly crl?: string;
  /** Protocol names, most wanted first; a client that offers none of them is told so (`no_application_protocol`). */
  readonly alpn: readonly string[];
  readonly requestCert: boolean;
  /** A client without a certificate is told so; one whose certificate does not verify is the caller's to refuse. */
  readonly rejectUnauthorized: boolean;
}

/** What Node's sockets are told for each connection; our own contexts know it. */
export type TlsAsked = Pick<TlsContextOptions, 'alpn' | 'requestCert' | 'rejectUnauthorized'>;

export interface TlsContext {
  readonly asked: TlsAsked;
  /** Null in our own. */
  readonly ofNode: SecureContext | null;
  /** What OpenSSL has of it: Node's, or our own. */
  readonly native: object;
}

export interface TlsContexts {
  /** @throws Error when a certificate, key or authority cannot be used; keys are never part of the message */
  create(options: TlsContextOptions): TlsContext;
  /** Of all contexts, in base64: the first one encrypts. Without any, no ticket can be made or read. */
  setTicketKeys(keys: readonly string[]): void;
}
