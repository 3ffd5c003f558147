// Reads the ClientHello of a TLS connection that is passed on unopened.

import { CLIENT_HELLO_LIMIT, type ClientHello, readClientHello } from '../tls/client-hello.ts';
import type { FirstBytesReader, FirstBytesVerdict } from './opening.ts';

const HANDSHAKE_RECORD = 0x16;
const MAJOR_VERSION = 0x03;
/** What a name may be made of to be told to others: anything printable without spaces. */
const PLAIN = /^[\x21-\x7e]*$/;

/** Behind the record header and the message type, which the limit counts with the length itself. */
const LENGTH_AT = 6;

function isTooLong(bytes: Buffer, length: number): boolean {
  return length >= LENGTH_AT + 3 && 4 + bytes.readUIntBE(LENGTH_AT, 3) > CLIENT_HELLO_LIMIT;
}

export class HelloReader implements FirstBytesReader {
  readonly timeoutMs: number;
  readonly incomplete = 'hello-incomplete';
  hello: ClientHello | null = null;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** The name that the client asked for; '' when none, or none that could be a host. */
  get serverName(): string {
    const { serverName = '' } = this.hello ?? {};
    return PLAIN.test(serverName) ? serverName : '';
  }

  read(bytes: Buffer, length: number): FirstBytesVerdict {
    if (length > 0 && bytes[0] !== HANDSHAKE_RECORD) return 'hello-missing';
    if (length > 1 && bytes[1] !== MAJOR_VERSION) return 'hello-missing';
    const hello = readClientHello(bytes.subarray(0, length));
    if (hello === 'more') return 'more';
    if (hello === null) return isTooLong(bytes, length) ? 'hello-oversize' : 'hello-malformed';
    this.hello = hello;
    // All of it goes to the target.
    return 0;
  }

  late(): FirstBytesVerdict {
    return 'hello-timeout';
  }
}
