// Reads the PROXY header of a sender that is believed.

import type { ProxyProtocolIn } from '../../model/listener-config.ts';
import type { ProxyHeader } from '../../proxy-protocol/header.ts';
import { readHeader } from '../../proxy-protocol/read-header.ts';
import type { FirstBytesReader, FirstBytesVerdict } from './opening.ts';

export class ProxyHeaderReader implements FirstBytesReader {
  readonly timeoutMs: number;
  readonly incomplete = 'proxy-incomplete';
  /** Address of the sender. */
  readonly peer: string;
  /** Null when the connection speaks for itself. */
  header: ProxyHeader | null = null;
  readonly #required: boolean;

  constructor(rules: ProxyProtocolIn, peer: string) {
    this.timeoutMs = rules.timeoutMs;
    this.peer = peer;
    this.#required = rules.mode === 'required';
  }

  read(bytes: Buffer, length: number): FirstBytesVerdict {
    const reading = readHeader(bytes, length);
    switch (reading.kind) {
      case 'header':
        this.header = reading.header;
        return reading.length;
      case 'refused':
        return `proxy-${reading.why}`;
      case 'absent':
        return this.#required ? 'proxy-missing' : 0;
      case 'more':
        return 'more';
    }
  }

  /** A sender always says something; a client of its own may wait for the server's word. */
  late(length: number): FirstBytesVerdict {
    return length === 0 && !this.#required ? 0 : 'proxy-timeout';
  }
}
