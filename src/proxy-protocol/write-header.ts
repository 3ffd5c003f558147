// Writes PROXY headers of both versions.

import { isIPv4 } from 'node:net';
import { writeIpv4, writeIpv6 } from './addresses.ts';
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
} from './header.ts';

const LOCAL = 0x20;
const PROXY = 0x21;
/** Type and length of a field; a field with the checksum; what a TLS field begins with. */
const FIELD_BYTES = 3;
const CHECKSUM_BYTES = FIELD_BYTES + 4;
const TLS_FIXED_BYTES = 5;
/** Room for the longest, while one is written. */
const SCRATCH = Buffer.alloc(HEADER_BYTES);

export interface Ends {
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

/** `LOCAL`, or `UNKNOWN` in version 1: the connection is for no client. */
export function writeLocal(version: 1 | 2): Buffer {
  return version === 1 ? writeLine(null) : writeBinary(null, NO_FACTS, false);
}

/** Version 1. Ends of two families are both told as IPv6; null says `UNKNOWN`. */
export function writeLine(ends: Ends | null): Buffer {
  if (ends === null) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const { source, destination } = ends;
  const isV4 = isIPv4(source.address) && isIPv4(destination.address);
  const text = ({ address }: Endpoint): string => (isV4 || !isIPv4(address) ? address : `::ffff:${address}`);
  const addresses = `${text(source)} ${text(destination)} ${source.port} ${destination.port}`;
  return Buffer.from(`PROXY ${isV4 ? 'TCP4' : 'TCP6'} ${addresses}\r\n`, 'latin1');
}

/**
 * Version 2. Null ends make it `LOCAL`, which says nothing else. Fields are left out where a fact is empty, and facts
 * that would make the header too long are left out as well.
 * @param checksum adds a CRC-32C
 */
export function writeBinary(ends: Ends | null, facts: Facts, checksum: boolean): Buffer {
  const bytes = SCRATCH;
  let at = SIGNATURE.copy(bytes);
  bytes[at++] = ends === null ? LOCAL : PROXY;
  if (ends === null) bytes[at++] = 0;
  else at = writeEnds(bytes, at, ends);
  if (ends === null) at += 2;
  else at = writeFacts(bytes, at, facts);
  const checksumAt = checksum ? at + FIELD_BYTES : -1;
  if (checksum) at = writeField(bytes, at, TLV.crc32c, Buffer.alloc(4));
  bytes.writeUInt16BE(at - FIXED_BYTES, FIXED_BYTES - 2);
  if (checksum) bytes.writeUInt32BE(crc32c(bytes, 0, at), checksumAt);
  return Buffer.from(bytes.subarray(0, at));
}

/** Family, addresses and ports; leaves room for the length. */
function writeEnds(bytes: Buffer, at: number, { source, destination }: Ends): number {
  const isV4 = isIPv4(source.address) && isIPv4(destination.address);
  const size = isV4 ? 4 : 16;
  const write = isV4 ? writeIpv4 : writeIpv6;
  bytes[at] = isV4 ? 0x11 : 0x21;
  write(bytes, FIXED_BYTES, source.address);
  write(bytes, FIXED_BYTES + size, destination.address);
  bytes.writeUInt16BE(source.port, FIXED_BYTES + 2 * size);
  bytes.writeUInt16BE(destination.port, FIXED_BYTES + 2 * size + 2);
  return FIXED_BYTES + 2 * size + 4;
}

function writeFacts(bytes: Buffer, start: number, facts: Facts): number {
  let at = start;
  // That for the checksum stays.
  const room = (): number => bytes.length - CHECKSUM_BYTES - FIELD_BYTES - at;
  const add = (type: number, value: Buffer): void => {
    if (value.length <= room()) at = writeField(bytes, at, type, value);
  };
  const { alpn, authority, uniqueId, networkNamespace } = facts;
  if (alpn !== '') add(TLV.alpn, Buffer.from(alpn, 'latin1'));
  if (authority !== '') add(TLV.authority, Buffer.from(authority, 'utf8'));
  if (uniqueId !== '') add(TLV.uniqueId, Buffer.from(uniqueId, 'latin1'));
  if (facts.tls !== null) add(TLV.tls, tlsValue(facts.tls, room()));
  if (networkNamespace !== '') add(TLV.networkNamespace, Buffer.from(networkNamespace, 'utf8'));
  return at;
}

/** @param room for all of it: a common name may be as long as a certificate, and what it says of that one is told without it */
function tlsValue(tls: TlsFacts, room: number): Buffer {
  const fields: readonly [number, string][] = [
    [TLV.tlsVersion, tls.version],
    [TLV.tlsCommonName, tls.commonName],
    [TLV.tlsCipher, tls.cipher],
    [TLV.tlsSignatureAlgorithm, tls.signatureAlgorithm],
    [TLV.tlsKeyAlgorithm, tls.keyAlgorithm],
  ];
  let length = TLS_FIXED_BYTES;
  const told = fields.filter(([, text]) => {
    const behind = length + FIELD_BYTES + Buffer.byteLength(text);
    if (text === '' || behind > room) return false;
    length = behind;
    return true;
  });
  const bytes = Buffer.alloc(length);
  bytes[0] =
    TLS_BIT.tls | (tls.certificate ? TLS_BIT.certificateOnConnection | TLS_BIT.certificateInSession : 0);
  bytes.writeUInt32BE(tls.verified ? 0 : 1, 1);
  let at = TLS_FIXED_BYTES;
  for (const [type, text] of told) at = writeField(bytes, at, type, Buffer.from(text, 'utf8'));
  return bytes;
}

function writeField(bytes: Buffer, at: number, type: number, value: Buffer): number {
  bytes[at] = type;
  bytes.writeUInt16BE(value.length, at + 1);
  return at + FIELD_BYTES + value.copy(bytes, at + FIELD_BYTES);
}
