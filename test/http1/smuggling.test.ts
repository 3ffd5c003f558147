// Request smuggling: a front that reads one request where the server behind it reads two lets a client write the
// beginning of the next client's request. Every family of payloads that made some pair of servers disagree is
// refused here or read in the only way there is, and never leaves a second request behind.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ParseFailure } from '../../src/http1/parse-failure.ts';
import { Framing } from '../../src/http1/step.ts';
import { atEverySplit, bytesOf, readRequests } from './drive.ts';

/** A chunked body whose reading by length (or the other way round) leaves a request for /admin over. */
const SMUGGLED = '0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (fields: string, body = SMUGGLED) => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;

function refuse(section: string, what: string, text: string, reason: ParseFailure | RegExp): void {
  it(`RFC ${section}: ${what}`, () => {
    const outcome = atEverySplit(bytesOf(text), readRequests);
    if (typeof reason === 'string') assert.equal(outcome.failure, reason);
    else assert.match(outcome.failure, reason);
    assert.deepEqual(outcome.messages, []);
  });
}

describe('both framing fields', () => {
  refuse(
    '9112 6.1',
    'CL.TE',
    post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n'),
    'transfer-encoding-with-content-length',
  );
  refuse(
    '9112 6.1',
    'TE.CL',
    post('Transfer-Encoding: chunked\r\nContent-Length: 6\r\n'),
    'transfer-encoding-with-content-length',
  );
  refuse(
    '9112 6.1',
    'TE.CL with a length of 0',
    post('Transfer-Encoding: chunked\r\nContent-Length: 0\r\n'),
    'transfer-encoding-with-content-length',
  );
  refuse(
    '9112 6.1',
    'an empty Transfer-Encoding beside a length',
    post('Transfer-Encoding:\r\nContent-Length: 6\r\n'),
    'transfer-encoding-with-content-length',
  );
  refuse(
    '9112 6.1',
    'identity beside a length',
    post('Transfer-Encoding: identity\r\nContent-Length: 6\r\n'),
    'transfer-encoding-with-content-length',
  );
  refuse(
    '9112 6.1',
    'Connection names one of the two',
    post('Connection: Content-Length\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n'),
    'transfer-encoding-with-content-length',
  );
});

describe('one Transfer-Encoding that is not exactly chunked (TE.TE)', () => {
  const values: readonly (readonly [string, ParseFailure])[] = [
    ['', 'transfer-encoding-invalid'],
    ['identity', 'transfer-encoding-invalid'],
    ['xchunked', 'transfer-encoding-invalid'],
    ['chunkedx', 'transfer-encoding-invalid'],
    ['chunk', 'transfer-encoding-invalid'],
    ['x chunked', 'transfer-encoding-invalid'],
    ['chunked x', 'transfer-encoding-invalid'],
    ['"chunked"', 'transfer-encoding-invalid'],
    ["'chunked'", 'transfer-encoding-invalid'],
    ['chunked;q=1', 'transfer-encoding-invalid'],
    ['chunked,', 'transfer-encoding-invalid'],
    [',chunked', 'transfer-encoding-invalid'],
    [', chunked', 'transfer-encoding-invalid'],
    ['chunked, chunked', 'transfer-encoding-invalid'],
    ['chunked, identity', 'transfer-encoding-invalid'],
    ['chunked, gzip', 'transfer-encoding-invalid'],
    ['chun ked', 'transfer-encoding-invalid'],
    ['gzip', 'transfer-encoding-invalid'],
    ['\xa0chunked', 'transfer-encoding-invalid'],
    ['chunked\xa0', 'transfer-encoding-invalid'],
    ['ch\x96nked', 'transfer-encoding-invalid'],
    ['\xffchunked', 'transfer-encoding-invalid'],
    // Kelvin sign and dotless i as UTF-8: what a Unicode-aware comparison would fold.
    ['chun\xe2\x84\xaaed', 'transfer-encoding-invalid'],
    ['gzip, chunked', 'transfer-encoding-unsupported'],
    ['identity,chunked', 'transfer-encoding-unsupported'],
  ];
  for (const [value, reason] of values) {
    refuse('9112 6.1', JSON.stringify(value), post(`Transfer-Encoding: ${value}\r\n`), reason);
  }
  refuse(
    '9112 6.3',
    'twice chunked',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
    'transfer-encoding-duplicate',
  );
  refuse(
    '9112 6.3',
    'first another, then chunked',
    post('Transfer-Encoding: x\r\ntransfer-encoding: chunked\r\n'),
    'transfer-encoding-duplicate',
  );
  refuse(
    '9112 6.1',
    'in an HTTP/1.0 request',
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'transfer-encoding-version',
  );

  it('a coding list that is understood but not supported is answered with 501', () => {
    const outcome = readRequests(bytesOf(post('Transfer-Encoding: gzip, chunked\r\n')));
    assert.equal(outcome.failureCode, 'coding-unsupported');
  });
});

