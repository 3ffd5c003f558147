// Facts and ends for properties, and the splits that every header is read at.

import type { Facts } from '../../src/proxy-protocol/header.ts';
import { readHeader } from '../../src/proxy-protocol/read-header.ts';
import type { Reading } from '../../src/proxy-protocol/reading.ts';
import { fc } from '../support/properties.ts';

const PLAIN = { noNullPrototype: true } as const;
const port = fc.integer({ min: 0, max: 65_535 });
const v4 = fc.ipV4();
const v6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) =>
    Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! * 256 + bytes[2 * i + 1]!).toString(16)).join(':'),
  );
const endsOf = (address: fc.Arbitrary<string>) =>
  fc.record(
    { source: fc.record({ address, port }, PLAIN), destination: fc.record({ address, port }, PLAIN) },
    PLAIN,
  );
export const ends4 = endsOf(v4);
export const ends = fc.oneof(ends4, endsOf(v6), endsOf(fc.oneof(v4, v6)));

const text = fc.string({ unit: fc.constantFrom(...'abcXYZ019.-_ é世'), maxLength: 40 });
const latin1 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const tls = fc
  .record({
    certificate: fc.boolean(),
    verified: fc.boolean(),
    version: text,
    commonName: text,
    cipher: text,
    signatureAlgorithm: text,
    keyAlgorithm: text,
  })
  .map((facts) => ({ ...facts, verified: facts.verified && facts.certificate }));
export const facts: fc.Arbitrary<Facts> = fc.record({
  alpn: latin1,
  authority: text,
  uniqueId: latin1,
  tls: fc.option(tls),
  networkNamespace: text,
});

/** Reads as a connection does: whatever has come by each cut, until the answer is not `more`. */
export function readAt(bytes: Buffer, cuts: readonly number[]): Reading {
  for (const cut of [...cuts, bytes.length]) {
    // What lies behind the cut has not come: it must not be looked at.
    const come = Buffer.alloc(bytes.length, 0xff);
    bytes.copy(come, 0, 0, cut);
    const reading = readHeader(come, cut);
    if (reading.kind !== 'more') return reading;
  }
  return { kind: 'more' };
}

/** Byte by byte, and at every single cut. */
export function splitsOf(length: number): readonly (readonly number[])[] {
  const each = Array.from({ length }, (_, index) => index);
  return [each, ...each.map((cut) => [cut])];
}
