// A client of HTTP/2 with frames by hand: many requests at once, small windows, resets at any point.

import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { ErrorCode } from '../../../src/http2/error-code.ts';
import { headers } from '../../http2/frames.ts';
import { Http2End, type Lane } from './http2-end.ts';
import { type Exchange, type Fields, type Ledger, type Method, pathOf, TAG } from './ledger.ts';
import type { Action, Client, Size } from './step.ts';
import { tagged } from './tags.ts';

const AT_ONCE = 6;

export class Http2Client extends Http2End<Exchange> implements Client {
  readonly #ledger: Ledger;
  #nextId = 1;
  #saidGoaway = false;
  /** By stream: how much content is still promised; -1 where that was not said. */
  readonly #promised = new Map<number, number>();

  /** @param window what it lets Portico send on each stream at first */
  constructor(socket: Socket, raw: Socket, name: string, ledger: Ledger, window: number) {
    super(socket, name, false, raw);
    this.#ledger = ledger;
    this.open(window);
    this.write(1);
  }

  get actions(): readonly Action[] {
    if (this.over) return [];
    const actions: Action[] = [
      ['reset', 1, () => this.#leave(true)],
      ['close', 1, () => this.#leave(false)],
      ['pause', 1, () => this.socket.pause()],
      ['resume', 2, () => this.socket.resume()],
    ];
    if (this.finished) return actions;
    if (!this.#saidGoaway && this.lanes.size < AT_ONCE) {
      actions.push(['request', 10, (size) => this.#request(size)]);
      actions.push(['websocket', 1, (size) => this.#webSocket(size)]);
    }
    const lanes = [...this.lanes.values()];
    const sending = lanes.filter((lane) => !lane.hasSentEnd);
    if (lanes.length > 0) {
      actions.push(
        [
          'window',
          6,
          ({ lane, bytes }) => this.grant(bytes + 1, lane % 3 === 0 ? undefined : at(lanes, lane)),
        ],
        ['cancel', 8, ({ lane }) => this.#cancel(at(lanes, lane))],
        ['goaway', 1, () => this.#goaway()],
        ['half close', 1, () => this.#halfClose()],
        ['ping', 1, () => this.sayPing()],
      );
    }
    if (sending.length > 0) {
      actions.push(
        ['content', 6, (size) => this.#content(at(sending, size.lane), size)],
        ['end', 6, (size) => this.#end(at(sending, size.lane), size.kind)],
      );
    }
    return actions;
  }

  conclude(): void {
    if (this.over) return;
    this.socket.resume();
    this.grantAll();
    for (const lane of this.lanes.values()) if (!lane.hasSentEnd) this.#end(lane, 0);
    this.write(1);
  }

  #request({ kind, pool, bytes }: Size): void {
    const method = (['GET', 'GET', 'POST', 'PUT', 'HEAD', 'POST'] as const)[kind % 6]!;
    const withContent = method === 'POST' || method === 'PUT';
    const lane = this.#begin(method, pool);
    const length = withContent && kind % 4 < 2 ? bytes + 1 : -1;
    this.#promised.set(lane.id, length);
    const fields = this.#fieldsOf(method, lane.of);
    if (length >= 0) fields.push(['content-length', String(length)]);
    this.queue(headers(lane.id, fields, !withContent));
    if (!withContent) this.#ended(lane);
  }

  #webSocket({ pool }: Size): void {
    const lane = this.#begin('CONNECT', pool);
    this.#promised.set(lane.id, -1);
    const more = [
      [':protocol', 'websocket'],
      ['sec-websocket-version', '13'],
    ] as const;
    this.queue(
      headers(lane.id, [...more.slice(0, 1), ...this.#fieldsOf('CONNECT', lane.of), ...more.slice(1)], false),
    );
  }

  #begin(method: Method, pool: number): Lane<Exchange> {
    const exchange = this.#ledger.begin(method, pool, this.name);
    this.#ledger.tell(`${this.name} asks for ${pathOf(exchange)}: ${method} on ${this.#nextId}`);
    const lane = this.addLane(this.#nextId, exchange);
    this.#nextId += 2;
    return lane;
  }

  #fieldsOf(method: Method, exchange: Exchange): (readonly [string, string])[] {
    return [
      [':method', method],
      [':scheme', 'http'],
      [':path', pathOf(exchange)],
      [':authority', 'a'],
      [TAG, String(exchange.tag)],
    ];
  }

  #content(lane: Lane<Exchange>, { bytes, kind }: Size): void {
    const exchange = lane.of;
    const promised = this.#promised.get(lane.id)!;
    const most = promised < 0 ? bytes : promised - exchange.sent;
    const length = Math.min(bytes, most, this.roomOf(lane));
    if (length === 0) return;
    const content = tagged(exchange.tag, exchange.sent, exchange.sent + length);
    exchange.sent += length;
    // What is as long as it was to be is complete for whoever reads no frames.
    exchange.requestEnded = exchange.sent === promised;
    this.say(lane, content, false, kind % 3 === 0);
  }

  /** As soon as the window lets it. */
  #end(lane: Lane<Exchange>, kind: number): void {
    const exchange = lane.of;
    const left = Math.max(0, this.#promised.get(lane.id)! - exchange.sent);
    const length = Math.min(left, this.roomOf(lane));
    const ended = length === left;
    const content = tagged(exchange.tag, exchange.sent, exchange.sent + length);
    exchange.sent += length;
    if (!ended && length === 0) return;
    if (ended && kind % 3 === 1 && exchange.method !== 'CONNECT') {
      if (length > 0) this.say(lane, content, false, false);
      this.queue(headers(lane.id, [[TAG, String(exchange.tag)]], true));
      this.saidEnd(lane);
    } else this.say(lane, content, ended, false);
    if (ended) this.#ended(lane);
  }

  #ended(lane: Lane<Exchange>): void {
    lane.of.requestEnded = true;
    if (!lane.hasSentEnd) this.saidEnd(lane);
  }

  #cancel(lane: Lane<Exchange>): void {
    this.#ledger.tell(`${this.name} cancels ${lane.of.tag} on ${lane.id}`);
    this.#ledger.abandon(lane.of);
    this.giveUp(lane, ErrorCode.Cancel);
  }

  #goaway(): void {
    this.#ledger.tell(`${this.name} says goodbye`);
    this.#saidGoaway = true;
    this.sayGoaway(0, ErrorCode.NoError);
  }

  #halfClose(): void {
    this.#ledger.tell(`${this.name} ends its side`);
    this.#saidGoaway = true;
    for (const lane of this.lanes.values()) lane.of.excuse ??= 'its client ended its side';
    // It can open no window any more.
    this.grantAll();
    this.finish();
  }

  #leave(reset: boolean): void {
    this.#ledger.tell(`${this.name} leaves`);
    for (const lane of this.lanes.values()) this.#ledger.abandon(lane.of);
    this.destroy(reset);
  }

  leave(): void {
    if (!this.over) this.#leave(false);
  }

  protected onFields(id: number, fields: Fields, ended: boolean): void {
    const lane = this.lanes.get(id);
    if (lane === undefined) return;
    const exchange = lane.of;
    if (exchange.hasHead) {
      assert.ok(ended, `${this.name} got trailers without an end for ${exchange.tag}`);
      return this.gotEnd(lane, fields);
    }
    const status = Number(fields.get(':status'));
    if (status < 200) return this.#ledger.onInterim(exchange, fields);
    this.#ledger.onHead(exchange, status, fields);
    if (ended) this.gotEnd(lane, new Map());
  }

  protected onContent(lane: Lane<Exchange>, bytes: Buffer): void {
    this.#ledger.onBody(lane.of, bytes);
  }

  protected onMessageEnd(lane: Lane<Exchange>, trailers: Fields): void {
    this.#ledger.onEnd(lane.of, trailers);
  }

  protected onReset(lane: Lane<Exchange>, code: number): void {
    this.#ledger.onCut(lane.of, `reset with ${code}`);
  }

  protected onGoaway(code: number): void {
    assert.equal(code, ErrorCode.NoError, `${this.name} is told that it broke the protocol`);
  }

  protected onOver(): void {
    for (const lane of this.lanes.values()) this.#ledger.onCut(lane.of, 'the connection ended');
  }
}

export const at = <T>(list: readonly T[], index: number): T => list[index % list.length]!;