describe('any byte around Transfer-Encoding and chunked', () => {
  const places: readonly (readonly [string, (byte: string) => string])[] = [
    ['before the name', (byte) => `${byte}Transfer-Encoding: chunked\r\n`],
    ['within the name', (byte) => `Transfer${byte}Encoding: chunked\r\n`],
    ['after the name', (byte) => `Transfer-Encoding${byte}: chunked\r\n`],
    ['before the value', (byte) => `Transfer-Encoding:${byte}chunked\r\n`],
    ['after the value', (byte) => `Transfer-Encoding: chunked${byte}\r\n`],
    ['within the value', (byte) => `Transfer-Encoding: chun${byte}ked\r\n`],
  ];
  for (const [where, line] of places) {
    it(`every byte ${where}: refused, read as chunked, or another field whose length then counts`, () => {
      for (let code = 0; code < 256; code++) {
        const byte = String.fromCharCode(code);
        const text = post(`${line(byte)}Content-Length: 6\r\n`, '0\r\n\r\nG');
        const whole = readRequests(bytesOf(text));
        const cuts = Array.from({ length: text.length }, (_, i) => i);
        assert.deepEqual(readRequests(bytesOf(text), cuts), whole, `byte ${code} in pieces`);
        if (whole.failure !== '') continue;
        // Only names that are another token get here, and they are plain fields: the length decides.
        assert.equal(whole.messages[0]!.framing, Framing.Length, `byte ${code}`);
        const names = whole.messages[0]!.fields.map(([name]) => name.toLowerCase());
        assert.ok(!names.includes('transfer-encoding'), `byte ${code}`);
        assert.match(where, /name/, `byte ${code}`);
      }
    });
  }

  it('white space that the grammar allows changes nothing', () => {
    for (const value of ['chunked', ' chunked', '\tchunked', '  chunked \t', ' CHUNKED', ' cHuNkEd\t']) {
      const outcome = atEverySplit(
        bytesOf(post(`TRANSFER-encoding:${value}\r\n`, '1\r\nx\r\n0\r\n\r\n')),
        readRequests,
      );
      assert.equal(outcome.failure, '', JSON.stringify(value));
      assert.equal(outcome.messages[0]!.body, 'x');
    }
  });

  it('an underscore alias never frames, and is dropped', () => {
    const outcome = atEverySplit(
      bytesOf(post('Transfer_Encoding: chunked\r\nContent_Length: 99\r\nContent-Length: 5\r\n', '0\r\n\r\n')),
      readRequests,
    );
    assert.equal(outcome.failure, '');
    assert.equal(outcome.messages[0]!.body, '0\r\n\r\n');
    assert.deepEqual(outcome.messages[0]!.dropped, ['Transfer_Encoding', 'Content_Length']);
  });
});

