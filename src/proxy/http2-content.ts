// The content of one request of an HTTP/2 connection: its exchange takes it, or it waits with its window shut.

import type { Exchange } from './exchange.ts';
import type { TunnelledRequest } from './http2-request-tunnel.ts';

/** Reused with its request. */
export class Http2Content {
  readonly #exchange: Exchange;
  readonly #request: Pick<TunnelledRequest, 'consume'>;
  /** What came while the target could not take it; its window opens when it has. */
  #held: Buffer | null = null;
  #feeding = false;
  #isHandshake = false;
  #ended = false;
  #trailers = '';

  /** @param request opens the window again for bytes that are taken */
  constructor(exchange: Exchange, request: Pick<TunnelledRequest, 'consume'>) {
    this.#exchange = exchange;
    this.#request = request;
  }

  /** @param isHandshake what comes is not content, and waits for the tunnel that it is for */
  begin(isHandshake: boolean): void {
    this.#held = null;
    this.#isHandshake = isHandshake;
    this.#ended = false;
    this.#trailers = '';
  }

  /** The client has sent all of it. */
  get ended(): boolean {
    return this.#ended;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (!this.#exchange.active) {
      // The answer came first: what is left is dropped.
      this.#request.consume(end - start);
    } else if (this.#mustHold()) {
      const bytes = Buffer.from(buffer.subarray(start, end));
      this.#held = this.#held === null ? bytes : Buffer.concat([this.#held, bytes]);
    } else {
      this.#exchange.onRequestBody(buffer, start, end);
      this.#request.consume(end - start);
    }
  }

  #mustHold(): boolean {
    return this.#held !== null || this.#isHandshake || !this.#exchange.wantsBody;
  }

  onEnd(trailers: string): void {
    this.#ended = true;
    this.#trailers = trailers;
    if (this.#held === null && this.#exchange.active) this.#exchange.onRequestEnd(trailers);
  }

  /** Goes on with what had to wait, if its exchange wants it now. */
  resume(): void {
    const held = this.#held;
    if (held === null || this.#feeding || this.#isHandshake || !this.#exchange.wantsBody) return;
    this.#feeding = true;
    this.#held = null;
    this.#exchange.onRequestBody(held, 0, held.length);
    this.#request.consume(held.length);
    this.#feeding = false;
    if (this.#ended && this.#exchange.active) this.#exchange.onRequestEnd(this.#trailers);
  }

  /** What waits, for the tunnel. */
  take(): Buffer | null {
    const held = this.#held;
    this.#held = null;
    return held;
  }

  /** Nobody wants what waits. */
  forget(): void {
    this.#held = null;
  }
}
