// The targets of a soak run: HTTP and WebSocket servers and a tcp echo, some of which go away and come back.

import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { WebSocketServer } from 'ws';

/** Size of the answer for `/big`, bytes. */
export const BIG_BYTES = 512 * 1024;
const BIG = Buffer.alloc(BIG_BYTES, 'b');

/** Answers `/big` with many bytes, `/count` with the number of bytes it was sent, anything else with a short text. */
export class HttpTarget {
  readonly port: number;
  #server: http.Server | null = null;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<HttpTarget> {
    const server = await listen(0);
    const target = new HttpTarget((server.address() as net.AddressInfo).port);
    target.#server = server;
    return target;
  }

  get at(): string {
    return `127.0.0.1:${this.port}`;
  }

  get up(): boolean {
    return this.#server !== null;
  }

  /** Refuses connections from now on and closes those that are idle; what is in progress ends by itself. */
  async leave(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.close();
    server?.closeIdleConnections();
    await Promise.resolve();
  }

  async comeBack(): Promise<void> {
    this.#server ??= await listen(this.port);
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }
}

async function listen(port: number): Promise<http.Server> {
  const server = http.createServer({ keepAliveTimeout: 0 }, answer);
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data));
    socket.on('error', () => {});
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  request.on('error', () => {});
  if (request.url === '/count') {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.once('end', () => response.end(String(bytes)));
    return;
  }
  request.resume();
  response.end(request.url === '/big' ? BIG : 'ok');
}

async function listening(server: net.Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

const addressOf = (server: net.Server): string => `127.0.0.1:${(server.address() as net.AddressInfo).port}`;

/** Answers as `HttpTarget` does, over HTTP/2 without TLS. */
export class Http2Target {
  readonly #server = http2.createServer((request, response) => {
    request.on('error', () => {});
    response.on('error', () => {});
    request.resume();
    if (request.url.endsWith('/big')) response.end(BIG);
    else request.once('end', () => response.end('ok'));
  });
  readonly #sessions = new Set<http2.ServerHttp2Session>();

  static async start(): Promise<Http2Target> {
    const target = new Http2Target();
    target.#server.on('session', (session) => {
      target.#sessions.add(session);
      session.on('error', () => {});
      session.once('close', () => target.#sessions.delete(session));
    });
    await listening(target.#server);
    return target;
  }

  get at(): string {
    return addressOf(this.#server);
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const session of this.#sessions) session.destroy();
    await once(this.#server, 'close');
  }
}

/** Sends back what it gets. */
export class EchoTarget {
  readonly #server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });

  static async start(): Promise<EchoTarget> {
    const target = new EchoTarget();
    await listening(target.#server);
    return target;
  }

  get at(): string {
    return addressOf(this.#server);
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }
}
