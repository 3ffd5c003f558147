// An independent reading: Node's own parser (llhttp) as server and as client, over streams in memory.

import assert from 'node:assert/strict';
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import type { ForwardedRequest, ForwardedResponse } from './forwarding.ts';
import { SENTINEL } from './oracles.ts';

interface SeenRequest {
  method: string;
  url: string;
  body: string;
  trailers: string;
}

const KNOWN = new Set(http.METHODS);
/** All is in memory: what takes longer waits for bytes that do not come. */
const PATIENCE_MS = 2000;
const MAX_HEADER_BYTES = 65_536;

/** Reads what Portico sends with Node's parser in its strict mode. */
export class IndependentReader {
  readonly #server: http.Server;
  #onRefusal: (error: Error) => void = () => {};

  constructor() {
    this.#server = http.createServer(
      {
        insecureHTTPParser: false,
        maxHeaderSize: MAX_HEADER_BYTES,
        requireHostHeader: true,
        joinDuplicateHeaders: false,
      },
      (request, response) => this.#collect(request, response),
    );
    this.#server.maxHeadersCount = 0;
    // A request that asks to switch: what comes behind it is no longer HTTP to Node, so the boundary is looked at here.
    this.#server.on('upgrade', ({ method = '', url = '' }, socket, behind) => {
      this.#watchers.get(socket)?.({ method, url, body: '', trailers: '' });
      const rest = behind.toString('latin1');
      if (rest === SENTINEL) {
        this.#watchers.get(socket)?.({ method: 'GET', url: '/sentinel', body: '', trailers: '' });
      } else this.#onRefusal(new Error(`the switch begins with ${JSON.stringify(rest)}`));
    });
    this.#server.on('clientError', (error: Error, socket: Duplex) => {
      this.#onRefusal(error);
      socket.destroy();
    });
  }

  /** What each connection of the server sent, by its socket. */
  readonly #watchers = new Map<Duplex, (request: SeenRequest) => void>();

  #collect(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { method = '', url = '' } = request;
    const seen: SeenRequest = { method, url, body: '', trailers: '' };
    request.setEncoding('latin1');
    request.on('data', (piece: string) => {
      seen.body += piece;
    });
    request.on('end', () => {
      const { rawTrailers } = request;
      for (let i = 0; i < rawTrailers.length; i += 2) {
        seen.trailers += `${rawTrailers[i]}: ${rawTrailers[i + 1]}\r\n`;
      }
      this.#watchers.get(request.socket)?.(seen);
      response.end();
    });
  }

  /** Rejects unless llhttp sees exactly the complete request, and the next one where it ends. */
  async checkRequest(request: ForwardedRequest): Promise<void> {
    if (!request.complete) return;
    // llhttp knows a fixed list of methods; what it thinks of framing does not depend on the name.
    const method = KNOWN.has(request.method) ? request.method : 'POST';
    const text = method + request.text.slice(request.method.length);
    const [near, far] = duplexPair();
    const seen: SeenRequest[] = [];
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error('waits for more')), PATIENCE_MS);
        this.#onRefusal = reject;
        this.#watchers.set(far, (one) => {
          seen.push(one);
          if (seen.length === 2) resolve();
        });
        near.on('close', () => reject(new Error('closed before the next request')));
        near.resume();
        this.#server.emit('connection', far);
        near.write(text + SENTINEL, 'latin1');
      });
    } catch (error) {
      assert.fail(`llhttp refuses what is sent upstream: ${String(error)}\n${JSON.stringify(text)}`);
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(far);
      near.destroy();
      far.destroy();
    }
    assert.deepEqual(
      seen.map(({ url }) => url),
      [request.target, '/sentinel'],
      'llhttp sees the same two requests',
    );
    const [first] = seen;
    assert.equal(first!.method, method);
    assert.equal(first!.body, request.body);
    assert.equal(first!.trailers, request.trailers.replace(/:[ \t]+/g, ': '));
  }

  /** Rejects unless llhttp reads the response as we meant it. */
  async checkResponse(response: ForwardedResponse): Promise<void> {
    if (response.framing === 'interim' || response.status === 101 || !response.complete) return;
    const [near, far] = duplexPair();
    const untilClose = response.framing === 'until-close';
    let seen: http.IncomingMessage | null = null;
    let body = '';
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error('waits for more')), PATIENCE_MS);
        const request = http.request({
          method: response.method,
          path: '/',
          createConnection: () => near,
          insecureHTTPParser: false,
          maxHeaderSize: MAX_HEADER_BYTES,
        });
        request.on('error', reject);
        request.on('response', (answer) => {
          seen = answer;
          answer.setEncoding('latin1');
          answer.on('data', (piece: string) => {
            body += piece;
          });
          answer.on('end', resolve);
          answer.on('error', reject);
        });
        request.end();
        far.resume();
        far.write(response.text, 'latin1');
        if (untilClose) far.end();
      });
    } catch (error) {
      assert.fail(
        `llhttp refuses what is sent to a client: ${String(error)}\n${JSON.stringify(response.text)}`,
      );
    } finally {
      clearTimeout(timer);
      near.destroy();
      far.destroy();
    }
    const message = seen as unknown as http.IncomingMessage;
    assert.equal(message.statusCode, response.status);
    assert.equal(message.complete, true);
    assert.equal(body, response.body);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
