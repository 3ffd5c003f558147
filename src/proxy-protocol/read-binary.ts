// Version 2: sixteen fixed bytes, addresses by family, then fields of type, length and value (section 2.2).

import { addressText } from './addresses.ts';
import { crc32c } from './crc32c.ts';
import {
  type Endpoint,
  type Facts,
  FIXED_BYTES,
  HEADER_BYTES,
  NO_FACTS,
  SIGNATURE,
  TLS_BIT,
  TLV,
  type TlsFacts,
  UNIQUE_ID_BYTES,
} from './header.ts';
import { BAD_CHECKSUM, MALFORMED, MORE, OVERSIZE, type Reading } from './reading.ts';

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** Bytes of two addresses and ports by family, the upper half of its byte: none, IPv4, IPv6, UNIX paths. */
const ADDRESS_BYTES = [0, 12, 36, 216] as const;
/** The lower half: unspecified, stream, datagram. */
const LAST_TRANSPORT = 2;
const FIELD_BYTES = 3;

/** @param length of what has come so far: the fixed bytes at least, of which the signature is known to fit */
export function readBinary(bytes: Buffer, length: number): Reading {
  const command = bytes[SIGNATURE.length]!;
  const family = bytes[SIGNATURE.length + 1]!;
  if (command !== LOCAL && command !== PROXY) return MALFORMED;
  const end = FIXED_BYTES + bytes.readUInt16BE(FIXED_BYTES - 2);
  if (end > HEADER_BYTES) return OVERSIZE;
  const unknown = { version: 2, source: null, destination: null, ...NO_FACTS } as const;
  // The sender's own connection: whatever it says beside that is to be passed over, the family too.
  if (command === LOCAL) return length < end ? MORE : { kind: 'header', header: unknown, length: end };
  const addressBytes = ADDRESS_BYTES[family >> 4];
  if (addressBytes === undefined || (family & 0x0f) > LAST_TRANSPORT) return MALFORMED;
  if (end < FIXED_BYTES + addressBytes) return MALFORMED;
  if (length < end) return MORE;
  const facts = readFacts(bytes, FIXED_BYTES + addressBytes, end);
  if (facts === 'malformed') return MALFORMED;
  if (facts === 'checksum') return BAD_CHECKSUM;
  if (family !== TCP4 && family !== TCP6)
    return { kind: 'header', header: { ...unknown, ...facts }, length: end };
  const header = { version: 2, ...readEndpoints(bytes, family === TCP4 ? 4 : 16), ...facts } as const;
  return { kind: 'header', header, length: end };
}

function readEndpoints(bytes: Buffer, size: 4 | 16): { source: Endpoint; destination: Endpoint } {
  const ports = FIXED_BYTES + 2 * size;
  return {
    source: { address: addressText(bytes, FIXED_BYTES, size), port: bytes.readUInt16BE(ports) },
    destination: {
      address: addressText(bytes, FIXED_BYTES + size, size),
      port: bytes.readUInt16BE(ports + 2),
    },
  };
}

type Field = (type: number, start: number, end: number) => boolean;

/** Calls `take` for each field; false when they do not fill `[start, end)` exactly or one is not acceptable. */
function eachField(bytes: Buffer, start: number, end: number, take: Field): boolean {
  let at = start;
  while (at < end) {
    if (end - at < FIELD_BYTES) return false;
    const value = at + FIELD_BYTES;
    const next = value + bytes.readUInt16BE(at + 1);
    if (next > end || !take(bytes[at]!, value, next)) return false;
    at = next;
  }
  return true;
}

/** Fields that are not known are passed over; a known one that comes twice is refused: readers would differ. */
function readFacts(bytes: Buffer, start: number, end: number): Facts | 'malformed' | 'checksum' {
  const found = new Map<number, string>();
  let tls: TlsFacts | null = null;
  let checksumAt = -1;
  const fits = eachField(bytes, start, end, (type, from, to) => {
    switch (type) {
      case TLV.crc32c:
        if (checksumAt !== -1 || to - from !== 4) return false;
        checksumAt = from;
        return true;
      case TLV.tls: {
        if (tls !== null) return false;
        tls = readTls(bytes, from, to);
        return tls !== null;
      }
      case TLV.uniqueId:
        return to - from <= UNIQUE_ID_BYTES && keep(found, type, bytes.latin1Slice(from, to));
      case TLV.alpn:
        return keep(found, type, bytes.latin1Slice(from, to));
      case TLV.authority:
      case TLV.networkNamespace:
        return keep(found, type, printable(bytes, from, to));
      default:
        return true;
    }
  });
  if (!fits) return 'malformed';
  if (checksumAt !== -1 && crc32c(bytes, 0, end, checksumAt) !== bytes.readUInt32BE(checksumAt))
    return 'checksum';
  return {
    alpn: found.get(TLV.alpn) ?? '',
    authority: found.get(TLV.authority) ?? '',
    uniqueId: found.get(TLV.uniqueId) ?? '',
    tls,
    networkNamespace: found.get(TLV.networkNamespace) ?? '',
  };
}

function readTls(bytes: Buffer, start: number, end: number): TlsFacts | null {
  if (end - start < 5) return null;
  const client = bytes[start]!;
  const found = new Map<number, string>();
  const fits = eachField(
    bytes,
    start + 5,
    end,
    (type, from, to) =>
      type < TLV.tlsVersion || type > TLV.tlsKeyAlgorithm || keep(found, type, printable(bytes, from, to)),
  );
  if (!fits) return null;
  const certificate = (client & (TLS_BIT.certificateOnConnection | TLS_BIT.certificateInSession)) !== 0;
  return {
    certificate,
    verified: certificate && bytes.readUInt32BE(start + 1) === 0,
    version: found.get(TLV.tlsVersion) ?? '',
    commonName: found.get(TLV.tlsCommonName) ?? '',
    cipher: found.get(TLV.tlsCipher) ?? '',
    signatureAlgorithm: found.get(TLV.tlsSignatureAlgorithm) ?? '',
    keyAlgorithm: found.get(TLV.tlsKeyAlgorithm) ?? '',
  };
}

function keep(found: Map<number, string>, type: number, value: string | null): boolean {
  if (value === null || found.has(type)) return false;
  found.set(type, value);
  return true;
}

/** UTF-8 text; null when it holds control characters, which would end up in a log or a field. */
function printable(bytes: Buffer, start: number, end: number): string | null {
  for (let index = start; index < end; index += 1) {
    if (bytes[index]! < 0x20 || bytes[index] === 0x7f) return null;
  }
  return bytes.toString('utf8', start, end);
}
