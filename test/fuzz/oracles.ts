// What must hold of every input, whatever it is: throws an AssertionError that says what does not.

import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import { bytesOf, type Outcome, readRequests, readResponses } from '../http1/drive.ts';
import { judgeFirstBytes } from './first-bytes.ts';
import {
  type ForwardedRequest,
  type ForwardedResponse,
  forwardRequests,
  forwardResponses,
  LIMITS,
} from './forwarding.ts';
import { framesOf, type Http2Kind, readHttp2 } from './http2.ts';

export const KINDS = ['request', 'response', 'http2-server', 'http2-client', 'first-bytes'] as const;
export type Kind = (typeof KINDS)[number];

/** Methods of the requests that a response input answers, in turn. */
export const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'GET'];

export interface Verdict {
  readonly outcome: Pick<Outcome, 'messages' | 'failure'>;
  /** What would be sent upstream; empty for responses. */
  readonly requests: readonly ForwardedRequest[];
  /** What would be sent to a client; empty for requests. */
  readonly responses: readonly ForwardedResponse[];
}

/** Judges an input read whole, byte by byte and at `cuts`, and what would be sent on for it. */
export function judge(kind: Kind, bytes: Buffer, cuts: readonly number[]): Verdict {
  if (kind === 'http2-server' || kind === 'http2-client') return judgeHttp2(kind, bytes, cuts);
  if (kind === 'first-bytes') {
    // Nothing is sent on: these are read at every prefix, whatever the cuts.
    return { outcome: { messages: [], failure: judgeFirstBytes(bytes) }, requests: [], responses: [] };
  }
  const read = (at: readonly number[]): Outcome =>
    kind === 'request' ? readRequests(bytes, at, LIMITS) : readResponses(bytes, at, METHODS, true, LIMITS);
  const outcome = read([]);
  const whole = JSON.stringify(outcome);
  for (const at of [Array.from({ length: bytes.length }, (_, i) => i), cuts]) {
    const split = read(at);
    if (JSON.stringify(split) !== whole) assert.deepEqual(split, outcome, 'the same outcome at every split');
  }
  if (kind === 'request') {
    const requests = forwardRequests(bytes, cuts.length % 2 === 1);
    for (const request of requests) checkRequest(request);
    return { outcome, requests, responses: [] };
  }
  const responses = forwardResponses(bytes, METHODS, cuts.length % 2 === 1 ? 0 : 1);
  for (const response of responses) checkResponse(response);
  return { outcome, requests: [], responses };
}

/** The same for frames in their short form; long inputs are not read byte by byte. */
function judgeHttp2(kind: Http2Kind, script: Buffer, cuts: readonly number[]): Verdict {
  const bytes = framesOf(script);
  const trusted = cuts.length % 2 === 1;
  const outcome = readHttp2(kind, bytes, [], trusted);
  const whole = JSON.stringify([outcome.events, outcome.frames]);
  const ways = [cuts.map((cut) => Math.min(cut * 2, bytes.length))];
  if (bytes.length <= BYTE_BY_BYTE) ways.push(Array.from({ length: bytes.length }, (_, i) => i));
  for (const at of ways) {
    const { events, frames } = readHttp2(kind, bytes, at, trusted);
    if (JSON.stringify([events, frames]) !== whole)
      assert.deepEqual(
        { events, frames },
        { events: outcome.events, frames: outcome.frames },
        'the same at every split',
      );
  }
  const { requests, responses, failure, events } = outcome;
  for (const request of requests) checkRequest(request);
  for (const response of responses) if (response.method !== 'CONNECT') checkResponse(response);
  // One word for each kind of event says enough of what an input is like.
  const messages = [...new Set(events.map((event) => event.split(' ', 1)[0]!))].map((start) => ({ start }));
  return {
    outcome: { messages: messages as unknown as Outcome['messages'], failure },
    requests,
    responses: responses.filter(({ method }) => method !== 'CONNECT'),
  };
}

/** What a request input is like: a new one is worth keeping even when no new code ran. */
export function signatureOf(kind: Kind, { outcome }: Verdict): string {
  const messages = outcome.messages.map(({ start, framing, ended }) =>
    kind.startsWith('http2') ? start : `${framing}${Number(ended)}`,
  );
  return `${kind} ${outcome.failure} ${messages.slice(0, kind.startsWith('http2') ? 6 : 2).join(' ')}`;
}

/** What a run keeps on disk: one input for each reason of refusal and each way of framing. */
export function reasonOf(kind: Kind, { outcome }: Verdict): string {
  const [first] = outcome.messages;
  return `${kind} ${outcome.failure} ${first?.framing ?? '-'} ${first?.trailers === '' ? '' : 'trailers'}`;
}

