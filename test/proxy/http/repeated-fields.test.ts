// Heads whose field lines repeat: what is read of them, and what goes on, is what it is of each message alone.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestParser } from '../../../src/http1/request-parser.ts';
import { Step } from '../../../src/http1/step.ts';
import { ForwardedClient } from '../../../src/proxy/http/forwarded.ts';
import { buildRequestHead } from '../../../src/proxy/http/request-head.ts';
import { forwardRequests, forwardResponses } from '../../fuzz/forwarding.ts';
import { bytesOf, LIMITS, type Outcome, readRequests, readResponses } from '../../http1/drive.ts';
import { fc } from '../../support/properties.ts';

/** Field lines, and the content that belongs to them. */
interface Section {
  readonly lines: readonly string[];
  readonly content: string;
}

const section = (...lines: readonly string[]): Section => ({ lines, content: '' });

const REQUEST_LINES = [
  'GET / HTTP/1.1',
  'GET /a/longer/path?with=query HTTP/1.1',
  'GET / HTTP/1.0',
  'POST /c HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'OPTIONS /o HTTP/1.1',
  'TRACE /t HTTP/1.1',
  'GET http://a.example/absolute HTTP/1.1',
  'GET http://A.Example/absolute HTTP/1.1',
];

const REQUEST_SECTIONS: readonly Section[] = [
  section('Host: a.example'),
  section('Host: A.example.'),
  section('Host: b.example:81', 'Accept: */*', 'User-Agent: x'),
  section('Host: [::1]'),
  section('Host:a.example ', 'X-Odd:  spaced \t'),
  section('Host: a.example', 'Connection: close'),
  section('Host: a.example', 'Connection: keep-alive, X-Named', 'X-Named: 1', 'X-Other: 2'),
  section('Host: a.example', 'Connection: upgrade', 'Upgrade: websocket'),
  section('Host: a.example', 'Max-Forwards: 3'),
  section('Host: a.example', 'Max-Forwards: 3', 'Max-Forwards: 4'),
  section('Host: a.example', 'X_Under: 1', 'X-Forwarded-For: 198.51.100.1', 'X-Forwarded-For: 198.51.100.2'),
  section('Host: a.example', 'X-Forwarded-Host: other.example', 'Cookie: a=b', 'Cookie: c=d'),
  section('Host: a.example', 'Content-Length: 0'),
  { lines: ['Host: a.example', 'Content-Length: 3'], content: 'abc' },
  { lines: ['Host: a.example', 'Expect: 100-continue', 'Content-Length: 3'], content: 'abc' },
  { lines: ['Host: a.example', 'Transfer-Encoding: chunked'], content: '3\r\nabc\r\n0\r\nX-Last: 1\r\n\r\n' },
  section('X-None: of a host'),
  section('Host: a.example', 'Host: a.example'),
  section('Host: a.example', 'Bad name: 1'),
];

const INTERIM = 'HTTP/1.1 103 Early Hints';

const RESPONSE_LINES = [
  INTERIM,
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 ',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 404 Not Found',
];

const RESPONSE_SECTIONS: readonly Section[] = [
  section('Content-Length: 0'),
  section('Content-Length: 0', 'Date: Sun, 29 Nov 2026 01:02:03 GMT', 'Server: x'),
  section('Content-Length: 0', 'Connection: close'),
  section(
    'Content-Length: 0',
    'Connection: X-Named, Date',
    'X-Named: 1',
    'Date: Sun, 29 Nov 2026 01:02:03 GMT',
  ),
  section('Content-Length: 0', 'X-Request-Id: theirs', 'Set-Cookie: a=b', 'Set-Cookie: c=d'),
  { lines: ['Content-Length: 3', 'Content-Type: text/plain'], content: 'abc' },
  { lines: ['Transfer-Encoding: chunked'], content: '3\r\nabc\r\n0\r\n\r\n' },
  section('Content-Length: 0', 'Content-Length: 0'),
];

/** Messages of which many say what the one before has said. */
function messages(lines: readonly string[], sections: readonly Section[]): fc.Arbitrary<readonly string[]> {
  const one = fc.record({
    lines: fc.array(fc.constantFrom(...lines), { minLength: 1, maxLength: 6 }),
    section: fc.constantFrom(...sections),
  });
  return fc
    .array(one, { minLength: 1, maxLength: 6 })
    .map((runs) =>
      runs.flatMap((run) =>
        run.lines.map((line) => `${[line, ...run.section.lines].join('\r\n')}\r\n\r\n${run.section.content}`),
      ),
    );
}

