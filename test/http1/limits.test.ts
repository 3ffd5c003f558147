// Bounds on heads: exact, and the same wherever the bytes are cut.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HeadLimits } from '../../src/http1/limits.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { Step } from '../../src/http1/step.ts';
import { atEverySplit, bytesOf, LIMITS, readRequests, readResponses } from './drive.ts';

const SMALL: HeadLimits = { ...LIMITS, headerBytes: 100, headerCount: 4 };

function read(text: string, limits: HeadLimits = SMALL) {
  const outcome = atEverySplit(bytesOf(text), (bytes, cuts) => readRequests(bytes, cuts, limits));
  return [outcome.failure, outcome.failureCode];
}

const OK = ['', ''];
const TOO_LARGE = ['header-too-large', 'header-too-large'];
const TOO_LONG = ['target-too-long', 'target-too-long'];

/** A request whose head has `length` bytes. */
function requestOf(length: number): string {
  const rest = 'GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n';
  return rest.replace('X: ', `X: ${'y'.repeat(length - rest.length)}`);
}

describe('the size of a head', () => {
  it('may be exactly the limit, and not one byte more', () => {
    assert.equal(requestOf(100).length, 100);
    assert.deepEqual(read(requestOf(100)), OK);
    assert.deepEqual(read(requestOf(101)), TOO_LARGE);
    assert.deepEqual(read(requestOf(500)), TOO_LARGE);
  });

  it('counts anew for each request of a connection, and leaves bodies and empty lines out', () => {
    assert.deepEqual(read(`\r\n${requestOf(100)}`), OK);
    assert.deepEqual(read(requestOf(100).repeat(3)), OK);
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n${'x'.repeat(200)}`;
    assert.deepEqual(read(`${post}${requestOf(100)}`), OK);
    assert.deepEqual(read(`${post}${requestOf(101)}`), TOO_LARGE);
  });

  it('is judged without waiting for a line to end', () => {
    assert.deepEqual(read(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(72)}`), TOO_LARGE);
    assert.deepEqual(read(`GET / HTTP/1.1\r\nHost: a\r\n${'y'.repeat(75)}`), TOO_LARGE);
    assert.deepEqual(
      read(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(71)}`),
      OK,
      'one byte below, still open',
    );
  });

  it('is told as a long target when the target itself is that long', () => {
    assert.deepEqual(read(`GET /${'a'.repeat(200)} HTTP/1.1\r\nHost: a\r\n\r\n`), TOO_LONG);
    assert.deepEqual(read(`GET /${'a'.repeat(95)}`), TOO_LONG);
    assert.deepEqual(read(`GET /${'a'.repeat(90)} HTTP/1.1\r\nHost: a\r\n\r\n`), TOO_LARGE);
  });

  it('an offence within the limit is told before the size', () => {
    assert.equal(read(`GET / HTTP/1.1\r\nHost: a\r\nX : ${'y'.repeat(200)}`)[0], 'field-name-space');
    assert.equal(read(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(200)}\x00`)[0], 'header-too-large');
  });

  it('bounds responses too', () => {
    const text = `HTTP/1.1 204 ${'y'.repeat(83)}\r\n\r\n`;
    const outcome = (response: string) => {
      const read = atEverySplit(bytesOf(response), (bytes, cuts) =>
        readResponses(bytes, cuts, ['GET'], false, SMALL),
      );
      return [read.failure, read.failureCode];
    };
    assert.equal(text.length, 100);
    assert.deepEqual(outcome(text), OK);
    assert.deepEqual(outcome(text.replace('y', 'yy')), ['header-too-large', 'upstream-header-too-large']);
  });
});

describe('the length of a line', () => {
  const limits: HeadLimits = { ...LIMITS, headerBytes: 400, lineBytes: 60 };
  const field = (length: number) => `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(length - 3)}\r\n\r\n`;
  const line = (length: number) =>
    `GET /${'a'.repeat(length - 14)} HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(40)}\r\n\r\n`;

  it('may be exactly the limit, for a field and for the request line, and not one byte more', () => {
    assert.deepEqual(read(field(60), limits), OK);
    assert.deepEqual(read(field(61), limits), ['header-line-too-long', 'header-too-large']);
    assert.deepEqual(read(line(60), limits), OK);
    assert.deepEqual(read(line(61), limits), TOO_LONG);
  });

  it('is judged after what is wrong within the lines, and before what the fields mean', () => {
    assert.equal(read(field(61).replace('X:', 'X :'), limits)[0], 'field-name-space');
    assert.equal(read(field(61).replace('Host', 'Hest'), limits)[0], 'header-line-too-long');
  });

  it('leaves heads of many short lines alone', () => {
    assert.deepEqual(read(`GET / HTTP/1.1\r\nHost: a\r\n${'b: c\r\n'.repeat(20)}\r\n`, limits), OK);
  });
});

describe('the number of fields', () => {
  it('may be exactly the limit, and not one more', () => {
    const fields = (count: number) => `GET / HTTP/1.1\r\nHost: a\r\n${'b: c\r\n'.repeat(count - 1)}\r\n`;
    assert.deepEqual(read(fields(4)), OK);
    assert.deepEqual(read(fields(5)), ['header-count', 'header-too-large']);
    const dropped = `GET / HTTP/1.1\r\nHost: a\r\n${'b_: c\r\n'.repeat(4)}\r\n`;
    assert.deepEqual(read(dropped), ['header-count', 'header-too-large'], 'dropped fields count');
  });
});

describe('the work for hostile heads', () => {
  it('grows with their bytes, not with their square, when they come one by one', () => {
    const limits: HeadLimits = { ...LIMITS, headerBytes: 1 << 20 };
    const bytes = bytesOf(`GET / HTTP/1.1\r\nHost: a\r\nX: ${' y'.repeat(250_000)}`);
    const parser = new RequestParser(limits);
    const start = process.cpuUsage();
    for (let i = 0; i < bytes.length; i++) assert.equal(parser.next(bytes, i, i + 1), Step.NeedMore);
    const { user, system } = process.cpuUsage(start);
    // Rescanning would take 125 billion steps; this is three orders of magnitude away from both.
    assert.ok(user + system < 10_000_000, `${user + system} us`);
  });
});