function headLines(text: string): string[] {
  const end = text.indexOf('\r\n\r\n');
  assert.ok(end > 0, 'a head ends in an empty line');
  const lines = text.slice(0, end).split('\r\n');
  for (const line of lines) assert.doesNotMatch(line, /[\r\n\0]/, 'no bare CR, LF or NUL in a head');
  for (const line of lines.slice(1)) assert.match(line, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+: ?/, 'a field line');
  return lines.slice(1);
}

const named = (lines: readonly string[], name: string): string[] =>
  lines.filter((line) => line.slice(0, name.length + 1).toLowerCase() === `${name}:`);

/** Framing is said once and unambiguously. */
function checkFraming(lines: readonly string[], atLeast: 0 | 1): void {
  const lengths = named(lines, 'content-length');
  const codings = named(lines, 'transfer-encoding');
  assert.ok(lengths.length + codings.length <= 1, 'one framing field at most');
  assert.ok(lengths.length + codings.length >= atLeast, 'a body needs a framing field');
  for (const line of lengths) assert.match(line, /^Content-Length: (?:0|[1-9]\d{0,15})$/);
  for (const line of codings) assert.equal(line, 'Transfer-Encoding: chunked');
}

/** A body of known length ends with its last byte in HTTP/1.1; in HTTP/2 the end may be said later. */
const isWhole = (lines: readonly string[], body: string): boolean =>
  lines.includes(`Content-Length: ${body.length}`);

function checkRequest(request: ForwardedRequest): void {
  const { text, method, target, host } = request;
  const lines = headLines(text);
  assert.ok(text.startsWith(`${method} ${target} HTTP/1.1\r\n`), 'the request line');
  checkFraming(lines, request.body === '' ? 0 : 1);
  for (const name of ['host', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-for', 'x-request-id']) {
    assert.equal(named(lines, name).length, 1, `${name} once`);
  }
  for (const line of lines) {
    assert.doesNotMatch(
      line,
      /^(?:[^:]*_|(?:keep-alive|proxy-connection|te|http2-settings|proxy-authorization):)/i,
      'no field of one connection and no name that could be taken for another',
    );
  }
  if (named(lines, 'upgrade').length > 0)
    assert.equal(named(lines, 'connection').length, 1, 'a paired Upgrade');
  else assert.equal(named(lines, 'connection').length, 0, 'no Connection without Upgrade');
  // RFC 9112, section 3.2 wants an empty Host for an HTTP/1.0 request that names none; we read none ourselves.
  if (host === '') return;
  const again = readRequests(bytesOf(request.complete ? text + SENTINEL : text), [], ROOMY);
  assert.equal(again.failure, '', 'what is sent can be read');
  const [first, second] = again.messages;
  assert.equal(first?.start, `${method} ${target} 1.1`);
  assert.equal(first?.body, request.body);
  assert.equal(first?.trailers, request.trailers);
  assert.equal(first?.ended, request.complete || isWhole(lines, request.body));
  if (request.complete) {
    assert.equal(second?.start, 'GET /sentinel 1.1', 'the next request begins where this one ends');
    assert.equal(again.messages.length, 2);
  }
}

function checkResponse(response: ForwardedResponse): void {
  const { text, status, method, framing } = response;
  const lines = headLines(text);
  assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} [^\\r\\n]*\\r\\n`));
  if (framing === 'interim' || status === 101) return;
  checkFraming(lines, framing === 'length' || framing === 'chunked' ? 1 : 0);
  if (status === 204) assert.equal(named(lines, 'content-length').length, 0, 'no length in 204');
  assert.equal(named(lines, 'x-request-id').length, 1);
  const again = readResponses(bytesOf(text), [], [method], response.complete, ROOMY);
  assert.equal(again.failure, '', 'what is sent can be read');
  const [first] = again.messages;
  assert.equal(again.messages.length, 1, 'one response');
  assert.equal(first?.start.split(' ')[1], String(status));
  assert.equal(first?.body, response.body);
  if (framing === 'chunked') assert.equal(first?.trailers, response.trailers);
  assert.equal(first?.ended, response.complete || isWhole(lines, response.body));
}

/** Longer inputs, which come of repeated frames, are read whole and cut only. */
const BYTE_BY_BYTE = 2000;

export const SENTINEL = 'GET /sentinel HTTP/1.1\r\nHost: a\r\n\r\n';
/** What we add may take a head over the limits that the original just kept. */
const ROOMY = {
  headerBytes: 32_768,
  lineBytes: 32_768,
  headerCount: 200,
  chunkExtensionBytes: 0,
  trailerBytes: 8192,
};
