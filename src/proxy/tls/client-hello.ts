// Reads the ClientHello of a TLS connection (RFC 8446, section 4.1.2) without answering it: the certificate is chosen before OpenSSL sees a byte.

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const HANDSHAKE_HEADER = 4;
/** RFC 8446, section 5.1. */
const RECORD_LIMIT = 16_384;
/** Bytes of the message: with post-quantum key shares and tickets it has 2 to 4 KiB. */
export const CLIENT_HELLO_LIMIT = 16_384;
/** Records that it may be spread over: clients that cut it up use a few, and all are looked at again with each packet. */
const RECORDS_LIMIT = 64;

const SERVER_NAME = 0;
const STATUS_REQUEST = 5;
const SIGNATURE_ALGORITHMS = 13;
const ALPN = 16;
const SUPPORTED_VERSIONS = 43;
const TLS_1_3 = 0x0304;

export interface ClientHello {
  /** The host name asked for (RFC 6066, section 3), lower case and without a trailing dot; '' when there is none. */
  readonly serverName: string;
  readonly alpn: readonly string[];
  /** Code points in the client's order. */
  readonly ciphers: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  readonly offersTls13: boolean;
  /** Asks for a stapled OCSP response. */
  readonly wantsStatus: boolean;
}

/**
 * The ClientHello at the start of `bytes`, which may be spread over several records.
 * @returns 'more' when it is not complete, null when this is no readable ClientHello
 */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | null {
  const message = handshakeMessage(bytes);
  if (message === 'more' || message === null) return message;
  try {
    return parse(message);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** What follows the header of the message, which is nearly always in one record and is read where it lies. */
function handshakeMessage(bytes: Buffer): Reader | 'more' | null {
  const fragments: Buffer[] = [];
  let have = 0;
  let wanted = HANDSHAKE_HEADER;
  let position = 0;
  for (;;) {
    if (bytes.length > position && bytes[position] !== HANDSHAKE_RECORD) return null;
    if (bytes.length - position < RECORD_HEADER) return 'more';
    const length = bytes.readUInt16BE(position + 3);
    if (bytes[position + 1] !== 3 || length === 0 || length > RECORD_LIMIT) return null;
    if (fragments.length === RECORDS_LIMIT) return null;
    const start = position + RECORD_HEADER;
    const end = Math.min(start + length, bytes.length);
    if (have === 0 && end > start && bytes[start] !== CLIENT_HELLO) return null;
    const before = have;
    have += end - start;
    if (before === 0 && have >= HANDSHAKE_HEADER) {
      const whole = HANDSHAKE_HEADER + bytes.readUIntBE(start + 1, 3);
      if (whole <= Math.min(have, CLIENT_HELLO_LIMIT))
        return new Reader(bytes, start + HANDSHAKE_HEADER, start + whole);
    }
    fragments.push(bytes.subarray(start, end));
    if (before < HANDSHAKE_HEADER && have >= HANDSHAKE_HEADER) {
      wanted += Buffer.concat(fragments).readUIntBE(1, 3);
      if (wanted > CLIENT_HELLO_LIMIT) return null;
    }
    if (have >= HANDSHAKE_HEADER && have >= wanted)
      return new Reader(Buffer.concat(fragments, have), HANDSHAKE_HEADER, wanted);
    if (end - start < length) return 'more';
    position = start + length;
  }
}

function parse(hello: Reader): ClientHello {
  hello.skip(2 + 32);
  hello.vector(1);
  const ciphers = hello.vector(2).numbers();
  hello.vector(1);
  let serverName = '';
  let alpn: readonly string[] = [];
  let signatureAlgorithms: readonly number[] = [];
  let offersTls13 = false;
  let wantsStatus = false;
  const extensions = hello.empty ? hello : hello.vector(2);
  const types = new ExtensionTypes();
  while (!extensions.empty) {
    const type = extensions.number(2);
    types.add(type);
    const data = extensions.vector(2);
    if (type === SERVER_NAME) serverName = hostName(data);
    else if (type === STATUS_REQUEST) wantsStatus = data.number(1) === 1;
    else if (type === SIGNATURE_ALGORITHMS) signatureAlgorithms = data.vector(2).numbers();
    else if (type === ALPN) alpn = protocols(data.vector(2));
    else if (type === SUPPORTED_VERSIONS) offersTls13 = data.vector(1).numbers().includes(TLS_1_3);
  }
  if (!hello.empty) throw new RangeError('bytes after the extensions');
  return { serverName, alpn, ciphers, signatureAlgorithms, offersTls13, wantsStatus };
}

/** As OpenSSL reads it: one host name and nothing else. Of two, another reader might take the other (RFC 6066, section 3). */
function hostName(data: Reader): string {
  const names = data.vector(2);
  const type = names.number(1);
  const name = names.vector(2).text().toLowerCase();
  const isOne = type === 0 && !name.includes('\0') && names.empty && data.empty;
  if (!isOne) throw new RangeError('not one host name');
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function protocols(list: Reader): readonly string[] {
  const found: string[] = [];
  while (!list.empty) found.push(list.vector(1).text());
  return found;
}

/** Of one message; a RangeError for one that comes twice: two readers might take different ones (RFC 8446, section 4.2). */
class ExtensionTypes {
  /** Of the first 32, which nearly all are, a bit. */
  #usual = 0;
  #others: Set<number> | null = null;

  add(type: number): void {
    const isUsual = type < 32;
    if (isUsual ? (this.#usual & (1 << type)) !== 0 : this.#others?.has(type) === true)
      throw new RangeError('an extension comes twice');
    if (isUsual) this.#usual |= 1 << type;
    else {
      this.#others ??= new Set();
      this.#others.add(type);
    }
  }
}

/** Reads numbers and length-prefixed vectors of `bytes[start, end)` in order; throws RangeError beyond the end. */
class Reader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #position: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  get empty(): boolean {
    return this.#position === this.#end;
  }

  skip(count: number): void {
    if (this.#position + count > this.#end) throw new RangeError('beyond the end');
    this.#position += count;
  }

  number(size: 1 | 2): number {
    const at = this.#position;
    this.skip(size);
    const first = this.#bytes[at]!;
    return size === 1 ? first : (first << 8) | this.#bytes[at + 1]!;
  }

  vector(lengthSize: 1 | 2): Reader {
    const length = this.number(lengthSize);
    const start = this.#position;
    this.skip(length);
    return new Reader(this.#bytes, start, start + length);
  }

  numbers(): readonly number[] {
    const all: number[] = [];
    while (!this.empty) all.push(this.number(2));
    return all;
  }

  text(): string {
    return this.#bytes.latin1Slice(this.#position, this.#end);
  }
}
