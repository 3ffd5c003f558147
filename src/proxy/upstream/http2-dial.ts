// One request that waits for an HTTP/2 connection to stand, or for one of HTTP/1.1 in its place where the target chooses that.

import type { FailureCode } from '../../model/failures.ts';
import type { ProxyProtocolOut } from '../../model/pool-config.ts';
import type { Http2Connection } from './http2-connection.ts';
import { Http2Stream } from './http2-stream.ts';
import type { Target } from './target.ts';
import type { UpstreamConnection } from './upstream-connection.ts';
import type { DialUser, StreamDial, StreamUser, UpstreamStream } from './upstream-stream.ts';

export class Http2Dial implements StreamDial, DialUser<UpstreamConnection> {
  readonly reused = false;
  readonly #on: Http2Connection;
  /** Until the connection stands. */
  #dialler: DialUser<StreamDial> | null;
  /** In its place, where the target chose HTTP/1.1. */
  #http1: UpstreamConnection | null = null;

  constructor(on: Http2Connection, dialler: DialUser<StreamDial>) {
    this.#on = on;
    this.#dialler = dialler;
  }

  get target(): Target {
    return this.#on.target;
  }

  get speaks(): 'http1' | 'http2' {
    return this.#http1 === null ? 'http2' : 'http1';
  }

  get connected(): boolean {
    return this.#http1?.connected ?? this.#on.connected;
  }

  get reached(): boolean {
    return this.#http1?.reached ?? this.#on.reached;
  }

  get connectMs(): number {
    return this.#http1?.connectMs ?? this.#on.connectMs;
  }

  /** Somebody waits for the connection. */
  get isAwaited(): boolean {
    return this.#dialler !== null;
  }

  onConnected(): void {
    const dialler = this.#dialler;
    this.#dialler = null;
    dialler?.onUpstreamConnected(this);
  }

  onConnectFailed(code: FailureCode): void {
    const dialler = this.#dialler;
    this.#dialler = null;
    dialler?.onUpstreamConnectFailed(this, code);
  }

  /** Its request goes over a connection of HTTP/1.1 that stands. */
  onHttp1(connection: UpstreamConnection): void {
    this.#http1 = connection;
    this.onConnected();
  }

  /** Its request waits for a connection of HTTP/1.1. */
  awaitHttp1(connection: UpstreamConnection): void {
    this.#http1 = connection;
    if (connection.connected) this.onConnected();
  }

  onUpstreamConnected(): void {
    this.onConnected();
  }

  onUpstreamConnectFailed(_connection: UpstreamConnection, code: FailureCode): void {
    this.onConnectFailed(code);
  }

  proxyHeader(rules: ProxyProtocolOut): Buffer {
    return this.#dialler!.proxyHeader(rules);
  }

  /** The connection is kept in any case: it is for all requests. */
  keepWhenConnected(): void {
    this.#dialler = null;
    if (this.#http1 !== null) return this.#http1.keepWhenConnected();
    this.#on.forget(this, true);
  }

  open(user: StreamUser): UpstreamStream {
    return this.#http1 === null ? new Http2Stream(this.#on).open(user) : this.#http1.open(user);
  }

  close(): void {
    this.#dialler = null;
    if (this.#http1 !== null) return this.#http1.close();
    this.#on.forget(this, false);
  }
}
