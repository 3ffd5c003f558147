// A request of an HTTP/2 connection that has become a tunnel: its stream as the client's side (RFC 8441).

import type { RequestHead } from '../http1/request-head.ts';
import type { FailureCode } from '../model/failures.ts';
import type { ExchangeContext } from './exchange-context.ts';
import type { Http2Request } from './http2-request.ts';
import { TUNNEL_FAILURES, Tunnel, type TunnelLimits, type TunnelSide } from './tunnel.ts';
import type { UpstreamSide } from './upstream/upstream-stream.ts';
import type { SendQueue } from './wire/send-queue.ts';
import type { WireOwner } from './wire/wire.ts';

/** What the tunnel needs of its request. */
export interface TunnelledRequest {
  /** The client, or its connection, takes less than it is sent. */
  readonly congested: boolean;
  /** Bytes of the client whose window is not open again. */
  readonly unconsumed: number;
  consume(bytes: number): void;
  /** Everything is said: the stream ends when it is sent, and what still comes is not waited for. */
  finish(): void;
  /** Both directions end now. */
  cancel(): void;
  /** The tunnel is over; `bytesIn` came from the client. */
  onTunnelDone(bytesIn: number, bytesOut: number, failure: FailureCode | null): void;
}

/** A tunnel gives its side back when it is over; here nothing is left to be done with it. */
const CLOSED: WireOwner = {
  onBytes: () => {},
  onEnd: () => {},
  onDrain: () => {},
  onClose: () => {},
};

export class RequestTunnel implements TunnelSide {
  /** Who gets what comes from the client. */
  owner: WireOwner = CLOSED;
  readonly #request: TunnelledRequest;
  readonly #queue: SendQueue<RequestHead, Http2Request>;
  readonly #tunnel: Tunnel;
  #paused = false;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(
    request: TunnelledRequest,
    queue: SendQueue<RequestHead, Http2Request>,
    upstream: UpstreamSide,
    limits: TunnelLimits,
    { deadlines, now }: Pick<ExchangeContext, 'deadlines' | 'now'>,
  ) {
    this.#request = request;
    this.#queue = queue;
    this.#tunnel = new Tunnel(this, CLOSED, upstream, limits, deadlines, now, (result) =>
      request.onTunnelDone(this.#bytesIn, this.#bytesOut, TUNNEL_FAILURES[result]),
    );
  }

  /** The first bytes that came through it from the target. */
  onUpstreamBytes(buffer: Buffer, length: number): void {
    this.#tunnel.onUpstreamBytes(buffer, length);
  }

  onClientBytes(buffer: Buffer, length: number): void {
    this.#bytesIn += length;
    this.owner.onBytes(buffer, length);
    if (!this.#paused) this.#request.consume(length);
  }

  drain(deadlineMs: number, random: () => number): void {
    this.#tunnel.drain(deadlineMs, random);
  }

  shutdown(): void {
    this.#tunnel.shutdown();
  }

  // As the tunnel sees it --------------------------------------------------------------------------------------------

  get congested(): boolean {
    return this.#request.congested;
  }

  /** Its connection is read whatever its streams do, and tells of its end. */
  get hasPeer(): boolean {
    return true;
  }

  bytes(buffer: Buffer, start: number, end: number): void {
    this.#bytesOut += end - start;
    this.#queue.data(buffer, start, end, false);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#request.consume(this.#request.unconsumed);
  }

  end(): void {
    this.#queue.end('');
  }

  /** Our end is sent; what still comes is not waited for. */
  endAndLinger(): void {
    this.end();
    this.#request.finish();
  }

  destroyWhenSent(): void {
    this.#request.finish();
  }

  destroy(): void {
    this.#request.cancel();
  }

  /** A reset of the other side's connection is CANCEL here (RFC 8441, section 5). */
  reset(): void {
    this.#request.cancel();
  }
}
