// What Portico sends on for what it read: the codec and the proxy's own writers put together as the exchange does it.

import type { Buffer } from 'node:buffer';
import type { HeadLimits } from '../../src/http1/limits.ts';
import { normalisePath } from '../../src/http1/normalise.ts';
import type { RequestHead } from '../../src/http1/request-head.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { ResponseParser } from '../../src/http1/response-parser.ts';
import { Framing, Step } from '../../src/http1/step.ts';
import { CHUNK_SUFFIX, chunkPrefix, lastChunk } from '../../src/http1/write.ts';
import { HttpDate } from '../../src/proxy/http/date.ts';
import { ForwardedClient } from '../../src/proxy/http/forwarded.ts';
import { buildRequestHead } from '../../src/proxy/http/request-head.ts';
import {
  buildInterimHead,
  buildResponseHead,
  type DownstreamFraming,
  downstreamFraming,
} from '../../src/proxy/http/response-head.ts';

/** Small, so that inputs of some hundred bytes can go past each of them. */
export const LIMITS: HeadLimits = {
  headerBytes: 900,
  lineBytes: 500,
  headerCount: 20,
  chunkExtensionBytes: 32,
  trailerBytes: 100,
};
const OPTIONS = { protocol: 'http', forwarded: false, certificateLines: '' } as const;
const CLIENT = new ForwardedClient('192.0.2.1', { ...OPTIONS, trusted: false });
const TRUSTED = new ForwardedClient('192.0.2.1', { ...OPTIONS, trusted: true });
const DATE = new HttpDate(() => 0);

/** One message as it goes on, and what was read of it. */
export interface Forwarded {
  /** Latin-1; ends early when the message did. */
  text: string;
  body: string;
  trailers: string;
  complete: boolean;
}

export interface ForwardedRequest extends Forwarded {
  readonly method: string;
  readonly target: string;
  readonly host: string;
}

export interface ForwardedResponse extends Forwarded {
  readonly status: number;
  readonly method: string;
  readonly framing: DownstreamFraming | 'interim';
}

/** Every request of `bytes` as it would go upstream; one that the exchange refuses by its path or method is left out. */
export function forwardRequests(bytes: Buffer, trusted: boolean): ForwardedRequest[] {
  const parser = new RequestParser(LIMITS);
  const forwarded: ForwardedRequest[] = [];
  let open: ForwardedRequest | null = null;
  eachStep(parser, bytes, (step) => {
    if (step === Step.Head) {
      open = forwardHead(parser.head, trusted);
      if (open !== null) forwarded.push(open);
    } else if (open === null) return;
    else relay(open, step, parser, bytes, parser.head.framing === Framing.Chunked);
  });
  return forwarded;
}

/** The head of a request as it would go upstream; null when the exchange refuses it by its path or method. */
export function forwardHead(head: RequestHead, trusted: boolean): ForwardedRequest | null {
  const path = head.path === '*' ? '*' : normalisePath(head.path);
  if (path === null || head.method === 'CONNECT') return null;
  const target = head.hasQuery ? `${path}?${head.query}` : path;
  const text = buildRequestHead(head, {
    target,
    authority: head.authority,
    client: trusted ? TRUSTED : CLIENT,
    scheme: 'http',
    webSocketKey: '',
    grpcType: '',
    requestId: 'id',
    edits: null,
    captures: [],
  });
  return {
    method: head.method,
    target,
    host: head.authority,
    text,
    body: '',
    trailers: '',
    complete: false,
  };
}

/** Every response of `bytes` to requests with these methods, as it would go to a client of HTTP/1.`clientMinor`. */
export function forwardResponses(
  bytes: Buffer,
  methods: readonly string[],
  clientMinor: 0 | 1,
): ForwardedResponse[] {
  const parser = new ResponseParser(LIMITS);
  const forwarded: ForwardedResponse[] = [];
  const announced = [...methods];
  let method = announced.shift() ?? 'GET';
  parser.begin(method);
  let open: ForwardedResponse | null = null;
  const end = (): void => {
    open = null;
    const next = announced.shift();
    if (next === undefined) return;
    method = next;
    parser.begin(next);
  };
  eachStep(parser, bytes, (step) => {
    if (step === Step.Interim) {
      const { head } = parser;
      if (clientMinor === 1) forwarded.push(interim(head, method));
    } else if (step === Step.Head) {
      open = answered(parser.head, method, clientMinor);
      forwarded.push(open);
    } else if (open !== null) {
      relay(open, step, parser, bytes, open.framing === 'chunked');
      if (step === Step.End) end();
    }
  });
  if (open !== null && parser.eof() === Step.End) relay(open, Step.End, parser, bytes, isChunked(open));
  return forwarded;
}

/** The head of an HTTP/2 response as it would go to a client of HTTP/1.1. */
export function forwardResponseHead(head: ResponseHead, method: string): ForwardedResponse {
  return head.status < 200 ? interim(head, method) : answered(head, method, 1);
}

const isChunked = (open: ForwardedResponse): boolean => open.framing === 'chunked';

function interim(head: ResponseHead, method: string): ForwardedResponse {
  const text = buildInterimHead(head, null);
  return { status: head.status, method, framing: 'interim', text, body: '', trailers: '', complete: true };
}

function answered(head: ResponseHead, method: string, clientMinor: 0 | 1): ForwardedResponse {
  const framing = downstreamFraming(head, clientMinor);
  const text = buildResponseHead(head, {
    framing,
    requestId: 'id',
    date: DATE,
    edits: null,
    captures: [],
    clientMinor,
    keepAlive: framing !== 'until-close',
  });
  return { status: head.status, method, framing, text, body: '', trailers: '', complete: false };
}

/** The parsers' common part. */
interface Reader {
  readonly position: number;
  readonly dataStart: number;
  readonly dataEnd: number;
  readonly trailers: string;
  next(buffer: Buffer, start: number, end: number): Step;
}

function eachStep(parser: Reader, bytes: Buffer, take: (step: Step) => void): void {
  let position = 0;
  for (;;) {
    const step = parser.next(bytes, position, bytes.length);
    position = parser.position;
    if (step === Step.NeedMore || step === Step.Failed) return;
    take(step);
  }
}

function relay(open: Forwarded, step: Step, parser: Reader, bytes: Buffer, chunked: boolean): void {
  if (step === Step.Body) {
    const data = bytes.latin1Slice(parser.dataStart, parser.dataEnd);
    open.body += data;
    open.text += chunked ? chunkPrefix(data.length) + data + CHUNK_SUFFIX : data;
  } else if (step === Step.End) {
    open.complete = true;
    open.trailers = chunked ? parser.trailers : '';
    if (chunked) open.text += lastChunk(parser.trailers);
  }
}