describe('Content-Length that is not one plain number', () => {
  const values: readonly (readonly [string, ParseFailure])[] = [
    ['', 'content-length-invalid'],
    ['+6', 'content-length-invalid'],
    ['-6', 'content-length-invalid'],
    ['-0', 'content-length-invalid'],
    ['0x6', 'content-length-invalid'],
    ['6.0', 'content-length-invalid'],
    ['6e0', 'content-length-invalid'],
    ['1_0', 'content-length-invalid'],
    ['6 6', 'content-length-invalid'],
    ['6, 6', 'content-length-invalid'],
    ['6,', 'content-length-invalid'],
    [',6', 'content-length-invalid'],
    ['"6"', 'content-length-invalid'],
    ['6;', 'content-length-invalid'],
    ['six', 'content-length-invalid'],
    ['\xb2', 'content-length-invalid'],
    ['\xd9\xa6', 'content-length-invalid'],
    ['\xa06', 'content-length-invalid'],
    ['9007199254740992', 'content-length-too-large'],
    ['18446744073709551616', 'content-length-too-large'],
    ['18446744073709551622', 'content-length-too-large'],
    ['4294967302000000000000000000000000000006', 'content-length-too-large'],
    ['9'.repeat(400), 'content-length-too-large'],
    [`${'9'.repeat(40)}x`, 'content-length-invalid'],
  ];
  for (const [value, reason] of values) {
    const what = value.length > 50 ? `${value.length} digits` : JSON.stringify(value);
    refuse('9112 6.2', what, post(`Content-Length: ${value}\r\n`), reason);
  }
  for (const [what, fields] of [
    ['two lengths', 'Content-Length: 6\r\nContent-Length: 7\r\n'],
    ['two equal lengths', 'Content-Length: 6\r\ncontent-length: 6\r\n'],
    ['a length and an empty one', 'Content-Length: 6\r\nContent-Length:\r\n'],
  ] as const) {
    refuse('9112 6.3', what, post(fields), 'content-length-duplicate');
  }

  it('RFC 9112 6.2: leading zeros are digits, and the number is what is written onward', () => {
    const outcome = atEverySplit(bytesOf(post('Content-Length: 0003\r\n', 'abc')), readRequests);
    assert.equal(outcome.messages[0]!.body, 'abc');
    assert.ok(outcome.idle);
  });
});

describe('lines that only one side would see', () => {
  for (const [what, fields, reason] of [
    ['LF ends a value, then a hidden framing field', 'X: x\nTransfer-Encoding: chunked\r\n', 'bare-lf'],
    ['CR ends a value, then a hidden framing field', 'X: x\rTransfer-Encoding: chunked\r\n', 'bare-cr'],
    ['a hidden field after an empty value', 'X:\nTransfer-Encoding: chunked\r\n', 'bare-lf'],
    ['folded chunked', 'Transfer-Encoding:\r\n chunked\r\n', 'obsolete-folding'],
    ['LF-folded chunked', 'Transfer-Encoding:\n chunked\r\n', 'bare-lf'],
    ['a folded length', 'Content-Length: 6\r\n 0\r\n', 'obsolete-folding'],
    ['vertical tab before chunked', 'Transfer-Encoding:\x0bchunked\r\n', 'field-value-invalid'],
    ['form feed after chunked', 'Transfer-Encoding: chunked\x0c\r\n', 'field-value-invalid'],
    ['NUL after chunked', 'Transfer-Encoding: chunked\x00\r\n', 'field-value-invalid'],
    ['CR within the name', 'Transfer\r-Encoding: chunked\r\n', 'field-without-colon'],
    ['a field behind an empty name', ': x\r\nTransfer-Encoding: chunked\r\n', 'field-name-empty'],
    ['a second Host by folding', 'X: y\r\n Host: b\r\n', 'obsolete-folding'],
  ] as const) {
    refuse('9112 5', what, post(fields), reason);
  }
});

