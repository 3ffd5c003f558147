// Clients that go on while Portico changes under them, and the server behind it; every failure is kept.

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { RawPeer } from '../support/data-plane.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n';
const ANSWER_LIMIT_MS = 20_000;

/** A client that sends one request after the other on one connection that it never opens anew. */
export class KeepAliveClient {
  /** Requests that were answered with 200. */
  answered = 0;
  /** What went wrong; empty at the end of a good run. */
  readonly failures: string[] = [];
  readonly port: number;
  readonly #peer: RawPeer;
  #running: Promise<void> | null = null;
  #stopping = false;

  private constructor(peer: RawPeer) {
    this.#peer = peer;
    this.port = peer.socket.localPort!;
  }

  static async connect(port: number): Promise<KeepAliveClient> {
    return new KeepAliveClient(await RawPeer.connect(port));
  }

  get closed(): boolean {
    return this.#peer.closed || this.#peer.ended;
  }

  /** One request; the answer's head and body. */
  async request(text = REQUEST): Promise<string> {
    const peer = this.#peer;
    peer.take();
    peer.send(text);
    await peer.until(() => complete(peer.received) || peer.ended || peer.closed, ANSWER_LIMIT_MS);
    const answer = peer.take();
    if (!answer.startsWith('HTTP/1.1 200 ')) {
      throw new Error(answer === '' ? `closed (${peer.error?.code ?? 'end'})` : answer);
    }
    this.answered += 1;
    return answer;
  }

  /** Sends requests until `stop`. */
  run(): this {
    this.#running = this.#loop();
    return this;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping) {
      try {
        const answer = await this.request();
        // Told to leave: nothing is lost by opening another connection, and this one's work is done.
        if (/^connection: close\r$/im.test(answer)) return;
      } catch (error) {
        this.failures.push((error as Error).message);
        return;
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  destroy(): void {
    this.#stopping = true;
    this.#peer.destroy();
  }
}

function complete(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n');
  const length = Number(/^content-length: (\d+)\r$/im.exec(answer)?.[1] ?? 0);
  return end !== -1 && answer.length >= end + 4 + length;
}

/** Opens a connection for each request, and another connection when it is told to leave: what a browser's pool does. */
export class ReconnectingClient {
  answered = 0;
  connections = 0;
  readonly failures: string[] = [];
  readonly #port: () => number;
  readonly #perConnection: number;
  #running: Promise<void> | null = null;
  #stopping = false;

  /** @param perConnection requests on one connection */
  constructor(port: () => number, perConnection: number) {
    this.#port = port;
    this.#perConnection = perConnection;
  }

  run(): this {
    this.#running = this.#loop();
    return this;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.#connection();
      } catch (error) {
        this.failures.push((error as Error).message);
      }
    }
  }

  async #connection(): Promise<void> {
    const client = await KeepAliveClient.connect(this.#port());
    this.connections += 1;
    try {
      for (let left = this.#perConnection; left > 0 && !this.#stopping; left -= 1) {
        const answer = await client.request();
        this.answered += 1;
        if (/^connection: close\r$/im.test(answer)) return;
      }
    } finally {
      client.destroy();
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Ends after the request in progress, without waiting for it. */
  destroy(): void {
    this.#stopping = true;
  }
}

/** An HTTP server on loopback; `/slow` waits for `release`, `/stream` sends a line whenever `tick` is called. */
export class Backend {
  requests = 0;
  readonly #name: string;
  readonly #server: http.Server;
  readonly #slow = new Set<http.ServerResponse>();
  readonly #streams = new Set<http.ServerResponse>();
  #onSlow: () => void = () => {};

  private constructor(name: string) {
    this.#name = name;
    this.#server = http.createServer({ keepAliveTimeout: 0 }, (request, response) =>
      this.#answer(request, response),
    );
  }

  static async start(name = 'ok', host = '127.0.0.1', port = 0): Promise<Backend> {
    const backend = new Backend(name);
    backend.#server.listen(port, host);
    await once(backend.#server, 'listening');
    return backend;
  }

  get at(): string {
    return `127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    this.requests += 1;
    request.resume();
    if (request.url === '/slow') {
      this.#slow.add(response);
      this.#onSlow();
    } else if (request.url === '/stream') {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write('begun\n');
      this.#streams.add(response);
    } else {
      response.end(this.#name);
    }
  }

  /** Resolves when a request for `/slow` waits. */
  async slowRequest(): Promise<void> {
    if (this.#slow.size > 0) return;
    await new Promise<void>((resolve) => {
      this.#onSlow = resolve;
    });
  }

  /** Answers every request for `/slow` that waits. */
  release(body = 'slow'): void {
    for (const response of this.#slow) response.end(body);
    this.#slow.clear();
  }

  tick(line: string): void {
    for (const response of this.#streams) response.write(`${line}\n`);
  }

  endStreams(): void {
    for (const response of this.#streams) response.end('ended\n');
    this.#streams.clear();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

/** Whether a connection is refused. */
export async function refuses(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}

/** One listener, one pool with this backend, two workers; `over` replaces top-level keys. */
export function configuration(backend: { readonly at: string }, over: object = {}): object {
  return {
    workers: 2,
    listeners: [{ name: 'web', bind: '127.0.0.1:0', protocol: 'http' }],
    pools: [{ name: 'app', sources: [{ static: [backend.at] }] }],
    routes: [{ name: 'all', hosts: ['*'], rules: [{ pools: [{ name: 'app' }] }] }],
    admin: { bind: '127.0.0.1:0' },
    log: { access: { path: 'off' } },
    ...over,
  };
}
