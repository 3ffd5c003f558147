// A connection to a target of HTTP/1.1 that answers in parts, early, late or never.

import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { acceptOf } from '../../support/extended-connect.ts';
import { type Body, bodyOf, type Http1Handler, Http1Reader } from './http1-reader.ts';
import {
  type Delivery,
  type Fields,
  hasContent,
  type Ledger,
  RETRIED_STATUS,
  SWITCHED,
  TAG,
} from './ledger.ts';
import { RawEnd } from './raw-end.ts';
import type { Action, Actor, Size } from './step.ts';
import { tagged } from './tags.ts';

type Framing = 'length' | 'chunked' | 'rest' | 'tunnel';

export class Http1Target extends RawEnd implements Actor, Http1Handler {
  readonly #pool: number;
  readonly #ledger: Ledger;
  readonly #reader = new Http1Reader(this);
  /** The request that is being read. */
  #reading: Delivery | null = null;
  /** The one that is being answered. */
  #delivery: Delivery | null = null;
  #last: Delivery | null = null;
  #framing: Framing = 'length';
  #length = 0;
  #key = '';

  constructor(socket: Socket, name: string, pool: number, ledger: Ledger) {
    super(socket, name);
    this.#pool = pool;
    this.#ledger = ledger;
  }

  get actions(): readonly Action[] {
    if (this.over || this.finished) return [];
    const actions: Action[] = [['reset', 1, () => this.#lose('reset', () => this.destroy(true))]];
    const delivery = this.#delivery;
    // Where the end of the connection is that of the content, this would be a whole answer.
    const isDelimited =
      delivery === null || delivery.status === 0 || this.#framing === 'length' || this.#framing === 'chunked';
    if (isDelimited) actions.push(['close', 1, () => this.#lose('closed', () => this.destroy(false))]);
    if (delivery === null) return actions;
    const isUpgrade = delivery.exchange.method === 'CONNECT';
    if (delivery.status === 0) {
      actions.push(['interim', 1, () => this.#interim(delivery)]);
      if (isUpgrade) actions.push(['switch', 6, () => this.#switch(delivery)]);
      actions.push(['head', 8, (size) => this.#head(delivery, size)]);
    } else {
      actions.push(
        ['content', 6, (size) => this.#content(delivery, size.bytes)],
        ['end', 8, () => this.#end(delivery)],
      );
    }
    return actions;
  }

  conclude(): void {
    if (this.over || this.finished) return;
    this.socket.resume();
    const delivery = this.#delivery;
    if (delivery !== null) {
      if (delivery.status === 0) this.#head(delivery, { kind: 0, pool: 0, bytes: 10, lane: 0 });
      this.#end(delivery);
    }
    this.write(1);
  }

  #lose(why: string, act: () => void): void {
    this.#ledger.tell(`${this.name} ${why}`);
    this.#ledger.lose(this.#pool, this.#last === null ? [] : [this.#last], `its target ${why}`);
    act();
  }

  #interim({ tag }: Delivery): void {
    this.queue(`HTTP/1.1 103 Early Hints\r\n${TAG}: ${tag}\r\n\r\n`);
  }

  #switch(delivery: Delivery): void {
    delivery.status = SWITCHED;
    this.#framing = 'tunnel';
    this.#reader.readRest();
    this.queue(
      `HTTP/1.1 101 Switching Protocols\r\n${TAG}: ${delivery.tag}\r\nConnection: upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Accept: ${acceptOf(this.#key)}\r\n\r\n`,
    );
  }

  #head(delivery: Delivery, { kind, bytes }: Size): void {
    const { method } = delivery.exchange;
    const statuses = method === 'CONNECT' ? [403] : [200, 200, 200, RETRIED_STATUS, 204, 304];
    const status = statuses[kind % statuses.length]!;
    delivery.status = status;
    this.#ledger.tell(`${this.name} says ${status} as ${delivery.tag}`);
    this.#framing = (['length', 'chunked', 'length', 'rest'] as const)[(kind >> 3) % 4]!;
    this.#length = hasContent(method, status) ? bytes : 0;
    if (!hasContent(method, status)) this.#framing = 'length';
    const framing = {
      length: status === 204 ? '' : `Content-Length: ${this.#length}\r\n`,
      chunked: 'Transfer-Encoding: chunked\r\n',
      rest: 'Connection: close\r\n',
      tunnel: '',
    };
    this.queue(`HTTP/1.1 ${status} Said\r\n${TAG}: ${delivery.tag}\r\n${framing[this.#framing]}\r\n`);
    if (this.#framing === 'length' && this.#length === 0) this.#ended(delivery);
  }

  #content(delivery: Delivery, bytes: number): void {
    const length = this.#framing === 'length' ? Math.min(bytes, this.#length - delivery.sent) : bytes;
    if (length === 0) return;
    const content = tagged(delivery.tag, delivery.sent, delivery.sent + length);
    delivery.sent += length;
    if (this.#framing === 'chunked') this.queue(`${length.toString(16)}\r\n`);
    this.queue(content);
    if (this.#framing === 'chunked') this.queue('\r\n');
    if (this.#framing === 'length' && delivery.sent === this.#length) this.#ended(delivery);
  }

  #end(delivery: Delivery): void {
    if (this.#delivery !== delivery) return;
    if (this.#framing === 'length') return this.#content(delivery, this.#length);
    if (this.#framing === 'chunked') this.queue('0\r\n\r\n');
    this.#ended(delivery);
    if (this.#framing !== 'chunked') this.finish();
  }

  #ended(delivery: Delivery): void {
    this.#ledger.tell(`${this.name} ends ${delivery.tag}`);
    delivery.ended = true;
    this.#delivery = null;
  }

  protected onBytes(bytes: Buffer): void {
    this.#reader.read(bytes);
  }

  onHead(first: string, fields: Fields): Body {
    const [method, path] = first.split(' ');
    this.#key = fields.get('sec-websocket-key') ?? '';
    const isUpgrade = this.#key !== '';
    const delivery = this.#ledger.deliver(fields, isUpgrade ? 'CONNECT' : method!, path!, this.name);
    this.#reading = delivery;
    this.#delivery = delivery;
    this.#last = delivery;
    // Bytes of the tunnel come once it stands.
    if (isUpgrade) return 'none';
    const body = bodyOf(fields);
    return body === 'rest' ? 0 : body;
  }

  onContent(bytes: Buffer): void {
    this.#ledger.onRequestBody(this.#reading!, bytes, this.name);
  }

  onMessageEnd(): void {
    this.#ledger.onRequestEnd(this.#reading!, this.name);
    this.#reading = null;
  }

  /** The other direction of a tunnel goes on. */
  protected override onFin(): void {
    const isTunnel = this.#reader.readsRest && this.#delivery?.status === SWITCHED;
    if (isTunnel) this.#ledger.onRequestEnd(this.#reading!, this.name);
    else this.end();
  }

  protected onOver(): void {
    this.#delivery = null;
  }
}