/** What each is by itself, up to the first that is refused. */
function alone(texts: readonly string[], read: (bytes: Buffer) => Outcome): Outcome {
  const outcomes: Outcome[] = [];
  for (const text of texts) {
    outcomes.push(read(bytesOf(text)));
    if (outcomes.at(-1)!.failure !== '') break;
  }
  return { ...outcomes.at(-1)!, messages: outcomes.flatMap((outcome) => outcome.messages) };
}

/** Each final answer with the interim ones before it. */
function answers(texts: readonly string[]): readonly string[] {
  const whole: string[] = [];
  let interim = '';
  for (const text of texts) {
    if (text.startsWith(INTERIM)) interim += text;
    else {
      whole.push(interim + text);
      interim = '';
    }
  }
  return whole;
}

const cuts = (length: number): fc.Arbitrary<number[]> =>
  fc.array(fc.nat(length), { maxLength: 6 }).map((places) => places.toSorted((a, b) => a - b));

describe('field lines that repeat', () => {
  it('are read in a request as if they were said once', () => {
    const any = messages(REQUEST_LINES, REQUEST_SECTIONS).chain((texts) =>
      fc.tuple(fc.constant(texts), cuts(texts.join('').length)),
    );
    fc.assert(
      fc.property(any, ([texts, places]) => {
        assert.deepEqual(
          readRequests(bytesOf(texts.join('')), places),
          alone(texts, (one) => readRequests(one)),
        );
      }),
    );
  });

  it('are read in a response as if they were said once', () => {
    const any = messages(RESPONSE_LINES, RESPONSE_SECTIONS).chain((texts) =>
      fc.tuple(
        fc.constant(answers(texts)),
        cuts(answers(texts).join('').length),
        fc.constantFrom('GET', 'POST'),
      ),
    );
    fc.assert(
      fc.property(any, ([texts, places, method]) => {
        if (texts.length === 0) return;
        const methods = texts.map(() => method);
        assert.deepEqual(
          readResponses(bytesOf(texts.join('')), places, methods),
          alone(texts, (one) => readResponses(one, [], [method])),
        );
      }),
    );
  });

  it('go on as if they were said once', () => {
    fc.assert(
      fc.property(
        messages(REQUEST_LINES, REQUEST_SECTIONS),
        messages(RESPONSE_LINES, RESPONSE_SECTIONS),
        fc.boolean(),
        fc.constantFrom<0 | 1>(0, 1),
        (requests, responses, trusted, minor) => {
          const good = requests.filter((text) => readRequests(bytesOf(text)).failure === '');
          assert.deepEqual(
            forwardRequests(bytesOf(good.join('')), trusted),
            good.flatMap((text) => forwardRequests(bytesOf(text), trusted)),
          );
          const right = answers(responses).filter((text) => readResponses(bytesOf(text)).failure === '');
          const methods = right.map(() => 'GET');
          assert.deepEqual(
            forwardResponses(bytesOf(right.join('')), methods, minor),
            right.flatMap((text) => forwardResponses(bytesOf(text), ['GET'], minor)),
          );
        },
      ),
    );
  });

  it('go on with the host that a rule says, and with the one that the client said', () => {
    const client = new ForwardedClient('192.0.2.1', {
      protocol: 'http',
      trusted: false,
      forwarded: true,
      certificateLines: '',
    });
    const sent = (parser: RequestParser, text: string, authority: string): string => {
      const bytes = bytesOf(text);
      assert.equal(parser.next(bytes, 0, bytes.length), Step.Head);
      const { head } = parser;
      const parts = { scheme: 'http', webSocketKey: '', grpcType: '', edits: null, captures: [] } as const;
      const built = buildRequestHead(head, { ...parts, target: '/', authority, client, requestId: 'id' });
      assert.equal(parser.next(bytes, bytes.length, bytes.length), Step.End);
      return built;
    };
    const request = fc.record({
      line: fc.constantFrom('GET / HTTP/1.1', 'GET http://A.example/ HTTP/1.1'),
      authority: fc.constantFrom('a.example', 'inner.example', 'other.example'),
    });
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 20 }), (requests) => {
        const kept = new RequestParser(LIMITS);
        for (const { line, authority } of requests) {
          const text = `${line}\r\nHost: a.example\r\n\r\n`;
          assert.equal(sent(kept, text, authority), sent(new RequestParser(LIMITS), text, authority));
        }
      }),
    );
  });
});
