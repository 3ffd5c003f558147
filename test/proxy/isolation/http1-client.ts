// A client of HTTP/1.1 that pipelines, sends in parts, leaves when it likes, and may become a WebSocket.

import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { type Body, bodyOf, type Http1Handler, Http1Reader } from './http1-reader.ts';
import {
  type Exchange,
  type Fields,
  hasContent,
  type Ledger,
  type Method,
  pathOf,
  SWITCHED,
  TAG,
} from './ledger.ts';
import { RawEnd } from './raw-end.ts';
import type { Action, Client, Size } from './step.ts';
import { tagged } from './tags.ts';

const PIPELINED = 4;
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export class Http1Client extends RawEnd implements Client, Http1Handler {
  readonly #ledger: Ledger;
  readonly #reader = new Http1Reader(this);
  readonly #outstanding: Exchange[] = [];
  /** The request whose content is not complete. */
  #sending: Exchange | null = null;
  /** Of a content whose length was said; null for chunks. */
  #length: number | null = null;
  /** The last whose answer looks complete: the content was, and the rest of its frame may not come. */
  #before: Exchange | null = null;
  #saidClose = false;
  #tunnel: Exchange | null = null;

  constructor(socket: Socket, raw: Socket, name: string, ledger: Ledger) {
    super(socket, name, raw);
    this.#ledger = ledger;
  }

  get actions(): readonly Action[] {
    if (this.over) return [];
    const actions: Action[] = [
      ['reset', this.#outstanding.length > 0 ? 3 : 1, () => this.#leave(true)],
      ['close', 1, () => this.#leave(false)],
      ['pause', 1, () => this.socket.pause()],
      ['resume', 2, () => this.socket.resume()],
    ];
    if (this.finished) return actions;
    const mayBegin = this.#sending === null && this.#tunnel === null && !this.#saidClose;
    if (mayBegin && this.#outstanding.length < PIPELINED) {
      actions.push(['request', 8, (size) => this.#request(size)]);
      if (this.#outstanding.length === 0) actions.push(['websocket', 1, (size) => this.#upgrade(size)]);
    }
    if (this.#sending !== null || this.#tunnel !== null)
      actions.push(['content', 6, (size) => this.#content(size)]);
    if (this.#sending !== null) actions.push(['end', 4, () => this.#end()]);
    if (this.#tunnel !== null) actions.push(['end tunnel', 1, () => this.#finish()]);
    else if (this.#sending === null && this.#outstanding.length > 0)
      actions.push(['half close', 1, () => this.#finish()]);
    return actions;
  }

  /** Says all that is left to say, and reads. */
  conclude(): void {
    if (this.over) return;
    this.socket.resume();
    if (this.#sending !== null) this.#end();
    if (this.#tunnel !== null) this.#finish();
    this.write(1);
  }

  #request({ kind, pool, bytes }: Size): void {
    const method = (['GET', 'GET', 'POST', 'PUT', 'HEAD', 'POST'] as const)[kind % 6]!;
    const exchange = this.#begin(method, pool);
    const withContent = method === 'POST' || method === 'PUT';
    this.#length = withContent && kind % 2 === 0 ? bytes : null;
    this.#saidClose = kind % 16 === 15;
    this.queue(
      `${method} ${pathOf(exchange)} HTTP/1.1\r\nHost: a\r\n${TAG}: ${exchange.tag}\r\n` +
        (this.#saidClose ? 'Connection: close\r\n' : '') +
        (withContent
          ? this.#length === null
            ? 'Transfer-Encoding: chunked\r\n'
            : `Content-Length: ${bytes}\r\n`
          : '') +
        '\r\n',
    );
    if (withContent && this.#length !== 0) this.#sending = exchange;
    else exchange.requestEnded = true;
  }

  #upgrade({ pool }: Size): void {
    const exchange = this.#begin('CONNECT', pool);
    exchange.requestEnded = true;
    this.#saidClose = true;
    this.queue(
      `GET ${pathOf(exchange)} HTTP/1.1\r\nHost: a\r\n${TAG}: ${exchange.tag}\r\nConnection: upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`,
    );
  }

  #begin(method: Method, pool: number): Exchange {
    const exchange = this.#ledger.begin(method, pool, this.name);
    this.#ledger.tell(`${this.name} asks for ${pathOf(exchange)}: ${method}`);
    this.#outstanding.push(exchange);
    return exchange;
  }

  #content({ bytes }: Size): void {
    const exchange = (this.#sending ?? this.#tunnel)!;
    const most = this.#length === null || this.#tunnel !== null ? bytes : this.#length - exchange.sent;
    const length = Math.min(bytes, most);
    if (length === 0) return;
    const content = tagged(exchange.tag, exchange.sent, exchange.sent + length);
    exchange.sent += length;
    const isChunk = this.#sending !== null && this.#length === null;
    if (isChunk) this.queue(`${length.toString(16)}\r\n`);
    this.queue(content);
    if (isChunk) this.queue('\r\n');
    if (this.#sending !== null && exchange.sent === this.#length) this.#complete(exchange);
  }

  #end(): void {
    const exchange = this.#sending!;
    if (this.#length !== null) {
      this.queue(tagged(exchange.tag, exchange.sent, this.#length));
      exchange.sent = this.#length;
    } else this.queue('0\r\n\r\n');
    this.#complete(exchange);
  }

  #complete(exchange: Exchange): void {
    exchange.requestEnded = true;
    this.#sending = null;
  }

  #finish(): void {
    this.#ledger.tell(`${this.name} ends its side`);
    for (const exchange of this.#outstanding) exchange.excuse ??= 'its client ended its side';
    for (const exchange of this.#outstanding) if (exchange.method === 'CONNECT') exchange.requestEnded = true;
    this.finish();
  }

  #leave(reset: boolean): void {
    this.#ledger.tell(`${this.name} leaves`);
    for (const exchange of this.#outstanding) this.#ledger.abandon(exchange);
    this.destroy(reset);
  }

  leave(): void {
    if (!this.over) this.#leave(false);
  }

  protected onBytes(bytes: Buffer): void {
    this.#reader.read(bytes);
  }

  onHead(first: string, fields: Fields): Body {
    const exchange = this.#outstanding[0];
    assert.ok(exchange !== undefined, `${this.name} got an answer to nothing: ${first}`);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
    if (status === SWITCHED) return this.#onSwitch(exchange, status, fields);
    if (status < 200) {
      this.#ledger.onInterim(exchange, fields);
      return 'none';
    }
    this.#ledger.onHead(exchange, status, fields);
    if (fields.get('connection') === 'close') this.#onLast('the answer before said close');
    return hasContent(exchange.method, status) ? bodyOf(fields) : 0;
  }

  #onSwitch(exchange: Exchange, status: number, fields: Fields): Body {
    this.#ledger.onHead(exchange, status, fields);
    exchange.requestEnded = this.finished;
    this.#tunnel = exchange;
    return 'rest';
  }

  /** What was asked after this is not answered. */
  #onLast(why: string): void {
    this.#saidClose = true;
    for (const exchange of this.#outstanding.slice(1)) exchange.excuse ??= why;
  }

  onContent(bytes: Buffer): void {
    this.#ledger.onBody(this.#outstanding[0]!, bytes);
  }

  onMessageEnd(trailers: Fields): void {
    const exchange = this.#outstanding.shift()!;
    this.#before = exchange;
    this.#ledger.onEnd(exchange, trailers);
    // An answer to a request that is not complete may be the connection's last.
    if (exchange.requestEnded) return;
    for (const other of this.#outstanding) other.excuse ??= 'the request before was answered early';
  }

  protected onOver(): void {
    const [first, ...others] = this.#outstanding;
    if (first !== undefined) first.excuse ??= this.#before?.excuse ?? null;
    if (first !== undefined && this.#reader.readsRest && first.answer?.ended === true)
      this.#ledger.onEnd(first, new Map());
    else if (first !== undefined) this.#ledger.onCut(first, 'the connection ended');
    for (const exchange of others) {
      exchange.excuse ??= 'the one before it was cut';
      this.#ledger.onCut(exchange, 'the connection ended before its turn');
    }
  }
}
