// Targets of a brown-out: HTTP servers that can be told to be slow or to fail a share of their requests.

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export type Mood = 'sound' | 'slow' | 'failing';

/** What a sound target takes for an answer, milliseconds; a slow one takes `SLOW_MS`. */
const SOUND_MS = 5;
const SLOW_MS = 2000;
/** Share of requests that a failing target answers with 503. */
const FAILING = 0.3;

export class BrownTarget {
  mood: Mood = 'sound';
  requests = 0;
  readonly #server = http.createServer({ keepAliveTimeout: 0 }, (_request, response) => {
    this.requests += 1;
    const { mood } = this;
    setTimeout(
      () => {
        response.statusCode = mood === 'failing' && Math.random() < FAILING ? 503 : 200;
        response.end('answer');
      },
      mood === 'slow' ? SLOW_MS : SOUND_MS,
    );
  });

  static async start(): Promise<BrownTarget> {
    const target = new BrownTarget();
    target.#server.listen(0, '127.0.0.1');
    await once(target.#server, 'listening');
    return target;
  }

  get at(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
