// The strict reading of responses: a backend is not trusted either.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ParseFailure } from '../../src/http1/parse-failure.ts';
import { ResponseParser } from '../../src/http1/response-parser.ts';
import { Framing, Step } from '../../src/http1/step.ts';
import { atEverySplit, bytesOf, LIMITS, type Outcome, readResponses } from './drive.ts';

function read(text: string, methods: readonly string[] = ['GET'], close = false): Outcome {
  return atEverySplit(bytesOf(text), (bytes, cuts) => readResponses(bytes, cuts, methods, close));
}

const REFUSED: readonly (readonly [string, string, string, ParseFailure])[] = [
  ['9112 2.2', 'an empty line first', '\r\nHTTP/1.1 200 OK\r\n\r\n', 'version-invalid'],
  ['9112 2.2', 'bare LF after the status line', 'HTTP/1.1 200 OK\nA: b\r\n\r\n', 'bare-lf'],
  ['9112 2.2', 'bare LF after the status', 'HTTP/1.1 200\n\r\n', 'bare-lf'],
  ['9112 2.2', 'bare CR after the status', 'HTTP/1.1 200\rX\r\n\r\n', 'bare-cr'],
  ['9112 2.2', 'bare CR in the reason', 'HTTP/1.1 200 O\rK\r\n\r\n', 'bare-cr'],
  ['9112 2.2', 'bare LF after a field', 'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n', 'bare-lf'],
  ['9112 4', 'another protocol', 'ICY 200 OK\r\n\r\n', 'version-invalid'],
  ['9112 4', 'HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n', 'version-unsupported'],
  ['9112 4', 'HTTP/0.9', 'HTTP/0.9 200 OK\r\n\r\n', 'version-unsupported'],
  ['9112 4', 'HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n', 'version-unsupported'],
  ['9112 4', 'no minor version', 'HTTP/1 200 OK\r\n\r\n', 'version-invalid'],
  ['9112 4', 'a body without a head', '<html>\r\n\r\n', 'version-invalid'],
  ['9112 4', 'a request', 'GET / HTTP/1.1\r\n\r\n', 'version-invalid'],
  ['9112 4', 'no status', 'HTTP/1.1\r\n\r\n', 'version-invalid'],
  ['9112 4', 'two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n', 'status-invalid'],
  ['9112 4', 'status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'status-invalid'],
  ['9112 4', 'status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', 'status-invalid'],
  ['9112 4', 'signed status', 'HTTP/1.1 +20 OK\r\n\r\n', 'status-invalid'],
  ['9110 15', 'status below 100', 'HTTP/1.1 099 OK\r\n\r\n', 'status-invalid'],
  ['9110 15', 'status above 599', 'HTTP/1.1 600 OK\r\n\r\n', 'status-invalid'],
  ['9112 4', 'tab after the status', 'HTTP/1.1 200\tOK\r\n\r\n', 'status-invalid'],
  ['9112 4', 'NUL in the reason', 'HTTP/1.1 200 O\x00K\r\n\r\n', 'reason-invalid'],
  ['9112 5.1', 'space before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', 'field-name-space'],
  ['9112 5.2', 'folding', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', 'obsolete-folding'],
  ['9110 5.5', 'control byte in a value', 'HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n', 'field-value-invalid'],
  [
    '9112 6.3',
    'both framing fields',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n',
    'transfer-encoding-with-content-length',
  ],
  [
    '9112 6.3',
    'two equal lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx',
    'content-length-duplicate',
  ],
  [
    '9112 6.3',
    'a list of equal lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx',
    'content-length-invalid',
  ],
  ['9112 6.2', 'negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'content-length-invalid'],
  [
    '9112 6.1',
    'chunked in HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'transfer-encoding-version',
  ],
  [
    '9112 6.1',
    'another coding before chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    'transfer-encoding-unsupported',
  ],
  [
    '9112 6.1',
    'another coding alone',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
    'transfer-encoding-invalid',
  ],
  [
    '9112 6.3',
    'both framing fields where there is no body',
    'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n',
    'transfer-encoding-with-content-length',
  ],
];

describe('a response is refused, at every split alike', () => {
  for (const [section, what, text, reason] of REFUSED) {
    it(`RFC ${section}: ${what}`, () => {
      const outcome = read(text);
      assert.equal(outcome.failure, reason);
      assert.equal(outcome.failureCode, 'upstream-protocol');
      assert.deepEqual(outcome.messages, []);
    });
  }

  it('RFC 9112 7.1: a chunked body of a backend is read as strictly as a client’s', () => {
    for (const body of [
      '1\nx\r\n0\r\n\r\n',
      '1 \r\nx\r\n0\r\n\r\n',
      '1\r\nxy\r\n',
      '1;\r\nx',
      '0\r\nHost: a\r\n\r\n',
    ]) {
      const outcome = read(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
      assert.notEqual(outcome.failure, '', body);
      assert.equal(outcome.messages[0]!.ended, false, body);
    }
  });
});

describe('a response is read, at every split alike', () => {
  for (const [section, what, text, method, start, body] of [
    ['9112 4', 'a length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'GET', '1.1 200 OK', 'hi'],
    ['9112 4', 'no reason', 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', 'GET', '1.1 200 ', ''],
    ['9112 4', 'no reason and no space', 'HTTP/1.1 204\r\n\r\n', 'GET', '1.1 204 ', ''],
    [
      '9112 4',
      'reason with tab and obs-text',
      'HTTP/1.1 204 a\t\xe9 \r\n\r\n',
      'GET',
      '1.1 204 a\t\xe9 ',
      '',
    ],
    ['9112 4', 'reason of one letter', 'HTTP/1.1 204 a\r\n\r\n', 'GET', '1.1 204 a', ''],
    [
      '9112 6.3',
      'HEAD with a length',
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n',
      'HEAD',
      '1.1 200 OK',
      '',
    ],
    [
      '9112 6.3',
      'HEAD chunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      'HEAD',
      '1.1 200 OK',
      '',
    ],
    ['9112 6.3', '204 with a length', 'HTTP/1.1 204 \r\nContent-Length: 9\r\n\r\n', 'GET', '1.1 204 ', ''],
    ['9112 6.3', '304 with a length', 'HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n', 'GET', '1.1 304 ', ''],
    ['9112 6.3', 'CONNECT', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', 'CONNECT', '1.1 200 OK', ''],
    [
      '9112 6.3',
      'a refused CONNECT',
      'HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx',
      'CONNECT',
      '1.1 403 No',
      'x',
    ],
    [
      '9112 7.1',
      'chunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
      'GET',
      '1.1 200 OK',
      'hi',
    ],
  ] as const) {
    it(`RFC ${section}: ${what}`, () => {
      const outcome = read(text, [method]);
      assert.equal(outcome.failure, '');
      assert.deepEqual([outcome.messages[0]!.start, outcome.messages[0]!.body], [start, body]);
      assert.ok(outcome.messages[0]!.ended && outcome.idle);
    });
  }

  it('RFC 9110 8.6: the length of a response to HEAD is kept, though nothing follows', () => {
    const parser = new ResponseParser(LIMITS);
    parser.begin('HEAD');
    const bytes = bytesOf('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n');
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
    assert.deepEqual([parser.head.framing, parser.head.contentLength], [Framing.None, 9]);
  });

  it('RFC 9112 6.3: without framing fields the body lasts until the connection ends', () => {
    const outcome = read('HTTP/1.0 200 OK\r\n\r\nsome\r\n\r\nbytes', ['GET'], true);
    assert.equal(outcome.messages[0]!.body, 'some\r\n\r\nbytes');
    assert.equal(outcome.messages[0]!.framing, Framing.UntilClose);
    assert.ok(outcome.messages[0]!.ended && !outcome.messages[0]!.keepAlive);
    assert.equal(read('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nx').messages[0]!.keepAlive, false);
  });

  it('reads one response after another, each by the method of its request', () => {
    const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n';
    const outcome = read(`${ok}x${ok}${ok}y`, ['GET', 'HEAD', 'GET']);
    assert.deepEqual(
      outcome.messages.map((message) => message.body),
      ['x', '', 'y'],
    );
  });

  it('keeps names with underscores: only clients are suspected of them', () => {
    const outcome = read('HTTP/1.1 204 \r\nX_A: b\r\nTransfer_Encoding: c\r\n\r\n');
    assert.deepEqual(outcome.messages[0]!.fields, [
      ['X_A', 'b'],
      ['Transfer_Encoding', 'c'],
    ]);
  });
});

describe('interim responses', () => {
  it('RFC 9110 15.2: come before the final one, with their fields and without a body', () => {
    const outcome = read(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
    );
    assert.deepEqual(
      outcome.messages.map((message) => [message.start, message.fields.length, message.body]),
      [
        ['1.1 100 Continue', 0, ''],
        ['1.1 103 Early Hints', 1, ''],
        ['1.1 200 OK', 1, 'x'],
      ],
    );
  });

  it('RFC 9110 15.2.2: 101 is final and leaves the bytes behind it to the caller', () => {
    const parser = new ResponseParser(LIMITS);
    parser.begin('GET');
    const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const bytes = bytesOf(`${head}\x81\x00`);
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
    assert.deepEqual(
      [parser.position, parser.head.upgrade, parser.head.framing],
      [head.length, 'websocket', Framing.None],
    );
  });

  it('a flood of them is cut off', () => {
    const flood = (count: number) => bytesOf(`${'HTTP/1.1 100 \r\n\r\n'.repeat(count)}HTTP/1.1 204 \r\n\r\n`);
    assert.equal(readResponses(flood(32)).failure, '');
    const outcome = readResponses(flood(33));
    assert.deepEqual([outcome.failure, outcome.failureCode], ['interim-flood', 'upstream-protocol']);
  });

  it('so are large ones that take more than 64 KiB together', () => {
    const limits = { ...LIMITS, headerBytes: 65_536, lineBytes: 65_536 };
    const hint = (bytes: number) => `HTTP/1.1 103 \r\nX: ${'a'.repeat(bytes - 22)}\r\n\r\n`;
    const flood = (...sizes: number[]) => bytesOf(`${sizes.map(hint).join('')}HTTP/1.1 204 \r\n\r\n`);
    const outcome = (bytes: Buffer) => readResponses(bytes, [], ['GET'], false, limits).failure;
    assert.equal(hint(1000).length, 1000);
    assert.equal(outcome(flood(32_768, 32_768)), '');
    assert.equal(outcome(flood(32_768, 32_769)), 'interim-flood');
    const final = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
    const twice = bytesOf(`${hint(40_000)}${final}${hint(40_000)}${final}`);
    assert.equal(
      readResponses(twice, [], ['GET', 'GET'], false, limits).failure,
      '',
      'those of one response',
    );
  });
});

describe('what a backend must not do with a connection', () => {
  it('a response before the request is refused', () => {
    const outcome = read('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', []);
    assert.deepEqual([outcome.failure, outcome.failureCode], ['response-unexpected', 'upstream-protocol']);
  });

  it('bytes after the end of a response are refused, whatever gave it no body', () => {
    for (const [text, method] of [
      ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy', 'GET'],
      ['HTTP/1.1 204 \r\n\r\nx', 'GET'],
      ['HTTP/1.1 304 \r\nContent-Length: 1\r\n\r\nx', 'GET'],
      ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx', 'HEAD'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', 'GET'],
    ] as const) {
      const outcome = read(text, [method]);
      assert.equal(outcome.failure, 'response-unexpected', text);
      assert.equal(outcome.messages.length, 1);
    }
  });

  it('an announced request on an unfinished response fails the connection', () => {
    const parser = new ResponseParser(LIMITS);
    parser.begin('GET');
    const bytes = bytesOf('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx');
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
    parser.begin('GET');
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Failed);
    assert.equal(parser.failure, 'response-unexpected');
  });

  for (const [what, text, failure, code] of [
    ['before a byte', '', 'closed-before-response', 'upstream-reset'],
    ['within the status line', 'HTTP/1.1 20', 'incomplete-head', 'upstream-incomplete'],
    ['within the head', 'HTTP/1.1 200 OK\r\nA: b\r\n', 'incomplete-head', 'upstream-incomplete'],
    ['after an interim response', 'HTTP/1.1 100 \r\n\r\n', 'incomplete-head', 'upstream-incomplete'],
    [
      'within a body of known length',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx',
      'incomplete-body',
      'upstream-incomplete',
    ],
    [
      'before a body of known length',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n',
      'incomplete-body',
      'upstream-incomplete',
    ],
    [
      'before the last chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n',
      'incomplete-body',
      'upstream-incomplete',
    ],
    [
      'before the empty line after the last chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n',
      'incomplete-body',
      'upstream-incomplete',
    ],
  ] as const) {
    it(`RFC 9112 8: a connection that ends ${what} leaves an incomplete answer`, () => {
      const outcome = read(text, ['GET'], true);
      assert.deepEqual([outcome.failure, outcome.failureCode], [failure, code]);
      assert.ok(outcome.messages.every((message) => message.start.includes(' 100 ') || !message.ended));
    });
  }
});
