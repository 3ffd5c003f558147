// Node's own HTTP/2 client (nghttp2) for tests: requests as promises, and every session closed with the test.

import type { EventEmitter } from 'node:events';
import http2 from 'node:http2';

export interface Answer {
  status: number;
  headers: http2.IncomingHttpHeaders;
  body: string;
  trailers: http2.IncomingHttpHeaders;
}

export class Http2Client {
  readonly session: http2.ClientHttp2Session;
  /** The error codes of the GOAWAY frames that came. */
  readonly goaways: number[] = [];
  closed = false;

  constructor(url: string, options: http2.SecureClientSessionOptions = {}) {
    this.session = http2.connect(url, options);
    this.session.on('goaway', (code) => this.goaways.push(code));
    this.session.on('error', () => {});
    this.session.on('close', () => {
      this.closed = true;
    });
  }

  open(
    headers: http2.OutgoingHttpHeaders,
    options?: http2.ClientSessionRequestOptions,
  ): http2.ClientHttp2Stream {
    const stream = this.session.request(headers, options);
    stream.on('error', () => {});
    return stream;
  }

  /** One request and its whole answer. */
  async send(headers: http2.OutgoingHttpHeaders, body?: string | Buffer): Promise<Answer> {
    const stream = this.open(headers, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    return await answerOf(stream);
  }

  async get(path: string, headers: http2.OutgoingHttpHeaders = {}): Promise<Answer> {
    return await this.send({ ':path': path, ...headers });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    const closed = closeOf(this.session);
    this.session.destroy();
    await closed;
  }
}

/** Waits for the close of a stream or session, whatever error it ends with. */
export async function closeOf(closing: EventEmitter): Promise<void> {
  await new Promise<void>((resolve) => {
    closing.once('close', resolve);
  });
}

/** Resolves at the end of the answer; rejects when the stream is reset before. */
export async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  const answer: Answer = { status: 0, headers: {}, body: '', trailers: {} };
  stream.on('response', (headers) => {
    answer.status = Number(headers[':status']);
    answer.headers = headers;
  });
  stream.on('trailers', (trailers) => {
    answer.trailers = trailers;
  });
  stream.on('data', (chunk: Buffer) => {
    answer.body += chunk.toString('latin1');
  });
  let ended = false;
  stream.on('end', () => {
    ended = true;
  });
  if (!stream.destroyed) await closeOf(stream);
  if (!ended || answer.status === 0) throw new Error(`reset with code ${stream.rstCode}`);
  return answer;
}