describe('chunked bodies that two readers would end at different places', () => {
  const bodies: readonly (readonly [string, string, string, ParseFailure])[] = [
    ['9112 7.1', 'no size', '\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'size with a sign', '+1\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'negative size', '-1\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'size with 0x', '0x1\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'size with an underscore', '1_0\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'size with a dot', '1.0\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'space before the size', ' 1\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'space after the size', '1 \r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1', 'text after a space', '1 x\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1', 'letter beyond f', '1g\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'NUL in the size', '1\x00\r\nx\r\n0\r\n\r\n', 'chunk-size-invalid'],
    ['9112 7.1', 'size of 14 digits', `${'f'.repeat(14)}\r\nx`, 'chunk-size-too-large'],
    ['9112 7.1', 'size that wraps at 2^64', '10000000000000001\r\nx\r\n0\r\n\r\n', 'chunk-size-too-large'],
    ['9112 7.1', 'size hidden behind zeros', '00000000000001\r\nx\r\n0\r\n\r\n', 'chunk-size-too-large'],
    ['9112 2.2', 'LF after the size', '1\nx\r\n0\r\n\r\n', 'bare-lf'],
    ['9112 2.2', 'CR after the size', '1\rx\r\n0\r\n\r\n', 'bare-cr'],
    ['9112 2.2', 'CR CR LF after the size', '1\r\r\nx\r\n0\r\n\r\n', 'bare-cr'],
    ['9112 7.1', 'LF after the data', '1\r\nx\n0\r\n\r\n', 'chunk-data-end'],
    ['9112 7.1', 'CR and no LF after the data', '1\r\nx\rX0\r\n\r\n', 'chunk-data-end'],
    ['9112 7.1', 'any two bytes after the data', '1\r\nxXX0\r\n\r\n', 'chunk-data-end'],
    ['9112 7.1', 'data longer than its size', '1\r\nxy\r\n0\r\n\r\n', 'chunk-data-end'],
    ['9112 7.1', 'nothing after the data', '1\r\nx0\r\n\r\n', 'chunk-data-end'],
    ['9112 7.1.1', 'LF in an extension (TERM.EXT)', '1;\nx\r\n0\r\n\r\n', 'bare-lf'],
    ['9112 7.1.1', 'LF after an extension', '1;a\nx\r\n0\r\n\r\n', 'bare-lf'],
    ['9112 7.1.1', 'CR in an extension', '1;a\rb\r\nx\r\n0\r\n\r\n', 'bare-cr'],
    ['9112 7.1.1', 'LF in a quoted value', '1;a="\n"\r\nx\r\n0\r\n\r\n', 'bare-lf'],
    ['9112 7.1.1', 'CRLF in a quoted value', '1;a="\r\n"\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    [
      '9112 7.1.1',
      'escaped CR in a quoted value',
      '1;a="\\\r\n"\r\nx\r\n0\r\n\r\n',
      'chunk-extension-invalid',
    ],
    ['9112 7.1.1', 'open quote', '1;a="b\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'text behind the quote', '1;a="b"c\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'no name', '1;\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'no name before the value', '1;=b\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'no value', '1;a=\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'two values', '1;a=b=c\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'space behind an extension', '1;a \r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'control byte in an extension', '1;a\x01\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'NUL in a quoted value', '1;a="\x00"\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1.1', 'non-ASCII name', '1;\xe9\r\nx\r\n0\r\n\r\n', 'chunk-extension-invalid'],
    ['9112 7.1', 'LF for the empty line at the end', '0\r\n\n', 'bare-lf'],
    ['9112 7.1', 'CR and a letter at the end', '0\r\n\rX', 'bare-cr'],
    [
      '9112 7.1',
      'a request in place of the empty line',
      '0\r\nGET /admin HTTP/1.1\r\n\r\n',
      'field-name-space',
    ],
    ['9112 7.1', 'data after a size of 0', '0\r\nx\r\n', 'field-without-colon'],
    ['9110 6.5.1', 'Content-Length as a trailer', '0\r\nContent-Length: 5\r\n\r\n', 'trailer-forbidden'],
    [
      '9110 6.5.1',
      'Transfer-Encoding as a trailer',
      '0\r\nTransfer-Encoding: chunked\r\n\r\n',
      'trailer-forbidden',
    ],
    ['9110 6.5.1', 'Host as a trailer', '0\r\nX: y\r\nhost: b\r\n\r\n', 'trailer-forbidden'],
    ['9112 5.1', 'space before the colon of a trailer', '0\r\nX : y\r\n\r\n', 'field-name-space'],
    ['9112 5.2', 'folded trailer', '0\r\nX: y\r\n z\r\n\r\n', 'obsolete-folding'],
    ['9112 2.2', 'LF after a trailer', '0\r\nX: y\n\r\n', 'bare-lf'],
    ['9110 5.5', 'NUL in a trailer', '0\r\nX: \x00\r\n\r\n', 'field-value-invalid'],
  ];
  for (const [section, what, body, reason] of bodies) {
    it(`RFC ${section}: ${what}`, () => {
      const outcome = atEverySplit(bytesOf(post('Transfer-Encoding: chunked\r\n', body)), readRequests);
      assert.equal(outcome.failure, reason);
      assert.equal(outcome.messages.length, 1, 'no second request');
      assert.equal(outcome.messages[0]!.ended, false, 'the body does not look complete');
    });
  }
});
