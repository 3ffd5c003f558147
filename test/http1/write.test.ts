// The helpers that serialise, and the checks of text that is going to be written.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CHUNK_SUFFIX, chunkPrefix, lastChunk, reasonOf, statusLine } from '../../src/http1/write.ts';

describe('chunk framing', () => {
  it('RFC 9112 7.1: writes sizes in hexadecimal', () => {
    for (const length of [1, 15, 16, 255, 4095, 4096, 16384, 32768, 65536, 65537, Number.MAX_SAFE_INTEGER]) {
      assert.equal(chunkPrefix(length), `${length.toString(16)}\r\n`);
    }
    assert.equal(CHUNK_SUFFIX, '\r\n');
  });

  it('never writes a chunk that would end the body', () => {
    for (const length of [0, -1, 1.5, Number.NaN]) assert.throws(() => chunkPrefix(length), RangeError);
  });

  it('ends with the trailers, if there are any', () => {
    assert.equal(lastChunk(''), '0\r\n\r\n');
    assert.equal(lastChunk('A: b\r\n'), '0\r\nA: b\r\n\r\n');
  });
});

describe('status lines', () => {
  it('RFC 9112 4: keep the space when there is no reason', () => {
    assert.equal(statusLine(200), 'HTTP/1.1 200 OK\r\n');
    assert.equal(statusLine(431), 'HTTP/1.1 431 Request Header Fields Too Large\r\n');
    assert.equal(statusLine(599), 'HTTP/1.1 599 \r\n');
    assert.equal(reasonOf(502), 'Bad Gateway');
    assert.equal(reasonOf(299), '');
  });
});
