// What the rest of the data plane knows of a TLS connection: names, versions, and who the client has proven to be.

import type { Identity } from './certificates.ts';

export interface TlsFactsParts {
  readonly serverName: string;
  /** Null when the connection has no certificate of ours to speak of. */
  readonly identity: Identity | null;
  readonly alpn: string;
  readonly version: string;
  readonly cipher: string;
  readonly resumed: boolean;
  /** Header lines for the target; '' where clients are not asked for a certificate. */
  readonly clientLines: string;
}

export class TlsFacts {
  /** The name that the client asked for, lower case; '' when none. */
  readonly serverName: string;
  /** The protocol agreed on (RFC 7301); '' when none. */
  readonly alpn: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  readonly resumed: boolean;
  readonly clientLines: string;
  readonly #identity: Identity | null;
  /** The host that was found to agree last: a client mostly asks for one. A request without Host (HTTP/1.0) names none. */
  #agreed = '';

  constructor(parts: TlsFactsParts) {
    this.serverName = parts.serverName;
    this.alpn = parts.alpn;
    this.version = parts.version;
    this.cipher = parts.cipher;
    this.resumed = parts.resumed;
    this.clientLines = parts.clientLines;
    this.#identity = parts.identity;
  }

  /**
   * Whether a request for this host may come on the connection; 421 otherwise (RFC 9110, section 15.5.20). It may when
   * the client asked for this name in the handshake, when the certificate is good for it too (RFC 9113, section 9.1.1),
   * or when the client named no server, so that there is nothing to disagree with.
   * @param host lower case, without port
   */
  agreesWith(host: string): boolean {
    if (host === this.#agreed) return true;
    const name = host.endsWith('.') ? host.slice(0, -1) : host;
    const agrees =
      this.serverName === '' || name === this.serverName || this.#identity?.covers(name) === true;
    if (agrees) this.#agreed = host;
    return agrees;
  }
}
