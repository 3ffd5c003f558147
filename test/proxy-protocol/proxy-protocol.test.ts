// PROXY headers of both versions: what is read from them, what is refused, and that no split changes either.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32c } from '../../src/proxy-protocol/crc32c.ts';
import { type Facts, HEADER_BYTES, NO_FACTS, SIGNATURE } from '../../src/proxy-protocol/header.ts';
import { readHeader } from '../../src/proxy-protocol/read-header.ts';
import type { Reading } from '../../src/proxy-protocol/reading.ts';
import { writeBinary, writeLine } from '../../src/proxy-protocol/write-header.ts';
import { fc } from '../support/properties.ts';
import { NO_TLS } from '../support/tls.ts';
import { ends, ends4, facts, readAt, splitsOf } from './arbitrary.ts';

const line = (text: string): Buffer => Buffer.from(text, 'latin1');
/** A binary header by hand: command, family, then what stands behind the length. */
function binary(command: number, family: number, ...rest: readonly (Buffer | readonly number[])[]): Buffer {
  const body = Buffer.concat(rest.map((part) => Buffer.from(part)));
  const fixed = Buffer.alloc(4);
  fixed[0] = command;
  fixed[1] = family;
  fixed.writeUInt16BE(body.length, 2);
  return Buffer.concat([SIGNATURE, fixed, body]);
}
const field = (type: number, value: Buffer | readonly number[]): Buffer =>
  Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 0xff]), Buffer.from(value)]);
const ADDRESSES = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb];
const tcp4 = (...fields: readonly Buffer[]): Buffer => binary(0x21, 0x11, ADDRESSES, ...fields);

/** `read`, and for a header its ends. */
function told(reading: Reading): string {
  if (reading.kind === 'refused') return reading.why;
  if (reading.kind !== 'header') return reading.kind;
  const { source, destination } = reading.header;
  if (source === null || destination === null) return `unknown ${reading.length}`;
  return `${source.address} ${source.port} ${destination.address} ${destination.port} ${reading.length}`;
}

const LINES: readonly (readonly [string, string])[] = [
  ['PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n', '192.0.2.1 56324 198.51.100.7 443 45'],
  [
    'PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n',
    '255.255.255.255 65535 255.255.255.255 65535 56',
  ],
  ['PROXY TCP6 2001:DB8:0::1 ::1 1 0\r\n', '2001:db8::1 1 ::1 0 34'],
  ['PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n', '192.0.2.1 1 ::1 2 37'],
  ['PROXY UNKNOWN\r\n', 'unknown 15'],
  ['PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n', 'unknown 43'],
  [`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`, 'unknown 107'],
  [`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`, 'oversize'],
  [`PROXY TCP4 ${'1'.repeat(200)}`, 'oversize'],
  ['PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n', 'malformed'],
  ['PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n', 'malformed'],
  ['PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.1\t198.51.100.7 56324 443\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.256 198.51.100.7 56324 443\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n', 'malformed'],
  ['PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n', 'malformed'],
  ['PROXY TCP4 ::1 ::1 1 2\r\n', 'malformed'],
  ['PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n', 'malformed'],
  ['PROXY TCP6 fe80::1%lo ::1 1 2\r\n', 'malformed'],
  ['PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n', 'malformed'],
  ['PROXY UNKNOWNX\r\n', 'malformed'],
  ['PROXY \r\n', 'malformed'],
  ['PROXY', 'more'],
  ['PROXY\r\n', 'absent'],
  ['proxy tcp4', 'absent'],
  ['POST / HTTP/1.1\r\n', 'absent'],
  ['PRI * HTTP/2.0\r\n', 'absent'],
  ['SSH-2.0-client\r\n', 'absent'],
  ['\r\n\r\nGET', 'absent'],
  ['', 'more'],
];

