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
  fields: string[];
}

const KNOWN = new Set(http.METHODS);
const MAX_HEADER_BYTES = 65_536;

/** Reads what Portico sends with Node's parser in its strict mode. */
export class IndependentReader {
  readonly #server: http.Server;
  #onRequest: (request: SeenRequest, answer: http.ServerResponse) => void = () => {};
  #onRefusal: (error: Error) => void = () => {};

  constructor() {
    this.#server = http.createServer(
      {
        insecureHTTPParser: false,
        maxHeaderSize: MAX_HEADER_BYTES,
        requireHostHeader: true,
        joinDuplicateHeaders: false,
      },
      (request, response) => void this.#collect(request, response),
    );
    this.#server.maxHeadersCount = 0;
    this.#server.on('clientError', (error: Error, socket: Duplex) => {
      this.#onRefusal(error);
      socket.destroy();
    });
  }

  async #collect(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let body = '';
    request.setEncoding('latin1');
    try {
      for await (const piece of request) body += piece;
    } catch (error) {
      // An unfinished body: the caller waits for what comes behind it and gets this instead.
      this.#onRefusal(error as Error);
      return;
    }
    const { method = '', url = '', rawTrailers, rawHeaders } = request;
    let trailers = '';
    for (let i = 0; i < rawTrailers.length; i += 2)
      trailers += `${rawTrailers[i]}: ${rawTrailers[i + 1]}\r\n`;
    this.#onRequest({ method, url, body, trailers, fields: rawHeaders }, response);
  }

  /** Rejects unless llhttp sees exactly the complete request, and the next one where it ends. */
  async checkRequest(request: ForwardedRequest): Promise<void> {
    if (!request.complete) return;
    // llhttp knows a fixed list of methods; what it thinks of framing does not depend on the name.
    const method = KNOWN.has(request.method) ? request.method : 'POST';
    const text = method + request.text.slice(request.method.length);
    const [near, far] = duplexPair();
    const seen: SeenRequest[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        this.#onRefusal = reject;
        this.#onRequest = (one, answer) => {
          seen.push(one);
          answer.end();
          if (one.url === '/sentinel') resolve();
        };
        near.on('close', () => reject(new Error('closed before the next request')));
        near.resume();
        this.#server.emit('connection', far);
        near.write(text + SENTINEL, 'latin1');
      });
    } catch (error) {
      assert.fail(`llhttp refuses what is sent upstream: ${String(error)}\n${JSON.stringify(text)}`);
    } finally {
      near.destroy();
      far.destroy();
    }
    assert.deepEqual(
      seen.map(({ url }) => url),
      [request.target, '/sentinel'],
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
    try {
      await new Promise<void>((resolve, reject) => {
        const request = http.request({
          method: response.method,
          path: '/',
          agent: false,
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
