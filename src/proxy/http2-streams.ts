// The streams of one downstream HTTP/2 connection: a request for each, reused for the next.

import type { RequestHead } from '../http1/request-head.ts';
import type { ConnectionFailure, MessageFailure } from '../http2/failures.ts';
import type { ConnectionHandler } from '../http2/handler.ts';
import type { FailureCode } from '../model/failures.ts';
import type { ExchangeContext } from './exchange-context.ts';
import type { Http2Client } from './http2-client.ts';
import { Http2Request, type RequestStream } from './http2-request.ts';
import { Roster } from './roster.ts';

/** Requests that are kept for the next streams of the connection: as many as it usually has open, and fewer while it waits. */
const KEPT_REQUESTS = 64;
const KEPT_IDLE = 8;

/** What the streams tell their session. */
export interface StreamsOwner {
  /** A request begins, refused ones too. */
  onRequest(): void;
  /** The last request that was open is over. */
  onLastRequestClosed(): void;
  /** The client will begin no request any more. */
  onGoaway(): void;
  onFailure(failure: ConnectionFailure): void;
}

export class Http2Streams implements ConnectionHandler<RequestHead, Http2Request> {
  readonly #owner: StreamsOwner;
  readonly #client: Http2Client;
  readonly #context: ExchangeContext;
  readonly #free: Http2Request[] = [];
  readonly #open = new Roster<Http2Request>();

  constructor(owner: StreamsOwner, client: Http2Client, context: ExchangeContext) {
    this.#owner = owner;
    this.#client = client;
    this.#context = context;
  }

  get count(): number {
    return this.#open.size;
  }

  onHead(stream: RequestStream): void {
    this.#owner.onRequest();
    this.#take(stream).begin(stream);
  }

  onData(stream: RequestStream, buffer: Buffer, start: number, end: number): void {
    stream.owner?.onData(buffer, start, end);
  }

  onEnd(stream: RequestStream, trailers: string): void {
    stream.owner?.onEnd(trailers);
  }

  onReset(stream: RequestStream): void {
    stream.owner?.onGone();
  }

  onRefused(stream: RequestStream, reason: MessageFailure): void {
    if (stream.owner !== null) return stream.owner.onRefused(reason);
    this.#owner.onRequest();
    this.#take(stream).answerRefused(stream, reason);
  }

  onWindow(stream: RequestStream): void {
    stream.owner?.onWindow();
  }

  onGoaway(): void {
    this.#owner.onGoaway();
  }

  onSettings(): void {}

  onPong(): void {}

  onClosed(stream: RequestStream): void {
    stream.owner?.onClosed();
  }

  onFailure(failure: ConnectionFailure): void {
    this.#owner.onFailure(failure);
  }

  /** The socket takes more again. */
  onDrain(): void {
    for (const request of this.#open) request.onDrain();
  }

  /** The client has ended its side of the connection. */
  onClientEnd(): void {
    for (const request of [...this.#open]) request.onClientEnd();
  }

  /** Whatever is in progress has lost its client, and none will follow. */
  abandon(): void {
    for (const request of [...this.#open]) request.onGone();
    this.#keep(0);
  }

  drain(deadlineMs: number): void {
    for (const request of this.#open) request.drain(deadlineMs);
  }

  shutdown(code: FailureCode): void {
    for (const request of [...this.#open]) request.shutdown(code);
  }

  release(request: Http2Request, stream: RequestStream): void {
    stream.owner = null;
    this.#client.codec.release(stream);
    this.#open.delete(request);
    if (this.#free.length < KEPT_REQUESTS) this.#free.push(request);
    else request.release();
    if (this.#open.size === 0) this.#owner.onLastRequestClosed();
  }

  /** No request has come for a moment. */
  keepLittle(): void {
    this.#keep(KEPT_IDLE);
  }

  #keep(most: number): void {
    while (this.#free.length > most) this.#free.pop()!.release();
  }

  #take(stream: RequestStream): Http2Request {
    const request = this.#free.pop() ?? new Http2Request(this.#client, this.#context);
    stream.owner = request;
    this.#open.add(request);
    return request;
  }
}