const BINARIES: readonly (readonly [string, Buffer, string])[] = [
  ['IPv4', tcp4(), '192.0.2.1 56324 198.51.100.7 443 28'],
  [
    'IPv6',
    binary(0x21, 0x21, Buffer.alloc(15), [1], Buffer.alloc(14), [1, 2], [0, 5, 0, 6]),
    '::1 5 ::102 6 52',
  ],
  [
    'IPv4 as IPv6',
    binary(0x21, 0x21, Buffer.alloc(10), [255, 255, 192, 0, 2, 1], Buffer.alloc(20)),
    '192.0.2.1 0 :: 0 52',
  ],
  ['LOCAL', binary(0x20, 0), 'unknown 16'],
  ['LOCAL with anything behind it', binary(0x20, 0x11, [1, 2, 3]), 'unknown 19'],
  ['LOCAL of a family that nobody knows', binary(0x20, 0xff, [1]), 'unknown 17'],
  ['unspecified family', binary(0x21, 0), 'unknown 16'],
  ['UDP', binary(0x21, 0x12, ADDRESSES), 'unknown 28'],
  ['UNIX', binary(0x21, 0x31, Buffer.alloc(216)), 'unknown 232'],
  ['UNIX without its paths', binary(0x21, 0x31, Buffer.alloc(215)), 'malformed'],
  ['addresses cut short', binary(0x21, 0x11, ADDRESSES.slice(1)), 'malformed'],
  ['another version', binary(0x11, 0x11, ADDRESSES), 'malformed'],
  ['an unknown command', binary(0x22, 0x11, ADDRESSES), 'malformed'],
  ['an unknown family', binary(0x21, 0x41, ADDRESSES), 'malformed'],
  ['an unknown transport', binary(0x21, 0x13, ADDRESSES), 'malformed'],
  [
    'the longest',
    tcp4(field(0xe0, Buffer.alloc(HEADER_BYTES - 31))),
    '192.0.2.1 56324 198.51.100.7 443 4096',
  ],
  ['one byte more', tcp4(field(0xe0, Buffer.alloc(HEADER_BYTES - 30))), 'oversize'],
  [
    'unknown and empty fields',
    tcp4(field(0xea, [1]), field(4, []), field(4, [0, 0])),
    '192.0.2.1 56324 198.51.100.7 443 40',
  ],
  ['a field without its length', tcp4(Buffer.from([1, 0])), 'malformed'],
  ['a field that runs over the end', tcp4(Buffer.from([1, 0, 9, 1])), 'malformed'],
  ['a wrong checksum', tcp4(field(3, [1, 2, 3, 4])), 'checksum'],
  ['a checksum of three bytes', tcp4(field(3, [1, 2, 3])), 'malformed'],
  ['two checksums', tcp4(field(3, [0, 0, 0, 0]), field(3, [0, 0, 0, 0])), 'malformed'],
  ['two authorities', tcp4(field(2, line('a')), field(2, line('b'))), 'malformed'],
  ['control characters in the authority', tcp4(field(2, line('a\nb'))), 'malformed'],
  ['a unique id of 129 bytes', tcp4(field(5, Buffer.alloc(129))), 'malformed'],
  ['TLS facts cut short', tcp4(field(0x20, [1, 0, 0, 0])), 'malformed'],
  ['a TLS field that runs over its end', tcp4(field(0x20, [1, 0, 0, 0, 0, 0x21, 0, 9])), 'malformed'],
  [
    'two TLS versions',
    tcp4(field(0x20, Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), field(0x21, [65]), field(0x21, [66])]))),
    'malformed',
  ],
];

describe('readHeader', () => {
  for (const [text, expected] of LINES) {
    it(`${JSON.stringify(text.slice(0, 60))}: ${expected}`, () => {
      const bytes = line(text);
      for (const cuts of [[], ...splitsOf(bytes.length)]) assert.equal(told(readAt(bytes, cuts)), expected);
    });
  }
  for (const [name, bytes, expected] of BINARIES) {
    it(`${name}: ${expected}`, () => {
      for (const cuts of [[], ...splitsOf(Math.min(bytes.length, 300))]) {
        assert.equal(told(readAt(bytes, cuts)), expected);
      }
    });
  }

  it('leaves what follows the header alone', () => {
    for (const header of [line('PROXY UNKNOWN\r\n'), tcp4()]) {
      const reading = readHeader(Buffer.concat([header, line('\r\nSSH-2.0')]), header.length + 9);
      assert.ok(reading.kind === 'header' && reading.length === header.length);
    }
  });

  it('needs no more than a header is long, and never waits behind what it has refused', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('PROXY ', SIGNATURE, ''),
        (rest, start) => {
          const bytes = Buffer.concat([Buffer.from(start as string, 'latin1'), rest]);
          const whole = told(readHeader(bytes, bytes.length));
          for (const cuts of splitsOf(bytes.length)) assert.equal(told(readAt(bytes, cuts)), whole);
        },
      ),
    );
  });
});

