// Chunked bodies that are good: sizes, extensions that are thrown away, and trailers that pass or do not.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HeadLimits } from '../../src/http1/limits.ts';
import { atEverySplit, bytesOf, LIMITS, readRequests } from './drive.ts';

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n';

function read(body: string, fields = '', limits: HeadLimits = LIMITS) {
  return atEverySplit(bytesOf(`${HEAD}${fields}\r\n${body}`), (bytes, cuts) =>
    readRequests(bytes, cuts, limits),
  );
}

describe('a chunked body', () => {
  for (const [section, what, body, decoded] of [
    ['9112 7.1', 'empty', '0\r\n\r\n', ''],
    ['9112 7.1', 'several chunks', '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n', 'abc'],
    [
      '9112 7.1',
      'sizes in either case',
      'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n',
      '01234567890123456789',
    ],
    ['9112 7.1', 'leading zeros, and several in the last chunk', '0001\r\na\r\n000\r\n\r\n', 'a'],
    ['9112 7.1', 'data that looks like framing', '9\r\n0\r\n\r\n\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n\r\n\r\n'],
    ['9112 7.1.1', 'an extension', '1;a\r\nx\r\n0;b\r\n\r\n', 'x'],
    ['9112 7.1.1', 'extensions with values', '1;a=b;c="d e";f\r\nx\r\n0\r\n\r\n', 'x'],
    ['9112 7.1.1', 'quoted semicolons, quotes and obs-text', '1;a=";\\"\\\\\xe9\t"\r\nx\r\n0\r\n\r\n', 'x'],
    [
      '9112 7.1.1',
      'the white space that recipients must take',
      '1 ; a = b\t;\tc="d" ;e\r\nx\r\n0\r\n\r\n',
      'x',
    ],
  ] as const) {
    it(`RFC ${section}: ${what}`, () => {
      const outcome = read(body);
      assert.equal(outcome.failure, '');
      assert.equal(outcome.messages[0]!.body, decoded);
      assert.ok(outcome.messages[0]!.ended && outcome.idle);
    });
  }

  it('RFC 9112 8: is open while the last chunk or its empty line is missing', () => {
    for (const body of [
      '',
      '1',
      '1\r\n',
      '1\r\nx',
      '1\r\nx\r\n',
      '1\r\nx\r\n0',
      '1\r\nx\r\n0\r\n',
      '0\r\nX: y\r\n',
    ]) {
      const outcome = read(body);
      assert.deepEqual([outcome.failure, outcome.messages[0]!.ended, outcome.idle], ['', false, false], body);
    }
  });

  it('is followed by the next request', () => {
    const outcome = read('0\r\nX: y\r\n\r\nGET /next HTTP/1.1\r\nHost: b\r\n\r\n');
    assert.deepEqual(
      outcome.messages.map((message) => message.start),
      ['POST / 1.1', 'GET /next 1.1'],
    );
  });
});

describe('trailers', () => {
  it('RFC 9110 6.5: pass, written anew', () => {
    const outcome = read('0\r\nGrpc-Status:0\r\nX-Checksum: \t a b \r\n\r\n');
    assert.equal(outcome.messages[0]!.trailers, 'Grpc-Status: 0\r\nX-Checksum: a b\r\n');
  });

  it('RFC 9110 6.5.1: what must not come in a trailer is dropped', () => {
    const names = [
      'Authorization',
      'Cookie',
      'Set-Cookie',
      'Content-Type',
      'Content-Encoding',
      'Content-Range',
      'Cache-Control',
      'Max-Forwards',
      'TE',
      'Trailer',
      'Connection',
      'Keep-Alive',
      'Upgrade',
      'Expect',
      'Range',
      'If-Match',
      'Proxy-Authorization',
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'Forwarded',
      'X-Request-Id',
      'X_Forwarded_For',
      'any_name',
    ];
    for (const name of names) {
      const outcome = readRequests(bytesOf(`${HEAD}\r\n0\r\nX: 1\r\n${name}: y\r\n\r\n`));
      assert.equal(outcome.failure, '', name);
      assert.equal(outcome.messages[0]!.trailers, 'X: 1\r\n', name);
    }
  });

  it('RFC 9110 7.6.1: what Connection names is dropped from trailers too', () => {
    const outcome = read('0\r\nx-hop: 1\r\nX-End: 2\r\n\r\n', 'Connection: X-Hop\r\n');
    assert.equal(outcome.messages[0]!.trailers, 'X-End: 2\r\n');
  });
});

describe('bounds of a chunked body', () => {
  it('a trailer section may have exactly the bytes allowed', () => {
    const section = `X: ${'y'.repeat(LIMITS.trailerBytes - 7)}\r\n\r\n`;
    assert.equal(section.length, LIMITS.trailerBytes);
    assert.equal(read(`0\r\n${section}`).failure, '');
    const outcome = read(`0\r\nX: ${'y'.repeat(LIMITS.trailerBytes - 6)}\r\n\r\n`);
    assert.deepEqual([outcome.failure, outcome.failureCode], ['trailer-too-large', 'header-too-large']);
  });

  it('a trailer section may have exactly the fields allowed', () => {
    const limits = { ...LIMITS, headerCount: 4 };
    assert.equal(read(`0\r\n${'a:b\r\n'.repeat(4)}\r\n`, '', limits).failure, '');
    assert.equal(read(`0\r\n${'a:b\r\n'.repeat(5)}\r\n`, '', limits).failure, 'header-count');
  });

  it('RFC 9112 7.1.1: one extension is bounded', () => {
    const extension = (length: number) => `1;${'a'.repeat(length - 1)}\r\nx\r\n0\r\n\r\n`;
    assert.equal(read(extension(LIMITS.chunkExtensionBytes)).failure, '');
    assert.equal(read(extension(LIMITS.chunkExtensionBytes + 1)).failure, 'chunk-extension-too-large');
    assert.equal(read(`1;a="${'b'.repeat(LIMITS.chunkExtensionBytes)}`).failure, 'chunk-extension-too-large');
    assert.equal(read(`1${' '.repeat(LIMITS.chunkExtensionBytes + 1)}`).failure, 'chunk-extension-too-large');
  });

  it('RFC 9112 7.1.1: many small extensions on tiny chunks are bounded together', () => {
    const tiny = '1;abc\r\nx\r\n';
    assert.equal(read(`${tiny.repeat(20)}0\r\n\r\n`).failure, '');
    assert.equal(read(`${tiny.repeat(22)}0\r\n\r\n`).failure, 'chunk-extension-too-large');
  });

  it('extensions that carry their weight in data may go on', () => {
    const signed = `20;sig=${'a'.repeat(16)}\r\n${'x'.repeat(32)}\r\n`;
    const outcome = readRequests(bytesOf(`${HEAD}\r\n${signed.repeat(200)}0\r\n\r\n`));
    assert.equal(outcome.failure, '');
    assert.equal(outcome.messages[0]!.body.length, 6400);
  });

  it('the largest size that is a number is waited for', () => {
    assert.equal(read(`${'f'.repeat(13)}\r\nx`).failure, '');
  });
});
