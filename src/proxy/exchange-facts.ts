// What is known of one exchange when it ends: the record of it is made from this and nothing else.

import type { RequestHead } from '../http1/request-head.ts';
import type { FailureCode } from '../model/failures.ts';
import { ClientText } from '../telemetry/client-text.ts';
import { RequestView } from './http/request-view.ts';
import { createRouteMatch } from './router/router.ts';
import type { Pool } from './upstream/pool.ts';
import type { Target } from './upstream/target.ts';

/** Reused for every request of a client connection. Times are on the worker's monotonic clock, milliseconds. */
export class ExchangeFacts {
  /** First byte of the request. */
  startedAtMs = 0;
  /** End of its head. */
  headAtMs = 0;
  /** Head of the answer; 0 when there was none. */
  firstByteAtMs = 0;
  status = 0;
  attempts = 0;
  connectMs = 0;
  reused = false;
  failure: FailureCode | null = null;
  pool: Pool | null = null;
  target: Target | null = null;
  requestId = '';
  /** Of bodies, without framing. */
  bytesIn = 0;
  bytesOut = 0;
  /** For the access log, from the second line on. */
  clientText: ClientText | null = null;
  #hasLine = false;
  readonly view: RequestView;
  readonly match = createRouteMatch();

  constructor(clientAddress: string) {
    this.view = new RequestView(clientAddress);
  }

  /** A line has been logged of it. */
  onLine(): void {
    if (this.#hasLine) this.clientText ??= new ClientText();
    this.#hasLine = true;
  }

  reset(head: RequestHead, startedAtMs: number, headAtMs: number): void {
    this.startedAtMs = startedAtMs;
    this.headAtMs = headAtMs;
    this.firstByteAtMs = 0;
    this.status = 0;
    this.attempts = 0;
    this.connectMs = 0;
    this.reused = false;
    this.failure = null;
    this.pool = null;
    this.target = null;
    this.bytesIn = 0;
    this.bytesOut = 0;
    this.match.rule = null;
    this.view.set(head, head.path);
  }
}