describe('writing', () => {
  it('a line is read back as it was written', () => {
    fc.assert(
      fc.property(ends, (given) => {
        const bytes = writeLine(given);
        assert.ok(bytes.length <= 107);
        const reading = readHeader(bytes, bytes.length);
        assert.ok(reading.kind === 'header');
        assert.deepEqual(
          read(writeLine({ source: reading.header.source!, destination: reading.header.destination! })),
          reading,
        );
        assert.equal(reading.header.source?.port, given.source.port);
      }),
    );
    fc.assert(
      fc.property(ends4, (given) => {
        const { source, destination } = read(writeLine(given)).header;
        assert.deepEqual({ source, destination }, given);
      }),
    );
    assert.equal(told(read(writeLine(null))), 'unknown 15');
  });

  it('a binary header is read back as it was written, its facts and checksum included, at every split', () => {
    fc.assert(
      fc.property(ends4, facts, fc.boolean(), (given, said, checksum) => {
        const bytes = writeBinary(given, said, checksum);
        const reading = read(bytes);
        const { version, ...header } = reading.header;
        assert.deepEqual({ version, ...header }, { version: 2, ...given, ...said });
        assert.equal(reading.length, bytes.length);
        assert.deepEqual(readAt(bytes, splitsOf(bytes.length)[0]!), reading);
      }),
    );
  });

  it('both versions tell the same ends, whatever their families', () => {
    fc.assert(
      fc.property(ends, (given) => {
        const { source, destination } = read(writeBinary(given, NO_FACTS, false)).header;
        const asLine = read(writeLine(given)).header;
        assert.deepEqual({ source, destination }, { source: asLine.source, destination: asLine.destination });
      }),
    );
  });

  it('one changed bit breaks the checksum or the form', () => {
    const bytes = writeBinary(
      { source: { address: '192.0.2.1', port: 1 }, destination: { address: '::1', port: 2 } },
      { ...NO_FACTS, authority: 'a.example' },
      true,
    );
    for (let bit = 8 * 16; bit < 8 * bytes.length; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const { kind } = readHeader(changed, changed.length);
      const inType = isInFieldHead(bytes, bit >> 3);
      assert.ok(kind === 'refused' || inType, `bit ${bit}`);
    }
  });

  it('LOCAL says nothing, with a checksum too', () => {
    const said: Facts = { ...NO_FACTS, authority: 'a' };
    assert.equal(writeBinary(null, said, false).toString('hex'), `${SIGNATURE.toString('hex')}20000000`);
    assert.equal(told(read(writeBinary(null, said, true))), 'unknown 23');
  });

  it('leaves out a fact that would make the header too long', () => {
    const given = {
      source: { address: '192.0.2.1', port: 1 },
      destination: { address: '192.0.2.2', port: 2 },
    };
    const { header } = read(
      writeBinary(given, { ...NO_FACTS, authority: 'a'.repeat(5000), alpn: 'h2' }, true),
    );
    assert.deepEqual([header.authority, header.alpn], ['', 'h2']);
  });

  it('leaves out a common name that does not fit, and tells the rest of the TLS connection', () => {
    const given = { source: { address: '1.2.3.4', port: 1 }, destination: { address: '5.6.7.8', port: 2 } };
    const tls = { ...NO_TLS, certificate: true, version: 'TLSv1.2', cipher: 'ECDHE-RSA-AES128-GCM-SHA256' };
    for (const length of [HEADER_BYTES - 50, HEADER_BYTES, 65_536, 90_000]) {
      const facts = { ...NO_FACTS, tls: { ...tls, commonName: 'x'.repeat(length) } };
      assert.deepEqual(read(writeBinary(given, facts, true)).header.tls, tls);
    }
  });

  it('the checksum is CRC-32C: the check value of the algorithm', () => {
    assert.equal(crc32c(line('123456789'), 0, 9), 0xe3069283);
    assert.equal(crc32c(Buffer.alloc(32), 0, 32), 0x8a9136aa, 'RFC 3720, appendix B.4');
    assert.equal(crc32c(Buffer.alloc(32, 0xff), 0, 32), 0x62a8ab43, 'RFC 3720, appendix B.4');
  });
});

function read(bytes: Buffer): Extract<Reading, { kind: 'header' }> {
  const reading = readHeader(bytes, bytes.length);
  assert.ok(reading.kind === 'header', told(reading));
  return reading;
}

/** The type of the checksum's own field: another type hides the checksum, and with it the change. */
function isInFieldHead(bytes: Buffer, at: number): boolean {
  return at === bytes.length - 7;
}
