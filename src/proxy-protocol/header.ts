// What a PROXY header says, and the numbers of its binary form (HAProxy's proxy-protocol.txt, versions 1 and 2).

/** An address without brackets or zone, IPv6 in canonical form and IPv4-mapped ones as IPv4; port 0 to 65535. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What the sender knows of the TLS connection that it has ended (section 2.2.5). */
export interface TlsFacts {
  /** The client presented a certificate on this connection, or in the session that it resumed. */
  readonly certificate: boolean;
  /** The certificate was presented and is valid. */
  readonly verified: boolean;
  /** `TLSv1.3`; empty when not told, like those below. */
  readonly version: string;
  readonly commonName: string;
  readonly cipher: string;
  readonly signatureAlgorithm: string;
  readonly keyAlgorithm: string;
}

/** What travels beside the addresses, in version 2 alone; empty strings and null where it is not told. */
export interface Facts {
  /** Latin1, as ALPN names are bytes. */
  readonly alpn: string;
  /** Server name that the client asked for (SNI). */
  readonly authority: string;
  /** Opaque, latin1, at most 128 bytes. */
  readonly uniqueId: string;
  readonly tls: TlsFacts | null;
  readonly networkNamespace: string;
}

export interface ProxyHeader extends Facts {
  readonly version: 1 | 2;
  /**
   * Null where the connection's own ends count: `LOCAL` (health checks of the sender), `UNKNOWN`, and protocols that
   * are not TCP over IP.
   */
  readonly source: Endpoint | null;
  readonly destination: Endpoint | null;
}

export const NO_FACTS: Facts = { alpn: '', authority: '', uniqueId: '', tls: null, networkNamespace: '' };

/** Says nothing: the connection's own ends count. */
export const NO_HEADER: ProxyHeader = { version: 2, source: null, destination: null, ...NO_FACTS };

/** The twelve bytes that begin version 2: no text, and no valid start of any protocol that Portico knows. */
export const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** The six bytes that begin version 1. */
export const WORD = Buffer.from('PROXY ', 'latin1');
/** Signature, command, family and length. */
export const FIXED_BYTES = 16;
/** The longest line of version 1, its end included (section 2.1). */
export const LINE_BYTES = 107;
/** The longest header that is taken, in bytes: addresses, a certificate and names fit many times. */
export const HEADER_BYTES = 4096;

/** Types of the fields behind the addresses (section 2.2). */
export const TLV = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  tls: 0x20,
  tlsVersion: 0x21,
  tlsCommonName: 0x22,
  tlsCipher: 0x23,
  tlsSignatureAlgorithm: 0x24,
  tlsKeyAlgorithm: 0x25,
  networkNamespace: 0x30,
} as const;

/** Bits of the first byte of the TLS field. */
export const TLS_BIT = { tls: 0x01, certificateOnConnection: 0x02, certificateInSession: 0x04 } as const;
export const UNIQUE_ID_BYTES = 128;
