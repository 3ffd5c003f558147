// The strict reading of requests, rule by rule, each at every split.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FieldId } from '../../src/http1/field-id.ts';
import type { ParseFailure } from '../../src/http1/parse-failure.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { Framing, Step } from '../../src/http1/step.ts';
import { atEverySplit, bytesOf, LIMITS, readRequests } from './drive.ts';

const HOST = 'Host: a.example\r\n';

/** [section, what, bytes, reason] */
const REFUSED: readonly (readonly [string, string, string, ParseFailure])[] = [
  // Line ends
  ['9112 2.2', 'bare LF after the request line', `GET / HTTP/1.1\n${HOST}\r\n`, 'bare-lf'],
  ['9112 2.2', 'bare CR after the request line', `GET / HTTP/1.1\rHost: a\r\n\r\n`, 'bare-cr'],
  ['9112 2.2', 'bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 'bare-lf'],
  ['9112 2.2', 'bare CR inside a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n', 'bare-cr'],
  ['9112 2.2', 'CR CR LF', 'GET / HTTP/1.1\r\nHost: a\r\r\n\r\n', 'bare-cr'],
  ['9112 2.2', 'LF instead of the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 'bare-lf'],
  ['9112 2.2', 'CR and a letter instead of the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\rX', 'bare-cr'],
  ['9112 2.2', 'LF before the request line', `\nGET / HTTP/1.1\r\n${HOST}\r\n`, 'bare-lf'],
  [
    '9112 2.2',
    'two empty lines before the request line',
    `\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\n`,
    'empty-line-repeated',
  ],
  ['9112 2.2', 'CR and no LF before the request line', `\rGET / HTTP/1.1\r\n${HOST}\r\n`, 'bare-cr'],
  [
    '9112 2.2',
    'white space between request line and fields',
    `GET / HTTP/1.1\r\n ${HOST}\r\n`,
    'space-before-fields',
  ],
  // Request line
  ['9112 3', 'space before the method', `  GET / HTTP/1.1\r\n${HOST}\r\n`, 'method-invalid'],
  ['9112 3', 'two spaces after the method', `GET  / HTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  ['9112 3', 'two spaces after the target', `GET /  HTTP/1.1\r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 3', 'tab after the method', `GET\t/ HTTP/1.1\r\n${HOST}\r\n`, 'method-invalid'],
  ['9112 3', 'tab after the target', `GET /\tHTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  ['9112 3', 'space at the end', `GET / HTTP/1.1 \r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 3', 'space in the target', `GET /a b HTTP/1.1\r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 3.1', 'method with a control byte', `G\x00T / HTTP/1.1\r\n${HOST}\r\n`, 'method-invalid'],
  ['9112 3.1', 'method that is no token', `G@T / HTTP/1.1\r\n${HOST}\r\n`, 'method-invalid'],
  ['9112 3.1', 'method beyond 32 letters', `${'A'.repeat(33)} / HTTP/1.1\r\n${HOST}\r\n`, 'method-invalid'],
  ['9112 3', 'no target', `GET HTTP/1.1\r\n${HOST}\r\n`, 'version-missing'],
  ['9112 3.2', 'fragment in the target', `GET /#a HTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  ['9112 3.2', 'NUL in the target', `GET /\x00 HTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  ['9112 3.2', 'DEL in the target', `GET /\x7f HTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  ['9112 3.2', 'raw non-ASCII in the target', `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  ['9112 3.2', 'LF in the target', `GET /\nX HTTP/1.1\r\n${HOST}\r\n`, 'bare-lf'],
  ['9112 3.2.1', 'target without a slash', `GET a HTTP/1.1\r\n${HOST}\r\n`, 'target-form-invalid'],
  [
    '9112 3.2.2',
    'absolute target of another scheme',
    `GET ftp://a.example/ HTTP/1.1\r\n${HOST}\r\n`,
    'target-form-invalid',
  ],
  [
    '9112 3.2.2',
    'absolute target of another host',
    `GET http://b.example/ HTTP/1.1\r\n${HOST}\r\n`,
    'host-mismatch',
  ],
  [
    '9112 3.2.2',
    'absolute target of another port',
    `GET http://a.example:81/ HTTP/1.1\r\n${HOST}\r\n`,
    'host-mismatch',
  ],
  [
    '9110 4.2.4',
    'user information in the target',
    `GET http://u@a.example/ HTTP/1.1\r\n${HOST}\r\n`,
    'target-invalid',
  ],
  ['9112 3.2.2', 'absolute target without host', `GET http:///x HTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  [
    '9112 3.2.3',
    'CONNECT without a port',
    `CONNECT a.example HTTP/1.1\r\n${HOST}\r\n`,
    'target-form-invalid',
  ],
  ['9112 3.2.3', 'CONNECT with a path', `CONNECT / HTTP/1.1\r\n${HOST}\r\n`, 'target-invalid'],
  ['9112 3.2.4', 'asterisk with GET', `GET * HTTP/1.1\r\n${HOST}\r\n`, 'target-form-invalid'],
  ['9112 3.2.4', 'asterisk with more behind it', `OPTIONS *x HTTP/1.1\r\n${HOST}\r\n`, 'target-form-invalid'],
  // Version
  ['9112 2.3', 'HTTP/0.9', 'GET /\r\n', 'version-missing'],
  ['9112 2.3', 'HTTP/1.2', `GET / HTTP/1.2\r\n${HOST}\r\n`, 'version-unsupported'],
  ['9112 2.3', 'HTTP/2.0', `GET / HTTP/2.0\r\n${HOST}\r\n`, 'version-unsupported'],
  ['9112 2.3', 'HTTP/0.9 by name', `GET / HTTP/0.9\r\n${HOST}\r\n`, 'version-unsupported'],
  ['9113 3.4', 'the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version-unsupported'],
  ['9112 2.3', 'lower-case name', `GET / http/1.1\r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 2.3', 'two digits', `GET / HTTP/1.11\r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 2.3', 'no minor version', `GET / HTTP/1\r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 2.3', 'another protocol', `GET / ICE/1.0\r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 2.3', 'comma for the dot', `GET / HTTP/1,1\r\n${HOST}\r\n`, 'version-invalid'],
  ['9112 2.3', 'TLS on a plain listener', '\x16\x03\x01\x02\x00\x01\x00', 'method-invalid'],
  // Field lines
  ['9112 5.1', 'space before the colon', `GET / HTTP/1.1\r\n${HOST}X : a\r\n\r\n`, 'field-name-space'],
  ['9112 5.1', 'tab before the colon', `GET / HTTP/1.1\r\n${HOST}X\t: a\r\n\r\n`, 'field-name-space'],
  ['9112 5.1', 'space in a name', `GET / HTTP/1.1\r\n${HOST}X Y: a\r\n\r\n`, 'field-name-space'],
  ['9112 5.2', 'folding with a space', `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`, 'obsolete-folding'],
  ['9112 5.2', 'folding with a tab', `GET / HTTP/1.1\r\n${HOST}X: a\r\n\tb\r\n\r\n`, 'obsolete-folding'],
  [
    '9112 5.2',
    'folding with an empty rest',
    `GET / HTTP/1.1\r\n${HOST}X: a\r\n \r\n\r\n`,
    'obsolete-folding',
  ],
  ['9110 5.1', 'empty name', `GET / HTTP/1.1\r\n${HOST}: a\r\n\r\n`, 'field-name-empty'],
  ['9110 5.1', 'name that is no token', `GET / HTTP/1.1\r\n${HOST}X@Y: a\r\n\r\n`, 'field-name-invalid'],
  ['9110 5.1', 'non-ASCII name', `GET / HTTP/1.1\r\n${HOST}X\xe9: a\r\n\r\n`, 'field-name-invalid'],
  ['9110 5.1', 'NUL in a name', `GET / HTTP/1.1\r\n${HOST}X\x00: a\r\n\r\n`, 'field-name-invalid'],
  ['9112 5', 'line without a colon', `GET / HTTP/1.1\r\n${HOST}X\r\n\r\n`, 'field-without-colon'],
  ['9110 5.5', 'NUL in a value', `GET / HTTP/1.1\r\n${HOST}X: a\x00b\r\n\r\n`, 'field-value-invalid'],
  [
    '9110 5.5',
    'vertical tab in a value',
    `GET / HTTP/1.1\r\n${HOST}X: a\x0bb\r\n\r\n`,
    'field-value-invalid',
  ],
  ['9110 5.5', 'escape in a value', `GET / HTTP/1.1\r\n${HOST}X: \x1b[31m\r\n\r\n`, 'field-value-invalid'],
  ['9110 5.5', 'DEL in a value', `GET / HTTP/1.1\r\n${HOST}X: a\x7f\r\n\r\n`, 'field-value-invalid'],
  [
    '9110 7.6.1',
    'more connection options than can be meant',
    `GET / HTTP/1.1\r\n${HOST}Connection: ${'a,'.repeat(33)}\r\n\r\n`,
    'connection-options',
  ],
  // Host
  ['9112 3.2', 'no Host', 'GET / HTTP/1.1\r\n\r\n', 'host-missing'],
  ['9112 3.2', 'two Host fields', `GET / HTTP/1.1\r\n${HOST}Host: b\r\n\r\n`, 'host-duplicate'],
  ['9112 3.2', 'two equal Host fields', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 'host-duplicate'],
  ['9112 3.2', 'two Host fields in HTTP/1.0', `GET / HTTP/1.0\r\n${HOST}${HOST}\r\n`, 'host-duplicate'],
  ...[
    ['empty', ''],
    ['user information', 'u@a.example'],
    ['a list', 'a.example, b.example'],
    ['a path', 'a.example/x'],
    ['a query', 'a.example?x'],
    ['a space', 'a b'],
    ['a backslash', 'a\\b'],
    ['a percent escape', 'a%2eexample'],
    ['non-ASCII', 'm\xfcnchen.example'],
    ['port without digits', 'a:b'],
    ['signed port', 'a:+80'],
    ['port above 65535', 'a:65536'],
    ['very long port', 'a:000080'],
    ['two ports', 'a:80:80'],
    ['port alone', ':80'],
    ['dot alone', '.'],
    ['leading dot', '.a'],
    ['two dots', 'a..b'],
    ['two trailing dots', 'a..'],
    ['IPv6 without brackets', '::1'],
    ['open bracket', '[::1'],
    ['IPv6 that is none', '[::g]'],
    ['IPv6 zone', '[fe80::1%eth0]'],
    ['text behind the bracket', '[::1]x'],
    ['empty brackets', '[]'],
    ['more than 255 letters', 'a'.repeat(256)],
  ].map(
    ([what, host]) =>
      ['9110 7.2', `Host with ${what}`, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'host-invalid'] as const,
  ),
  // Body rules
  [
    '9110 9.3.8',
    'TRACE with content',
    `TRACE / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`,
    'body-not-allowed',
  ],
  [
    '9110 9.3.8',
    'TRACE with chunked content',
    `TRACE / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`,
    'body-not-allowed',
  ],
  [
    '9110 9.3.6',
    'CONNECT with content',
    'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\nx',
    'body-not-allowed',
  ],
  [
    '9110 10.1.1',
    'an expectation of another kind',
    `POST / HTTP/1.1\r\n${HOST}Expect: 200-ok\r\n\r\n`,
    'expectation-unsupported',
  ],
  [
    '9110 10.1.1',
    'two expectations',
    `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue, x\r\n\r\n`,
    'expectation-unsupported',
  ],
  [
    '9110 10.1.1',
    'empty expectation',
    `POST / HTTP/1.1\r\n${HOST}Expect:\r\n\r\n`,
    'expectation-unsupported',
  ],
];

const CODES: Partial<Record<ParseFailure, string>> = {
  'version-unsupported': 'version-unsupported',
  'version-missing': 'version-unsupported',
  'expectation-unsupported': 'expectation-unsupported',
};

describe('a request is refused, at every split alike', () => {
  for (const [section, what, text, reason] of REFUSED) {
    it(`RFC ${section}: ${what}`, () => {
      const outcome = atEverySplit(bytesOf(text), readRequests);
      assert.equal(outcome.failure, reason);
      assert.equal(outcome.failureCode, CODES[reason] ?? 'bad-request');
      assert.deepEqual(outcome.messages, [], 'nothing of it is handed on');
    });
  }
});

/** [section, what, bytes, start line, host] */
const ACCEPTED: readonly (readonly [string, string, string, string, string])[] = [
  ['9112 3', 'the shortest request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'GET / 1.1', 'a'],
  ['9112 2.2', 'one empty line before it', `\r\nGET / HTTP/1.1\r\n${HOST}\r\n`, 'GET / 1.1', 'a.example'],
  ['9112 2.3', 'HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n', 'GET / 1.0', ''],
  ['9112 2.3', 'HTTP/1.0 with Host', `GET / HTTP/1.0\r\n${HOST}\r\n`, 'GET / 1.0', 'a.example'],
  ['9110 9.1', 'a method of its own', `PURGE / HTTP/1.1\r\n${HOST}\r\n`, 'PURGE / 1.1', 'a.example'],
  [
    '9110 9.1',
    'lower-case letters are another method',
    `get / HTTP/1.1\r\n${HOST}\r\n`,
    'get / 1.1',
    'a.example',
  ],
  [
    '9110 9.1',
    'a method of 32 letters',
    `${'A'.repeat(32)} / HTTP/1.1\r\n${HOST}\r\n`,
    `${'A'.repeat(32)} / 1.1`,
    'a.example',
  ],
  [
    '9112 3.2.2',
    'absolute form',
    `GET http://a.example/x?y HTTP/1.1\r\n${HOST}\r\n`,
    'GET http://a.example/x?y 1.1',
    'a.example',
  ],
  [
    '9112 3.2.2',
    'absolute form in other letters',
    `GET HTTPS://A.example HTTP/1.1\r\n${HOST}\r\n`,
    'GET HTTPS://A.example 1.1',
    'a.example',
  ],
  ['9112 3.2.2', 'absolute form in HTTP/1.0', 'GET http://A/ HTTP/1.0\r\n\r\n', 'GET http://A/ 1.0', 'a'],
  ['9112 3.2.3', 'authority form', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 'CONNECT a:443 1.1', 'a'],
  ['9112 3.2.4', 'asterisk form', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 'OPTIONS * 1.1', 'a.example'],
  [
    '9112 3.2',
    'letters that browsers send raw',
    `GET /|?^{}\`"<> HTTP/1.1\r\n${HOST}\r\n`,
    'GET /|?^{}`"<> 1.1',
    'a.example',
  ],
  ['9110 7.2', 'port', 'GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n', 'GET / 1.1', 'a'],
  ['3986 3.2.3', 'empty port', 'GET / HTTP/1.1\r\nHost: a:\r\n\r\n', 'GET / 1.1', 'a'],
  [
    '9110 4.2.3',
    'upper case and trailing dot',
    'GET / HTTP/1.1\r\nHost: WWW.Example.COM.:80\r\n\r\n',
    'GET / 1.1',
    'www.example.com',
  ],
  ['3986 3.2.2', 'IPv6', 'GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n', 'GET / 1.1', '[2001:db8::1]'],
  ['3986 3.2.2', 'IPv4', 'GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n', 'GET / 1.1', '192.0.2.1'],
  [
    '5952 4',
    'an IPv6 address that could be written shorter',
    'GET / HTTP/1.1\r\nHost: [2001:0DB8:0:0::0001]:80\r\n\r\n',
    'GET / 1.1',
    '[2001:db8::1]',
  ],
  [
    '9110 5.5',
    'no space, and tabs, around a value',
    'GET / HTTP/1.1\r\nHost:\ta\t \r\n\r\n',
    'GET / 1.1',
    'a',
  ],
];

describe('a request is read, at every split alike', () => {
  for (const [section, what, text, start, host] of ACCEPTED) {
    it(`RFC ${section}: ${what}`, () => {
      const outcome = atEverySplit(bytesOf(text), readRequests);
      assert.equal(outcome.failure, '');
      assert.equal(outcome.messages.length, 1);
      assert.equal(outcome.messages[0]!.start, start);
      assert.equal(outcome.messages[0]!.host, host);
      assert.ok(outcome.messages[0]!.ended && outcome.idle);
    });
  }

  it('RFC 9110 5.5: values keep inner white space and obs-text, and may be empty', () => {
    const outcome = atEverySplit(
      bytesOf(`GET / HTTP/1.1\r\n${HOST}A: b \t c \r\nB:\r\nC: \t \r\nD:\xe9\xff\r\nE: \xe9  f\t\r\n\r\n`),
      readRequests,
    );
    assert.deepEqual(outcome.messages[0]!.fields.slice(1), [
      ['A', 'b \t c'],
      ['B', ''],
      ['C', ''],
      ['D', '\xe9\xff'],
      ['E', '\xe9  f'],
    ]);
  });
});

function headOf(text: string, underscores: 'drop' | 'refuse' | 'pass' = 'drop') {
  const parser = new RequestParser(LIMITS, underscores);
  const bytes = bytesOf(text);
  assert.equal(parser.next(bytes, 0, bytes.length), Step.Head, parser.failure);
  return parser.head;
}

describe('RequestHead', () => {
  it('parts the target', () => {
    const origin = headOf(`GET /a/b?c=d?e HTTP/1.1\r\n${HOST}\r\n`);
    assert.deepEqual(
      [origin.path, origin.query, origin.hasQuery, origin.scheme],
      ['/a/b', 'c=d?e', true, ''],
    );
    const empty = headOf(`GET /a? HTTP/1.1\r\n${HOST}\r\n`);
    assert.deepEqual([empty.path, empty.query, empty.hasQuery], ['/a', '', true]);
    const absolute = headOf(`GET http://a.example?x HTTP/1.1\r\n${HOST}\r\n`);
    assert.deepEqual([absolute.path, absolute.query, absolute.scheme], ['/', 'x', 'http']);
    const server = headOf(`OPTIONS http://a.example HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(server.path, '*');
    const none = headOf(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    assert.deepEqual([none.query, none.hasQuery], ['', false]);
  });

  it('keeps the authority as received beside the host', () => {
    const head = headOf('GET / HTTP/1.1\r\nHost: Example.com.:8080\r\n\r\n');
    assert.deepEqual([head.authority, head.host], ['Example.com.:8080', 'example.com']);
  });

  it('forgets one request before the next', () => {
    const parser = new RequestParser(LIMITS);
    const bytes = bytesOf(
      `POST http://a.example/?q HTTP/1.1\r\n${HOST}Connection: close, x\r\nX: 1\r\nExpect: 100-continue\r\n` +
        'Transfer-Encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.0\r\nX: 2\r\n\r\n',
    );
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
    assert.ok(parser.head.expectContinue && !parser.head.keepAlive && parser.head.isConnectionNominated(2));
    assert.equal(parser.next(bytes, parser.position, bytes.length), Step.End);
    assert.equal(parser.trailers, 'T: 1\r\n');
    assert.equal(parser.next(bytes, parser.position, bytes.length), Step.Head);
    const { head } = parser;
    assert.deepEqual(
      [head.method, head.host, head.authority, head.scheme, head.query, head.hasQuery, head.expectContinue],
      ['GET', '', '', '', '', false, false],
    );
    assert.deepEqual(
      [head.framing, head.contentLength, head.count, head.hasNominations],
      [Framing.None, -1, 1, false],
    );
    assert.equal(head.isConnectionNominated(0), false);
    assert.equal(parser.trailers, '');
  });

  it('finds fields by id and by name', () => {
    const head = headOf(`GET / HTTP/1.1\r\n${HOST}via: a\r\nX-Mine: 1\r\nVIA: b\r\nIf-Match: c\r\n\r\n`);
    assert.equal(head.valueOf(FieldId.Via), 'a');
    assert.equal(head.value(head.findNext(FieldId.Via, head.find(FieldId.Via) + 1)), 'b');
    assert.equal(head.valueOf(FieldId.IfMatch), 'c');
    assert.equal(head.find(FieldId.Cookie), -1);
    assert.equal(head.find(FieldId.IfRange), -1);
    assert.equal(head.value(head.findName('x-mine')), '1');
    assert.equal(head.findName('x-min'), -1);
    assert.ok(head.has(FieldId.Host) && !head.has(FieldId.Cookie));
  });

  it('RFC 9112 9.3: says whether the connection persists', () => {
    const keeps = (version: string, connection: string) =>
      headOf(`GET / HTTP/${version}\r\n${HOST}${connection}\r\n`).keepAlive;
    assert.equal(keeps('1.1', ''), true);
    assert.equal(keeps('1.1', 'Connection: Close\r\n'), false);
    assert.equal(keeps('1.1', 'Connection: x , close\r\n'), false);
    assert.equal(keeps('1.1', 'Connection: keep-alive\r\nConnection: close\r\n'), false);
    assert.equal(keeps('1.0', ''), false);
    assert.equal(keeps('1.0', 'Connection: Keep-Alive\r\n'), true);
    assert.equal(keeps('1.0', 'Connection: keep-alive, close\r\n'), false);
    assert.equal(keeps('1.1', 'Connection: ,, ,\r\n'), true);
  });

  it('RFC 9110 7.6.1: knows which fields Connection names, Host never', () => {
    const head = headOf(
      `GET / HTTP/1.1\r\n${HOST}Connection: close, X-A ,host\r\nx-a: 1\r\nX-B: 2\r\nConnection: \tx-b\r\nX-C: 3\r\n\r\n`,
    );
    const named = Array.from({ length: head.count }, (_, i) => head.isConnectionNominated(i));
    assert.deepEqual(named, [false, false, true, true, false, false]);
    assert.ok(head.isConnectionOption('X-B') && !head.isConnectionOption('X-C'));
    const plain = headOf(`GET / HTTP/1.1\r\n${HOST}Connection: keep-alive, Upgrade\r\nUpgrade: a\r\n\r\n`);
    assert.equal(plain.hasNominations, false);
  });

  it('RFC 9110 7.8: takes Upgrade only when Connection names it, and only in HTTP/1.1', () => {
    const upgrade = (version: string, rest: string) =>
      headOf(`GET / HTTP/${version}\r\n${HOST}${rest}\r\n`).upgrade;
    assert.equal(upgrade('1.1', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), 'websocket');
    assert.equal(upgrade('1.1', 'Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n'), 'a, b');
    assert.equal(upgrade('1.1', 'Upgrade: websocket\r\n'), '');
    assert.equal(upgrade('1.1', 'Connection: upgrade\r\n'), '');
    assert.equal(upgrade('1.0', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), '');
  });

  it('RFC 9110 10.1.1: 100-continue counts in HTTP/1.1 with content only', () => {
    const expects = (version: string, rest: string) =>
      headOf(`POST / HTTP/${version}\r\n${HOST}Expect: 100-Continue\r\n${rest}\r\n`).expectContinue;
    assert.equal(expects('1.1', 'Content-Length: 1\r\n'), true);
    assert.equal(expects('1.1', 'Transfer-Encoding: chunked\r\n'), true);
    assert.equal(expects('1.1', ''), false);
    assert.equal(expects('1.1', 'Content-Length: 0\r\n'), false);
    assert.equal(expects('1.0', 'Content-Length: 1\r\n'), false);
    assert.equal(headOf(`GET / HTTP/1.0\r\n${HOST}Expect: anything\r\n\r\n`).expectContinue, false);
  });

  it('marks names with an underscore as dropped, and aliases of known names whatever the policy', () => {
    const text = `GET / HTTP/1.1\r\n${HOST}X_A: 1\r\nX_Forwarded_For: 2\r\nX.Forwarded-For: 3\r\nx.y: 4\r\n\r\n`;
    const marks = (policy: 'drop' | 'pass') => {
      const head = headOf(text, policy);
      const dropped = Array.from(head.ids.subarray(1, head.count), (id) => id === FieldId.Dropped);
      assert.equal(head.droppedCount, dropped.filter(Boolean).length);
      return dropped;
    };
    assert.deepEqual(marks('drop'), [true, true, true, false]);
    assert.deepEqual(marks('pass'), [false, true, true, false]);
    const refused = readRequests(bytesOf(text), [], LIMITS, 'refuse');
    assert.equal(refused.failure, 'field-name-underscore');
  });

  it('knows whether every line is written plainly', () => {
    assert.equal(headOf(`GET / HTTP/1.1\r\n${HOST}\r\n`).plain, true);
    for (const line of ['X:a', 'X:  a', 'X:\ta', 'X: a ', 'X:']) {
      assert.equal(headOf(`GET / HTTP/1.1\r\n${HOST}${line}\r\n\r\n`).plain, false, line);
    }
  });

  it('grows beyond the first room for fields', () => {
    const names = Array.from({ length: 30 }, (_, i) => `X-${i}`);
    const outcome = atEverySplit(
      bytesOf(`GET / HTTP/1.1\r\n${HOST}${names.map((name) => `${name}: ${name}\r\n`).join('')}\r\n`),
      readRequests,
    );
    assert.deepEqual(
      outcome.messages[0]!.fields.slice(1),
      names.map((name) => [name, name]),
    );
  });
});

describe('RequestParser', () => {
  it('says when it is between messages with nothing held', () => {
    const parser = new RequestParser(LIMITS);
    const bytes = bytesOf(`\r\nPOST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`);
    const headEnd = bytes.length - 1;
    assert.ok(parser.idle);
    parser.next(bytes, 0, 1);
    assert.ok(!parser.idle, 'half an empty line');
    parser.next(bytes, 1, 2);
    assert.ok(parser.idle, 'an empty line is no request');
    parser.next(bytes, 2, 5);
    assert.ok(!parser.idle);
    assert.equal(parser.next(bytes, 5, headEnd), Step.Head);
    assert.equal(parser.next(bytes, headEnd, headEnd + 1), Step.Body);
    assert.ok(!parser.idle, 'the end is not told yet');
    assert.equal(parser.next(bytes, headEnd + 1, headEnd + 1), Step.End);
    assert.ok(parser.idle);
  });

  it('lets go of the last head when it is asked to, and only between messages', () => {
    const parser = new RequestParser(LIMITS);
    const bytes = bytesOf(`GET /a?b HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
    parser.releaseHead();
    assert.equal(parser.head.path, '/a', 'still in use');
    assert.equal(parser.next(bytes, bytes.length, bytes.length), Step.End);
    parser.releaseHead();
    const { head } = parser;
    assert.deepEqual(
      [head.text, head.method, head.target, head.path, head.query, head.host],
      ['', '', '', '', '', ''],
    );
    assert.equal(head.count, 0);
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
    assert.equal(head.host, 'a.example');
  });

  it('stays failed', () => {
    const parser = new RequestParser(LIMITS);
    const bytes = bytesOf('G@T / HTTP/1.1\r\n\r\n');
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Failed);
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Failed);
    assert.equal(parser.failure, 'method-invalid');
  });

  it('knows of a request that it refuses, or has not read whole, whether it is HEAD', () => {
    for (const [text, expected] of [
      [`HEAD / HTTP/1.1\r\n${HOST}${HOST}\r\n`, true],
      [`HEAD / HTTP/1.1\r\nHost : a\r\n\r\n`, true],
      ['HEAD / HTTP/2.0\r\n\r\n', true],
      ['HEAD /\x00', true],
      [`HEAD /${'a'.repeat(LIMITS.headerBytes)}`, true],
      ['HEAD / HTTP/1.1\r\nHo', true],
      [`\r\nHEAD / HTTP/1.1\r\n${HOST}${HOST}\r\n`, true],
      ['HEAD', false],
      ['HEADS /\x00', false],
      ['head /\x00', false],
      ['POST /\x00', false],
      ['HEA@', false],
      // What follows one is another.
      [`HEAD / HTTP/1.1\r\n${HOST}\r\nG@T`, false],
      [`HEAD / HTTP/1.1\r\n${HOST}\r\n\rX`, false],
      [`HEAD / HTTP/1.1\r\n${HOST}\r\n\r\n`, false],
    ] as const) {
      const bytes = bytesOf(text);
      for (let cut = 0; cut < Math.min(bytes.length, 80); cut += 1) {
        const parser = new RequestParser(LIMITS);
        for (const end of [cut, bytes.length]) {
          let step: Step = Step.Head;
          while (step !== Step.NeedMore && step !== Step.Failed)
            step = parser.next(bytes, parser.position, end);
        }
        assert.equal(parser.methodIsHead, expected, `${JSON.stringify(text.slice(0, 60))} cut at ${cut}`);
      }
    }
  });

  it('leaves the bytes after an upgrade to the caller', () => {
    const parser = new RequestParser(LIMITS);
    const head = `GET /chat HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    const bytes = bytesOf(`${head}\x81\x05hello`);
    assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
    assert.equal(parser.position, head.length);
  });
});
