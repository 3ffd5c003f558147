// Properties of the codec over generated messages: whatever is valid comes out as it went in, whatever is not gets one
// verdict, and an independent reading of the grammar agrees.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { FieldId } from '../../src/http1/field-id.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { Step } from '../../src/http1/step.ts';
import { chunkPrefix, lastChunk } from '../../src/http1/write.ts';
import { fc } from '../support/properties.ts';
import { bytesOf, LIMITS, type Outcome, readRequests, readResponses } from './drive.ts';

const TCHAR = "!#$%&'*+-.^`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const chars = (alphabet: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength });

const body = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).latin1Slice());
const name = chars(TCHAR, 1, 12).map((text) => `X-${text}`);
const value = chars('ab \t,;="\xe9\xff', 0, 20).map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
const space = chars(' \t', 0, 3);
const field = fc.record({ name, value, before: space, after: space });
const target = chars('abc/.~%41-_:@!$', 0, 20).map((text) => `/${text}`);
/** Null is a body by length; otherwise the places where it is cut into chunks, and its trailers. */
const chunking = fc.option(
  fc.record({
    cuts: fc.array(fc.nat(60), { maxLength: 4 }),
    extension: fc.constantFrom('', ';a', ';a="b\\"c"', ' ; x = y'),
    trailers: fc.array(fc.record({ name, value }), { maxLength: 3 }),
  }),
);

interface Expected {
  readonly text: string;
  readonly start: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: string;
}

function serialise(
  startLine: string,
  start: string,
  own: readonly (readonly [string, string])[],
  fields: readonly { name: string; value: string; before: string; after: string }[],
  content: string,
  chunked: { cuts: number[]; extension: string; trailers: { name: string; value: string }[] } | null,
): Expected {
  const framing =
    chunked === null
      ? (['Content-Length', `${content.length}`] as const)
      : (['Transfer-Encoding', 'chunked'] as const);
  const lines = [...own, framing].map(([n, v]) => `${n}: ${v}\r\n`);
  const extra = fields.map((f) => `${f.name}:${f.before}${f.value}${f.after}\r\n`);
  const trailers = (chunked?.trailers ?? []).map((t) => `${t.name}: ${t.value}\r\n`).join('');
  return {
    text: `${startLine}\r\n${lines.join('')}${extra.join('')}\r\n${encode(content, chunked, trailers)}`,
    start,
    fields: [...own, framing, ...fields.map((f) => [f.name, f.value] as const)],
    body: content,
    trailers,
  };
}

function encode(
  content: string,
  chunked: { cuts: number[]; extension: string } | null,
  trailers: string,
): string {
  if (chunked === null) return content;
  const cuts = chunked.cuts.filter((cut) => cut < content.length).sort((a, b) => a - b);
  let encoded = '';
  let from = 0;
  for (const to of [...cuts, content.length]) {
    if (to === from) continue;
    encoded += `${chunkPrefix(to - from).replace('\r\n', `${chunked.extension}\r\n`)}${content.slice(from, to)}\r\n`;
    from = to;
  }
  return encoded + lastChunk(trailers);
}

const request = fc
  .record({
    method: chars('ABCXYZ-', 1, 8),
    target,
    fields: fc.array(field, { maxLength: 8 }),
    body,
    chunking,
  })
  .map(({ method, target, fields, body, chunking }) =>
    serialise(
      `${method} ${target} HTTP/1.1`,
      `${method} ${target} 1.1`,
      [['Host', 'a.example']],
      fields,
      body,
      chunking,
    ),
  );

const response = fc
  .record({
    status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
    reason: chars('abc \t\xe9', 0, 10),
    fields: fc.array(field, { maxLength: 8 }),
    body,
    chunking,
  })
  .map(({ status, reason, fields, body, chunking }) =>
    serialise(`HTTP/1.1 ${status} ${reason}`, `1.1 ${status} ${reason}`, [], fields, body, chunking),
  );

/** Places to cut at, as shares of the length. */
const cutShares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
const cutsOf = (shares: readonly number[], length: number) =>
  shares.map((share) => Math.floor(share * length)).sort((a, b) => a - b);

function assertMessages(outcome: Outcome, expected: readonly Expected[]): void {
  assert.equal(outcome.failure, '');
  assert.ok(outcome.idle);
  assert.deepEqual(
    outcome.messages.map(({ start, fields, body, trailers, ended }) => ({
      start,
      fields,
      body,
      trailers,
      ended,
    })),
    expected.map(({ start, fields, body, trailers }) => ({ start, fields, body, trailers, ended: true })),
  );
}

describe('any sequence of valid messages, at any split', () => {
  it('gives exactly those requests', () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 6 }), cutShares, (requests, shares) => {
        const bytes = bytesOf(requests.map(({ text }) => text).join(''));
        assertMessages(readRequests(bytes, cutsOf(shares, bytes.length)), requests);
      }),
      { numRuns: 300 },
    );
  });

  it('gives exactly those responses', () => {
    fc.assert(
      fc.property(fc.array(response, { minLength: 1, maxLength: 6 }), cutShares, (responses, shares) => {
        const bytes = bytesOf(responses.map(({ text }) => text).join(''));
        const methods = responses.map(() => 'GET');
        assertMessages(readResponses(bytes, cutsOf(shares, bytes.length), methods), responses);
      }),
      { numRuns: 300 },
    );
  });
});

