// What must hold of all that is read before a session begins: PROXY headers, ClientHellos, and the telling apart of protocols.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { protocolOf } from '../../src/proxy/first-bytes/protocol-reader.ts';
import { readClientHello } from '../../src/proxy/tls/client-hello.ts';
import { type Facts, NO_FACTS } from '../../src/proxy-protocol/header.ts';
import { readHeader } from '../../src/proxy-protocol/read-header.ts';
import type { Reading } from '../../src/proxy-protocol/reading.ts';
import { writeBinary, writeLine } from '../../src/proxy-protocol/write-header.ts';

/** Longer inputs are cut: each is read at every prefix. */
const LONGEST = 400;
const ENDS = {
  source: { address: '192.0.2.1', port: 4000 },
  destination: { address: '2001:db8::1', port: 443 },
};
const FACTS: Facts = {
  alpn: 'h2',
  authority: 'a.example',
  uniqueId: 'id',
  networkNamespace: 'blue',
  tls: {
    certificate: true,
    verified: true,
    version: 'TLSv1.3',
    commonName: 'c',
    cipher: 'x',
    signatureAlgorithm: '',
    keyAlgorithm: '',
  },
};
const V4 = { ...ENDS, destination: { address: '192.0.2.2', port: 1 } };

/** A hello that asks for a name and offers protocols, versions and signatures, in records of `size` bytes. */
function hello(name: string, protocols: readonly string[], size: number): Buffer {
  const sized = (width: 1 | 2, ...parts: readonly Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    const length = Buffer.alloc(width);
    length.writeUIntBE(body.length, 0, width);
    return Buffer.concat([length, body]);
  };
  const text = (value: string): Buffer => Buffer.from(value, 'latin1');
  const serverName = [Buffer.from([0, 0]), sized(2, sized(2, Buffer.from([0]), sized(2, text(name))))];
  const alpn = [Buffer.from([0, 16]), sized(2, sized(2, ...protocols.map((one) => sized(1, text(one)))))];
  const grease = Buffer.from([0x1a, 0x1a, 0, 0]);
  const status = [Buffer.from([0, 5]), sized(2, Buffer.from([1, 0, 0, 0, 0]))];
  const signatures = [Buffer.from([0, 13]), sized(2, sized(2, Buffer.from([4, 3, 8, 4])))];
  const versions = [Buffer.from([0, 43]), sized(2, sized(1, Buffer.from([3, 4, 3, 3])))];
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    sized(1),
    sized(2, Buffer.from([0x13, 0x01, 0x5a, 0x5a])),
    sized(1, Buffer.from([0])),
    sized(2, grease, ...serverName, ...alpn, ...status, ...signatures, ...versions),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    records.push(Buffer.from([22, 3, 1]), sized(2, message.subarray(at, at + size)));
  }
  return Buffer.concat(records);
}

/** What runs begin with. */
export const FIRST_BYTES: readonly Buffer[] = [
  writeLine(V4),
  writeLine(ENDS),
  writeLine(null),
  writeBinary(V4, NO_FACTS, false),
  writeBinary(ENDS, FACTS, true),
  writeBinary(null, NO_FACTS, true),
  hello('a.example.com', ['h2', 'http/1.1'], 4000),
  hello('b.example.com', [], 9),
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('SSH-2.0-client\r\n'),
];

/**
 * What has been told once stays, at every prefix, and nothing throws.
 * @returns what the bytes are, in a word for each reader
 */
export function judgeFirstBytes(input: Buffer): string {
  const bytes = input.subarray(0, LONGEST);
  const reading = readHeader(bytes, bytes.length);
  const told = readClientHello(bytes);
  const spoken = protocolOf(bytes, bytes.length);
  for (let length = 0; length < bytes.length; length += 1) {
    const come = Buffer.concat([bytes.subarray(0, length), Buffer.alloc(bytes.length - length, 0xff)]);
    const early: Reading = readHeader(come, length);
    if (early.kind !== 'more') assert.deepEqual(early, reading, `the header after ${length} bytes`);
    const earlyHello = readClientHello(bytes.subarray(0, length));
    if (earlyHello !== 'more') assert.deepEqual(earlyHello, told, `the hello after ${length} bytes`);
    const earlySpoken = protocolOf(come, length);
    if (earlySpoken !== null) assert.equal(earlySpoken, spoken, `the protocol after ${length} bytes`);
  }
  if (reading.kind === 'header') checkRewritten(reading);
  const hello = told === null || told === 'more' ? told : 'hello';
  return `${reading.kind === 'refused' ? reading.why : reading.kind} ${hello} ${spoken}`;
}

/** What was read is written and read again without a change. */
function checkRewritten({ header }: Extract<Reading, { kind: 'header' }>): void {
  const { source, destination, version: _version, ...facts } = header;
  if (source === null || destination === null) return;
  const bytes = writeBinary({ source, destination }, facts, true);
  const again = readHeader(bytes, bytes.length);
  assert.ok(again.kind === 'header');
  assert.deepEqual(
    { ...again.header, version: 0 },
    { ...header, version: 0 },
    'the header, written and read again',
  );
}
