// OpenSSL's part of one accepted connection, Node's or our own: its handshake, and what was agreed on in it.

import type { OWNER, SocketHandle } from './socket-handle.ts';

export interface TlsSession {
  onhandshakedone: (this: TlsSession) => void;
  /** The alert that says so has been sent. */
  onerror: (this: TlsSession, error: NodeJS.ErrnoException) => void;
  [OWNER]?: unknown;
  /** Begins the handshake with the bytes that were read of the connection; the handle is read already. */
  begin(received: Buffer): void;
  /** Sends this OCSP response along (RFC 6066, section 8). */
  staple(response: Buffer): void;
  /** '' when nothing was agreed on (RFC 7301). */
  readonly alpn: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  readonly resumed: boolean;
  /** The client's, in DER; undefined when it has shown none. */
  readonly certificate: Buffer | undefined;
  /** OpenSSL's code of what is wrong with it; null when nothing. */
  readonly verifyError: string | null;
  /** Its handle is closed. */
  free(): void;
}

/** A handle that shows bytes in the clear. */
export interface TlsServer {
  readonly handle: SocketHandle;
  readonly session: TlsSession;
}

/** Lists of protocols as they stand in a ClientHello (RFC 7301, section 3.1); there are as many as kinds of listeners. */
const encodedLists = new Map<readonly string[], string>();

/** Latin-1. */
export function encodedAlpn(protocols: readonly string[]): string {
  let encoded = encodedLists.get(protocols);
  if (encoded === undefined) {
    encoded = protocols.map((name) => String.fromCharCode(name.length) + name).join('');
    encodedLists.set(protocols, encoded);
  }
  return encoded;
}