const oddBytes = fc.constantFrom(
  ...[
    '\r',
    '\n',
    '\r\n',
    '\x00',
    ' ',
    '\t',
    ':',
    ',',
    ';',
    '"',
    '\x0b',
    '\x7f',
    '\x85',
    '\xa0',
    '\xff',
    '0',
    '\r\n ',
    '_',
  ],
);
const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.nat(3),
  insert: fc.oneof(
    oddBytes,
    fc.constantFrom('Transfer-Encoding: chunked\r\n', 'Content-Length: 1\r\n', 'Host: b\r\n'),
  ),
});

function mutate(text: string, mutations: readonly { at: number; remove: number; insert: string }[]): string {
  let mutated = text;
  for (const { at, remove, insert } of mutations) {
    const place = Math.floor(at * mutated.length);
    mutated = mutated.slice(0, place) + insert + mutated.slice(place + remove);
  }
  return mutated;
}

describe('any bytes at all', () => {
  it('get the same verdict whole, at any split and byte by byte, as requests and as responses', () => {
    const broken = fc
      .record({
        messages: fc.array(fc.oneof(request, response), { minLength: 1, maxLength: 3 }),
        mutations: fc.array(mutation, { minLength: 1, maxLength: 3 }),
      })
      .map(({ messages, mutations }) => mutate(messages.map(({ text }) => text).join(''), mutations));
    fc.assert(
      fc.property(broken, cutShares, (text, shares) => {
        const bytes = bytesOf(text);
        const single = Array.from({ length: bytes.length }, (_, i) => i);
        for (const cuts of [cutsOf(shares, bytes.length), single]) {
          assert.deepEqual(readRequests(bytes, cuts), readRequests(bytes));
          assert.deepEqual(
            readResponses(bytes, cuts, ['GET', 'HEAD']),
            readResponses(bytes, [], ['GET', 'HEAD']),
          );
        }
      }),
      { numRuns: 400 },
    );
  });
});

/** The head grammar once more, as regular expressions over the whole text and nothing shared with the codec. */
function referenceAccepts(head: string): boolean {
  const match =
    /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) (\/[\x21\x22\x24-\x7e]*) HTTP\/1\.([01])\r\n((?:[^\r\n]*\r\n)*)\r\n$/.exec(
      head,
    );
  if (match === null || match[1] === 'CONNECT') return false;
  const fields: [string, string][] = [];
  for (const line of match[4]!.split('\r\n').slice(0, -1)) {
    const parts = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (parts === null) return false;
    fields.push([parts[1]!.toLowerCase(), parts[2]!.replace(/[ \t]+$/, '')]);
  }
  const values = (wanted: string) => fields.filter(([n]) => n === wanted).map(([, v]) => v);
  const hosts = values('host');
  const codings = values('transfer-encoding');
  const lengths = values('content-length');
  const old = match[3] === '0';
  if (hosts.length > 1 || (hosts.length === 0 && !old)) return false;
  if (hosts.length === 1 && !/^[-\w]+(?:\.[-\w]+)*\.?(?::\d{0,5})?$/.test(hosts[0]!)) return false;
  if (codings.length > 0 && (lengths.length > 0 || old || codings.length > 1)) return false;
  if (codings.length === 1 && !/^chunked$/i.test(codings[0]!)) return false;
  if (lengths.length > 1 || (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0]!))) return false;
  return fields.length <= LIMITS.headerCount;
}

describe('an independent reading of the grammar', () => {
  it('accepts and refuses the same heads', () => {
    let accepted = 0;
    let refused = 0;
    const head = fc
      .record({ message: request, mutations: fc.array(mutation, { maxLength: 2 }) })
      .map(({ message, mutations }) =>
        mutate(message.text.slice(0, message.text.indexOf('\r\n\r\n') + 4), mutations),
      )
      // The reference reads one whole head; what stands before the first empty line is one.
      .map((text) => text.slice(0, text.indexOf('\r\n\r\n') + 4))
      .filter((text) => text.length > 4 && !text.startsWith('\r\n'));
    fc.assert(
      fc.property(head, (text) => {
        const parser = new RequestParser(LIMITS);
        const accepts = parser.next(bytesOf(text), 0, text.length) === Step.Head;
        assert.equal(accepts, referenceAccepts(text), `${JSON.stringify(text)} ${parser.failure}`);
        if (accepts) accepted++;
        else refused++;
      }),
      { numRuns: 3000 },
    );
    assert.ok(accepted > 300 && refused > 300, `${accepted} accepted, ${refused} refused`);
  });

  it('finds the same fields at the same offsets', () => {
    fc.assert(
      fc.property(request, ({ text }) => {
        const parser = new RequestParser(LIMITS);
        const bytes = bytesOf(text);
        assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
        const { head } = parser;
        assert.equal(head.text, text.slice(0, parser.position));
        const lines = head.text.slice(head.fieldsStart, -4).split('\r\n');
        assert.equal(head.count, lines.length);
        for (const [i, line] of lines.entries()) {
          assert.equal(head.name(i), line.slice(0, line.indexOf(':')));
          assert.equal(head.value(i), line.slice(line.indexOf(':') + 1).replace(/^[ \t]+|[ \t]+$/g, ''));
        }
        assert.equal(head.find(FieldId.Host), 0);
      }),
      { numRuns: 200 },
    );
  });
});
