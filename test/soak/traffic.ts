// The clients of a soak run: each kind does one small job again and again and checks what came of it.

import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { BIG_BYTES } from './targets.ts';
import { endHttp2, HTTP2_JOBS } from './traffic-http2.ts';

const LIMIT_MS = 30_000;

export interface Ports {
  readonly web: number;
  readonly secure: number;
  readonly tunnel: number;
}

/** One job from its beginning to its end. Rejects when what came was wrong. */
export type Job = (ports: Ports, random: () => number) => Promise<void>;

const kept = new http.Agent({ keepAlive: true, maxSockets: 16 });
const keptSecure = new https.Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false });

const HTTP1_JOBS: Readonly<Record<string, Job>> = {
  'keep-alive': async ({ web }) => expectBody(await ask({ port: web, agent: kept }), 2),
  'new connection': async ({ web }) => expectBody(await ask({ port: web, agent: false }), 2),
  'TLS keep-alive': async ({ secure }) =>
    expectBody(await ask({ port: secure, agent: keptSecure }, [], https), 2),
  'TLS new connection': async ({ secure }) =>
    expectBody(await ask({ port: secure, agent: false, rejectUnauthorized: false }, [], https), 2),
  'chunked upload': async ({ web }, random) => {
    const chunks = Array.from({ length: 1 + Math.floor(random() * 8) }, () =>
      Buffer.alloc(Math.ceil(random() * 16_384), 'u'),
    );
    const { body } = await ask({ port: web, agent: kept, method: 'PUT', path: '/count' }, chunks);
    const sent = chunks.reduce((sum, { length }) => sum + length, 0);
    if (body.toString() !== String(sent))
      throw new Error(`${body.toString()} arrived in place of the number of bytes`);
  },
  'big answer': async ({ web }) => expectBody(await ask({ port: web, agent: kept, path: '/big' }), BIG_BYTES),
  'slow reader': async ({ web }) => {
    const socket = await open(web);
    socket.write('GET /big HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n');
    let bytes = 0;
    for await (const chunk of socket) {
      bytes += (chunk as Buffer).length;
      await sleep(20);
    }
    if (bytes < BIG_BYTES) throw new Error(`${bytes} of ${BIG_BYTES} bytes`);
  },
  'slow writer': async ({ web }) => {
    const socket = await open(web);
    for (const part of ['GET / HT', 'TP/1.1\r\nHo', 'st: soak\r\nConnection: close\r\n', '\r\n']) {
      socket.write(part);
      await sleep(150);
    }
    const text = (await socket.toArray()).join('');
    if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(text.slice(0, 40));
  },
  'abort within a request': async ({ web }) => {
    const socket = await open(web);
    socket.write('PUT /count HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\nonly this');
    await sleep(30);
    socket.resetAndDestroy();
  },
  'abort within an answer': async ({ web }) => {
    const socket = await open(web);
    socket.write('GET /big HTTP/1.1\r\nHost: soak\r\n\r\n');
    await once(socket, 'readable');
    socket.resetAndDestroy();
  },
  nonsense: async ({ web }) => {
    const socket = await open(web);
    socket.write('GET / HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked, gzip\r\n\r\n');
    const text = (await socket.toArray()).join('');
    if (!text.startsWith('HTTP/1.1 400 ')) throw new Error(text.slice(0, 40));
  },
  WebSocket: async ({ web }) => {
    const socket = new WebSocket(`ws://127.0.0.1:${web}/`, { handshakeTimeout: LIMIT_MS });
    const failed = new Promise<never>((_, reject) => socket.once('error', reject));
    await Promise.race([once(socket, 'open'), failed]);
    for (let message = 0; message < 5; message += 1) {
      socket.send(`message ${message}`);
      const [data] = (await Promise.race([once(socket, 'message'), failed])) as [Buffer];
      if (data.toString() !== `message ${message}`) throw new Error(`echo of another message: ${data}`);
    }
    socket.close(1000);
    await once(socket, 'close');
  },
  'tcp tunnel': async ({ tunnel }, random) => {
    const socket = await open(tunnel);
    const bytes = Buffer.alloc(Math.ceil(random() * 200_000), 't');
    socket.end(bytes);
    const got = Buffer.concat((await socket.toArray()) as Buffer[]);
    if (!got.equals(bytes)) throw new Error(`${got.length} of ${bytes.length} bytes came back`);
  },
  'tcp tunnel, reset': async ({ tunnel }) => {
    const socket = await open(tunnel);
    socket.write('some bytes');
    await once(socket, 'data');
    socket.resetAndDestroy();
  },
};

/** What a client may do to a proxy, by name; every one gets an equal share of the rate. */
export const JOBS: Readonly<Record<string, Job>> = { ...HTTP1_JOBS, ...HTTP2_JOBS };

export interface Outcome {
  done: number;
  failed: number;
  /** Text of the failures, each counted. */
  readonly failures: Map<string, number>;
}

/** Runs every kind of job at the rate, until it is told to stop. */
export class Traffic {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  #stopping = false;
  readonly #running: Promise<unknown>;

  /** @param perSecond jobs of all kinds together */
  constructor(ports: Ports, perSecond: number, random: () => number) {
    const names = Object.keys(JOBS);
    this.outcomes = new Map(names.map((name) => [name, { done: 0, failed: 0, failures: new Map() }]));
    const pauseMs = (1000 * names.length) / perSecond;
    this.#running = Promise.all(names.map((name) => this.#repeat(name, ports, pauseMs, random)));
  }

  get done(): number {
    return this.outcomes.values().reduce((sum, { done }) => sum + done, 0);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    kept.destroy();
    keptSecure.destroy();
    endHttp2();
  }

  /** Jobs begin at their times whether or not those before have ended: what is slow piles up and shows. */
  async #repeat(name: string, ports: Ports, pauseMs: number, random: () => number): Promise<void> {
    const outcome = this.outcomes.get(name)!;
    const open = new Set<Promise<void>>();
    while (!this.#stopping) {
      await sleep(pauseMs * (0.5 + random()));
      const job = JOBS[name]!(ports, random).then(
        () => {
          outcome.done += 1;
        },
        (error: NodeJS.ErrnoException) => {
          outcome.failed += 1;
          const text = (error.code ?? error.message).split('\n')[0]!.trim();
          outcome.failures.set(text, (outcome.failures.get(text) ?? 0) + 1);
        },
      );
      open.add(job);
      void job.then(() => open.delete(job));
    }
    await Promise.all(open);
  }
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

async function ask(
  options: http.RequestOptions & { readonly rejectUnauthorized?: boolean },
  chunks: readonly Buffer[] = [],
  over: Pick<typeof http, 'request'> = http,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = over.request({ host: '127.0.0.1', path: '/', ...options }, (response) => {
    const parts: Buffer[] = [];
    response.on('data', (part: Buffer) => parts.push(part));
    response.once('error', reject);
    response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
  });
  request.setTimeout(LIMIT_MS, () => request.destroy(new Error('no answer in time')));
  request.once('error', reject);
  for (const chunk of chunks) request.write(chunk);
  request.end();
  return await promise;
}

function expectBody({ status, body }: Answer, bytes: number): void {
  if (status !== 200) throw new Error(`status ${status}`);
  if (body.length !== bytes) throw new Error(`${body.length} of ${bytes} bytes`);
}

async function open(port: number): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: false });
  socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('silent for too long')));
  // Whoever reads from it is told; a write to a connection that was closed is nobody's to catch.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}
