// The clients of a soak run that speak HTTP/2: requests, uploads, resets, WebSockets, and connections that end in every way.

import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import http2 from 'node:http2';
import { BIG_BYTES } from './targets.ts';
import type { Job } from './traffic.ts';

const LIMIT_MS = 30_000;
const { NGHTTP2_CANCEL } = http2.constants;
/** A binary frame of one byte, masked with zeros (RFC 6455, section 5.2), and the frame that comes back. */
const MESSAGE = Buffer.from([0x82, 0x81, 0, 0, 0, 0, 0x61]);
const ECHO = Buffer.from([0x82, 0x01, 0x61]);

let kept: http2.ClientHttp2Session | null = null;

/** The session that many jobs share; another when that one has ended, as its last request may have told it to. */
function shared(port: number): http2.ClientHttp2Session {
  if (kept === null || kept.closed || kept.destroyed) kept = connect(port);
  return kept;
}

function connect(port: number): http2.ClientHttp2Session {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  session.on('goaway', () => {
    if (kept === session) kept = null;
    session.close();
  });
  return session;
}

/** The first of these events; rejects when the stream is closed without it. */
async function next<T>(stream: http2.ClientHttp2Stream, event: string): Promise<T> {
  const over = new AbortController();
  const closed = once(stream, 'close', { signal: over.signal }).then(
    () => Promise.reject(new Error(`closed without ${event}`)),
    () => new Promise<never>(() => {}),
  );
  try {
    const [value] = await Promise.race([once(stream, event, { signal: over.signal }), closed]);
    return value as T;
  } finally {
    over.abort();
  }
}

type Head = http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;

/** What came back, and how the stream ended. Rejects when it was reset or silent for too long. */
async function bodyOf(stream: http2.ClientHttp2Stream): Promise<Buffer> {
  stream.setTimeout(LIMIT_MS, () => stream.close(NGHTTP2_CANCEL));
  const head = await next<Head>(stream, 'response');
  const body = Buffer.concat((await stream.toArray()) as Buffer[]);
  if (head[':status'] !== 200) throw new Error(`status ${head[':status']}`);
  if (stream.rstCode !== 0) throw new Error(`reset with ${stream.rstCode}`);
  return body;
}

function expectBytes(body: Buffer, bytes: number): void {
  if (body.length !== bytes) throw new Error(`${body.length} of ${bytes} bytes`);
}

/** A WebSocket by extended CONNECT (RFC 8441) that has echoed a message. */
async function openWebSocket(session: http2.ClientHttp2Session): Promise<http2.ClientHttp2Stream> {
  if (session.remoteSettings.enableConnectProtocol !== true) await once(session, 'remoteSettings');
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/',
    'sec-websocket-version': '13',
  });
  stream.setTimeout(LIMIT_MS, () => stream.close(NGHTTP2_CANCEL));
  const head = await next<Head>(stream, 'response');
  if (head[':status'] !== 200) throw new Error(`status ${head[':status']}`);
  stream.write(MESSAGE);
  let echo = await next<Buffer>(stream, 'data');
  while (echo.length < ECHO.length) echo = Buffer.concat([echo, await next<Buffer>(stream, 'data')]);
  if (!echo.equals(ECHO)) throw new Error(`echo of another message: ${echo.toString('hex')}`);
  return stream;
}

/** Waits for the close that `act` leads to. */
async function closed(stream: http2.ClientHttp2Stream, act: () => void): Promise<void> {
  const gone = once(stream, 'close');
  act();
  await gone;
}

export const HTTP2_JOBS: Readonly<Record<string, Job>> = {
  'HTTP/2': async ({ secure }) => expectBytes(await bodyOf(shared(secure).request({ ':path': '/' })), 2),
  'HTTP/2, new connection': async ({ secure }) => {
    const session = connect(secure);
    expectBytes(await bodyOf(session.request({ ':path': '/' })), 2);
    session.close();
  },
  'HTTP/2 upload': async ({ secure }, random) => {
    const sent = Buffer.alloc(Math.ceil(random() * 100_000), 'u');
    const stream = shared(secure).request({ ':method': 'PUT', ':path': '/count' });
    stream.end(sent);
    const body = await bodyOf(stream);
    if (body.toString() !== String(sent.length)) throw new Error(`${body} arrived of ${sent.length} bytes`);
  },
  'HTTP/2 to HTTP/2': async ({ secure }) =>
    expectBytes(await bodyOf(shared(secure).request({ ':path': '/modern/big' })), BIG_BYTES),
  'HTTP/2, reset within an answer': async ({ secure }) => {
    const stream = shared(secure).request({ ':path': '/big' });
    await next(stream, 'data');
    await closed(stream, () => stream.close(NGHTTP2_CANCEL));
  },
  'HTTP/2 to HTTP/2, reset within a request': async ({ secure }) => {
    const stream = shared(secure).request({ ':method': 'PUT', ':path': '/modern/count' });
    stream.write('only this');
    if (stream.pending) await next(stream, 'ready');
    await closed(stream, () => stream.close(NGHTTP2_CANCEL));
  },
  'HTTP/2, left within a request': async ({ secure }) => {
    const session = connect(secure);
    const stream = session.request({ ':method': 'PUT', ':path': '/count' });
    stream.on('error', () => {});
    stream.write('only this');
    await once(session, 'remoteSettings');
    session.destroy();
  },
  'WebSocket over HTTP/2': async ({ secure }) => {
    const stream = await openWebSocket(shared(secure));
    stream.resume();
    await closed(stream, () => stream.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0])));
  },
  'WebSocket over HTTP/2, reset as it ends': async ({ secure }) => {
    const stream = await openWebSocket(shared(secure));
    stream.end();
    await closed(stream, () => stream.close(NGHTTP2_CANCEL));
  },
  'WebSocket over HTTP/2, left': async ({ secure }) => {
    const session = connect(secure);
    const stream = await openWebSocket(session);
    stream.on('error', () => {});
    session.destroy();
  },
};

export function endHttp2(): void {
  kept?.destroy();
  kept = null;
}
