// The upstream side of an exchange: one request and its answer at a target, whatever the protocol there.

import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { FailureCode } from '../../model/failures.ts';
import type { ProxyProtocolOut } from '../../model/pool-config.ts';
import type { RequestHeadParts } from '../http/request-head.ts';
import type { Wire, WireSocket } from '../wire/wire.ts';
import type { OwnConnection } from './own-connection.ts';
import type { Target } from './target.ts';
import type { UpstreamUser } from './upstream-connection.ts';

/** A way to a target that an attempt has chosen: up already, or still being dialled. */
export interface Dial {
  readonly target: Target;
  readonly connected: boolean;
  /** The target has accepted: what is waited for is its TLS handshake, which another dial would not make faster. */
  readonly reached?: boolean;
  /** True when this use is not the connection's first: such a connection may die of its server's idle timeout. */
  readonly reused: boolean;
  readonly connectMs: number;
  /** Nobody waits for it any more: what comes of it is kept for the next request. */
  keepWhenConnected(): void;
  /** Gives it up without a word to its user. */
  close(): void;
}

/** Who waits for a dial. */
export interface DialUser<D extends Dial> {
  onUpstreamConnected(dial: D): void;
  onUpstreamConnectFailed(dial: D, code: FailureCode): void;
  /** Says to a target of such a pool for which client the connection is. */
  proxyHeader(rules: ProxyProtocolOut): Buffer;
  /** The target has a word to say before it has connected: `UpstreamConnection.stand` or `fail` tells what has come of it. */
  readonly awaitsTarget?: boolean;
}

/** Who makes attempts, and may have to wait for room. */
export interface AttemptsUser<D extends Dial> extends DialUser<D> {
  /** No connection came free in time (`Attempts.wait`). */
  onNoRoom(code: FailureCode): void;
}

/** A dial that leads to a request. */
export interface StreamDial extends Dial {
  /** Known once it is connected. */
  readonly speaks: 'http1' | 'http2';
  /** Takes a connected dial into use for one request. */
  open(user: StreamUser): UpstreamStream;
}

/** One request at its target: an HTTP/1.1 connection while it is used, or one stream of an HTTP/2 connection. */
export interface UpstreamStream {
  /** Whose path is looked at when an answer does not come. */
  readonly socket: WireSocket;
  /** The target takes less than it is sent; `StreamUser.onUpstreamDrain` tells when that is over. */
  readonly congested: boolean;
  /** The target has said that its connection takes no further request; others of the same age may follow. */
  readonly leaves: boolean;
  sendHead(head: RequestHead, parts: RequestHeadParts): void;
  /** Bytes of the body; copied. */
  sendBody(buffer: Buffer, start: number, end: number): void;
  /** The request is complete; a request without a body is complete with its head and does not call this. */
  sendEnd(trailers: string): void;
  /** The client takes no more for now. */
  pause(): void;
  resume(): void;
  /** Gives the request up: its user hears no more of it. Not called after its end or failure. */
  close(): void;
}

/** The target's side of a tunnel: a connection, or a stream of an HTTP/2 connection. */
export interface UpstreamSide {
  readonly wire: Pick<Wire, 'bytes' | 'congested' | 'pause' | 'resume' | 'end' | 'destroyWhenSent' | 'reset'>;
  /** Who gets what comes from the target from now on. */
  handOver(user: UpstreamUser): void;
  /** Ends it without telling its user. */
  close(): void;
}

/**
 * Who uses an upstream stream. Heads and buffers are valid only during the call. After `onUpstreamEnd`,
 * `onUpstreamFailure` and `onUpstreamSwitch` the stream is no longer its user's.
 */
export interface StreamUser {
  /** Who has the connection of HTTP/1.1 to itself from this request on; null leaves it to all. */
  readonly own: OwnConnection | null;
  /** A 1xx answer other than 101. */
  onUpstreamInterim(head: ResponseHead): void;
  onUpstreamHead(head: ResponseHead): void;
  onUpstreamBody(buffer: Buffer, start: number, end: number): void;
  /** `trailers` are lines with CRLF, or ''. */
  onUpstreamEnd(trailers: string): void;
  /** @param spoke the target sent something that was not a valid answer */
  onUpstreamFailure(code: FailureCode, spoke: boolean): void;
  /**
   * A 101, or what says the same in HTTP/2: `side` is a tunnel from here on, `buffer[start, end)` its first bytes.
   */
  onUpstreamSwitch(side: UpstreamSide, head: ResponseHead, buffer: Buffer, start: number, end: number): void;
  onUpstreamDrain(): void;
}
