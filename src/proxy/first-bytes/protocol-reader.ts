// Tells TLS, HTTP and SSH apart by their first bytes, and a client that waits for the server to speak.

import type { MuxConfig } from '../../model/listener-config.ts';
import type { FirstBytesReader, FirstBytesVerdict } from './opening.ts';

/** Keys of `MuxConfig` that name listeners. */
export type SpokenProtocol = 'tls' | 'http' | 'ssh' | 'default';

/** Record type 22 and version 3 of the TLS record that a ClientHello begins with (RFC 8446, section 5.1). */
const TLS = [0x16, 0x03] as const;
/** RFC 4253, section 4.2. */
const SSH = 'SSH-';
/**
 * A method and the space behind it: all that HTTP/1.1 requests, and the preface of HTTP/2 (`PRI * HTTP/2.0`), begin
 * with. Registered methods have capital letters and hyphens only; the longest is 17 characters long.
 */
const METHOD = /^[A-Z][A-Z-]{0,19} /;
const METHOD_PART = /^[A-Z][A-Z-]{0,19}$/;

/** What these bytes are the start of; null while they may be several things. */
export function protocolOf(bytes: Buffer, length: number): SpokenProtocol | null {
  if (length === 0) return null;
  if (bytes[0] === TLS[0]) return length === 1 ? null : bytes[1] === TLS[1] ? 'tls' : 'default';
  const text = bytes.latin1Slice(0, Math.min(length, 21));
  if (text.startsWith(SSH)) return 'ssh';
  if (METHOD.test(text)) return 'http';
  return METHOD_PART.test(text) ? null : 'default';
}

export class ProtocolReader implements FirstBytesReader {
  timeoutMs: number;
  readonly incomplete = 'first-bytes-incomplete';
  spoken: SpokenProtocol = 'default';
  readonly #config: MuxConfig;
  readonly #restMs: number;
  #wasLate = false;

  /** @param totalMs until a client that has begun to speak must have said enough */
  constructor(config: MuxConfig, totalMs: number) {
    this.timeoutMs = Math.min(config.silenceMs, totalMs);
    this.#restMs = totalMs - this.timeoutMs;
    this.#config = config;
  }

  read(bytes: Buffer, length: number): FirstBytesVerdict {
    const spoken = protocolOf(bytes, length);
    if (spoken === null) return 'more';
    this.spoken = spoken;
    return this.#answer();
  }

  /** Who is silent waits for a banner. Who has begun to speak gets the rest of the time, and is what is left over then. */
  late(length: number): FirstBytesVerdict {
    if (length > 0 && !this.#wasLate) {
      this.#wasLate = true;
      this.timeoutMs = this.#restMs;
      return 'more';
    }
    this.spoken = length === 0 ? 'ssh' : 'default';
    return this.#nameOf() === null ? 'first-bytes-timeout' : 0;
  }

  #answer(): FirstBytesVerdict {
    return this.#nameOf() === null ? 'first-bytes-unknown' : 0;
  }

  /** The listener that takes the connection: what has no listener of its own is left to the default. */
  #nameOf(): string | null {
    return this.#config[this.spoken] ?? this.#config.default;
  }

  get listener(): string {
    return this.#nameOf() ?? '';
  }
}
