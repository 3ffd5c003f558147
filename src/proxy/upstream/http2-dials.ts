// Those who wait for one HTTP/2 connection to a target, and what each of them gets when it stands, fails, or speaks HTTP/1.1.

import type { ClientConnection } from '../../http2/client-connection.ts';
import type { FailureCode } from '../../model/failures.ts';
import type { Http2Dial } from './http2-dial.ts';
import type { Http2Stream } from './http2-stream.ts';
import type { Pool } from './pool.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

export class Http2Dials {
  readonly #waiting = new Set<Http2Dial>();

  get count(): number {
    return this.#waiting.size;
  }

  add(dial: Http2Dial): void {
    this.#waiting.add(dial);
  }

  delete(dial: Http2Dial): void {
    this.#waiting.delete(dial);
  }

  /** The target has said how many streams it takes. */
  serve(codec: ClientConnection<Http2Stream>): void {
    for (const dial of this.#takeAll()) {
      if (codec.canOpen) dial.onConnected();
      else dial.onConnectFailed('connection-limit');
    }
  }

  fail(code: FailureCode): void {
    for (const dial of this.#takeAll()) dial.onConnectFailed(code);
  }

  /** One request takes this connection of HTTP/1.1, each other one gets its own. */
  fallBack(transport: UpstreamConnection, { connector }: Pool): void {
    const [first, ...others] = this.#takeAll();
    if (first === undefined) transport.release();
    else first.onHttp1(transport);
    for (const dial of others) {
      // Its request has got another connection meanwhile: the first one, perhaps.
      if (!dial.isAwaited) continue;
      const connection = connector.connectAs(transport.target, dial, 'none', transport.serverName);
      if (connection === undefined) dial.onConnectFailed('connection-limit');
      else dial.awaitHttp1(connection);
    }
  }

  #takeAll(): readonly Http2Dial[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }
}
