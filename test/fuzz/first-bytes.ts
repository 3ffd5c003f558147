// Fuzzes what is read before a session begins: PROXY headers, ClientHellos, and the telling apart of protocols.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { protocolOf } from '../../src/proxy/first-bytes/protocol-reader.ts';
import { readClientHello } from '../../src/proxy/tls/client-hello.ts';
import { type Facts, NO_FACTS } from '../../src/proxy-protocol/header.ts';
import { readHeader } from '../../src/proxy-protocol/read-header.ts';
import type { Reading } from '../../src/proxy-protocol/reading.ts';
import { writeBinary, writeLine } from '../../src/proxy-protocol/write-header.ts';
import { shrink } from './corpus.ts';
import { createRandom, Mutator } from './mutate.ts';

export interface FirstBytesRun {
  executions: number;
  /** How many inputs were whole headers, and whole hellos: zero would mean that the generator reaches nothing. */
  headers: number;
  hellos: number;
  readonly findings: { readonly bytes: Buffer; readonly error: Error }[];
}

const BATCH = 64;
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

/** The smallest hello that asks for a name and offers protocols, in records of `size` bytes. */
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
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    sized(1),
    sized(2, Buffer.from([0x13, 0x01, 0x5a, 0x5a])),
    sized(1, Buffer.from([0])),
    sized(2, grease, ...serverName, ...alpn),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    records.push(Buffer.from([22, 3, 1]), sized(2, message.subarray(at, at + size)));
  }
  return Buffer.concat(records);
}

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

/** What must hold of any bytes, whole and at every prefix: what has been told once stays, and nothing throws. */
export function judgeFirstBytes(bytes: Buffer): { readonly header: boolean; readonly hello: boolean } {
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
  return { header: reading.kind === 'header', hello: told !== null && told !== 'more' };
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

export function fuzzFirstBytes(seed: number, mayGoOn: (executions: number) => boolean): FirstBytesRun {
  const mutator = new Mutator(createRandom(seed));
  const run: FirstBytesRun = { executions: 0, headers: 0, hellos: 0, findings: [] };
  const pick = (): Buffer => FIRST_BYTES[mutator.below(FIRST_BYTES.length)]!;
  while (mayGoOn(run.executions) && run.findings.length === 0) {
    for (let count = 0; count < BATCH; count += 1) {
      const bytes = Buffer.from(mutator.mutate(pick(), pick()).subarray(0, 400));
      run.executions += 1;
      try {
        const { header, hello: isHello } = judgeFirstBytes(bytes);
        run.headers += Number(header);
        run.hellos += Number(isHello);
      } catch (error) {
        run.findings.push({ bytes: shrink(bytes, holds), error: error as Error });
        break;
      }
    }
  }
  return run;
}

/** Whether the fault is still there in a shorter input. */
function holds(bytes: Buffer): boolean {
  try {
    judgeFirstBytes(bytes);
    return false;
  } catch {
    // Any failure will do: the shortest input of a chain of causes is the clearest.
    return true;
  }
}
