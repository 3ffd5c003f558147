// A connection to a target of HTTP/2 with frames by hand: answers in parts and in any order, resets, GOAWAY, withheld windows.

import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { ErrorCode } from '../../../src/http2/error-code.ts';
import { Setting } from '../../../src/http2/frames.ts';
import { headers } from '../../http2/frames.ts';
import { at } from './http2-client.ts';
import { Http2End, type Lane } from './http2-end.ts';
import {
  type Delivery,
  type Fields,
  hasContent,
  type Ledger,
  RETRIED_STATUS,
  SWITCHED,
  TAG,
} from './ledger.ts';
import type { Action, Actor, Size } from './step.ts';
import { tagged } from './tags.ts';

const WINDOWS = [65_535, 100, 3000] as const;
const PLAIN: Size = { kind: 0, pool: 0, bytes: 10, lane: 0 };

export class Http2Target extends Http2End<Delivery> implements Actor {
  readonly #pool: number;
  readonly #ledger: Ledger;
  /** How long the answer is; -1 where that was not said. */
  readonly #promised = new Map<Delivery, number>();
  /** All that came on this connection. */
  readonly #deliveries = new Set<Delivery>();
  #hasOpened = false;
  #most = 0;
  #lastId = 0;
  #goawayId = Number.POSITIVE_INFINITY;

  constructor(socket: Socket, name: string, pool: number, ledger: Ledger) {
    super(socket, name, true);
    this.#pool = pool;
    this.#ledger = ledger;
  }

  get actions(): readonly Action[] {
    if (this.over) return [];
    const actions: Action[] = [
      ['reset', 1, () => this.#lose('reset', () => this.destroy(true))],
      ['close', 1, () => this.#lose('closed', () => this.destroy(false))],
    ];
    if (!this.#hasOpened) return [...actions, ['settings', 20, (size) => this.#open(size)]];
    const lanes = [...this.lanes.values()].filter((lane) => !lane.hasSentEnd);
    const begun = lanes.filter((lane) => lane.hasSentHead);
    const fresh = lanes.filter((lane) => !lane.hasSentHead);
    if (fresh.length > 0) {
      actions.push(
        ['interim', 1, ({ lane }) => this.#interim(at(fresh, lane))],
        ['head', 12, (size) => this.#head(at(fresh, size.lane), size)],
        ['refuse', 2, ({ lane }) => this.#refuse(at(fresh, lane))],
      );
    }
    if (begun.length > 0) {
      actions.push(
        ['content', 8, (size) => this.#content(at(begun, size.lane), size)],
        ['end', 10, (size) => this.#end(at(begun, size.lane), size.kind)],
      );
    }
    if (lanes.length > 0) {
      actions.push(
        ['give up', 2, (size) => this.#giveUp(at(lanes, size.lane), size.kind)],
        [
          'window',
          4,
          ({ lane, bytes }) => this.grant(bytes + 1, lane % 3 === 0 ? undefined : at(lanes, lane)),
        ],
        ['goaway', 1, ({ lane }) => this.#goaway(at(lanes, lane).id - (lane % 2) * 2)],
      );
    }
    return actions;
  }

  conclude(): void {
    if (this.over) return;
    this.socket.resume();
    if (!this.#hasOpened) this.#open(PLAIN);
    this.grantAll();
    for (const lane of [...this.lanes.values()]) {
      if (lane.hasSentEnd) continue;
      if (!lane.hasSentHead) this.#head(lane, PLAIN);
      if (!lane.hasSentEnd) this.#end(lane, 0);
    }
    this.write(1);
  }

  #open({ kind }: Size): void {
    this.#hasOpened = true;
    this.#most = 1 + (kind % 3);
    this.open(
      at(WINDOWS, kind >> 2),
      [Setting.MaxConcurrentStreams, this.#most],
      [Setting.EnableConnectProtocol, 1],
    );
  }

  #lose(why: string, act: () => void): void {
    this.#ledger.tell(`${this.name} ${why}`);
    this.#ledger.lose(this.#pool, this.#deliveries, `its target ${why}`);
    act();
  }

  #interim(lane: Lane<Delivery>): void {
    this.queue(headers(lane.id, [[':status', '103'], tagOf(lane)], false));
  }

  #head(lane: Lane<Delivery>, { kind, bytes }: Size): void {
    const delivery = lane.of;
    const { method } = delivery.exchange;
    const isTunnel = method === 'CONNECT';
    const statuses = isTunnel ? [200, 200, 403] : [200, 200, RETRIED_STATUS, 200, 304, 204];
    const status = statuses[kind % statuses.length]!;
    const mayHaveContent = hasContent(method, status);
    const opens = isTunnel && status === 200;
    // A bare head: nothing follows.
    const ended = !mayHaveContent || (!opens && kind % 5 === 4);
    const says = ended ? 0 : opens || (kind >> 3) % 2 === 1 ? -1 : bytes + 1;
    lane.hasSentHead = true;
    delivery.status = opens ? SWITCHED : status;
    this.#promised.set(delivery, says);
    this.#ledger.tell(
      `${this.name} says ${status} as ${delivery.tag} on ${lane.id}${ended ? ', and no more' : ''}`,
    );
    const lengths = mayHaveContent && says >= 0 ? [['content-length', String(says)] as const] : [];
    this.queue(headers(lane.id, [[':status', String(status)], tagOf(lane), ...lengths], ended));
    if (!ended) return;
    this.#ended(lane);
    this.saidEnd(lane);
  }

  #content(lane: Lane<Delivery>, { bytes, kind }: Size): void {
    const delivery = lane.of;
    const promised = this.#promised.get(delivery)!;
    const most = promised < 0 ? bytes : promised - delivery.sent;
    const length = Math.min(bytes, most, this.roomOf(lane));
    if (length === 0) return;
    const content = tagged(delivery.tag, delivery.sent, delivery.sent + length);
    delivery.sent += length;
    // What is as long as it was to be is complete for whoever reads no frames.
    delivery.ended = delivery.sent === promised;
    this.say(lane, content, false, kind % 3 === 0);
  }

  /** As soon as the window lets it. */
  #end(lane: Lane<Delivery>, kind: number): void {
    const delivery = lane.of;
    const left = Math.max(0, this.#promised.get(delivery)! - delivery.sent);
    const length = Math.min(left, this.roomOf(lane));
    const ended = length === left;
    if (!ended && length === 0) return;
    const content = tagged(delivery.tag, delivery.sent, delivery.sent + length);
    delivery.sent += length;
    if (ended) this.#ended(lane);
    if (ended && kind % 3 === 1 && delivery.exchange.method !== 'CONNECT') {
      if (length > 0) this.say(lane, content, false, false);
      this.queue(headers(lane.id, [tagOf(lane)], true));
      this.saidEnd(lane);
    } else this.say(lane, content, ended, kind % 3 === 2);
  }

  #ended(lane: Lane<Delivery>): void {
    this.#ledger.tell(`${this.name} ends ${lane.of.tag} on ${lane.id}`);
    lane.of.ended = true;
  }

  #refuse(lane: Lane<Delivery>): void {
    this.#ledger.tell(`${this.name} refuses ${lane.of.tag} on ${lane.id}`);
    this.#ledger.giveUp(lane.of, 'refused', 'its target refused it');
    this.giveUp(lane, ErrorCode.RefusedStream);
  }

  #giveUp(lane: Lane<Delivery>, kind: number): void {
    this.#ledger.tell(`${this.name} gives up ${lane.of.tag} on ${lane.id}`);
    this.#ledger.giveUp(lane.of, 'lost', 'its target gave it up');
    this.giveUp(lane, at([ErrorCode.Cancel, ErrorCode.InternalError], kind));
  }

  /** What comes after `lastId` was not looked at, whatever was said of it before. */
  #goaway(lastId: number): void {
    if (lastId < 0 || lastId >= this.#goawayId) return;
    const above = [...this.lanes.values()].filter(({ id }) => id > lastId);
    if (above.some((lane) => lane.hasSentHead)) return;
    this.#ledger.tell(`${this.name} says goodbye after ${lastId}`);
    this.#goawayId = lastId;
    this.sayGoaway(lastId, ErrorCode.NoError);
    this.#ledger.lose(this.#pool, [], 'its target said goodbye');
    for (const lane of above) {
      this.#ledger.giveUp(lane.of, 'refused', 'its target said goodbye');
      this.lanes.delete(lane.id);
    }
  }

  protected onFields(id: number, fields: Fields, ended: boolean): void {
    const known = this.lanes.get(id);
    if (known !== undefined) {
      assert.ok(ended, `${this.name} got trailers without an end`);
      assert.equal(
        Number(fields.get(TAG) ?? known.of.exchange.tag),
        known.of.exchange.tag,
        'foreign trailers',
      );
      return this.gotEnd(known, fields);
    }
    // Trailers of what was given up, or a request that our GOAWAY has crossed.
    if (id <= this.#lastId) return;
    this.#lastId = id;
    if (id > this.#goawayId) {
      this.#ledger.skip(fields, 'it crossed a goodbye');
      return;
    }
    const method = fields.get(':method')!;
    const delivery = this.#ledger.deliver(fields, method, fields.get(':path')!, this.name);
    this.#ledger.tell(`${this.name} has it on ${id}`);
    this.#deliveries.add(delivery);
    const lane = this.addLane(id, delivery);
    assert.ok(this.lanes.size <= this.#most, `${this.name} got more streams than it takes`);
    if (ended) this.gotEnd(lane, new Map());
  }

  protected onContent(lane: Lane<Delivery>, bytes: Buffer): void {
    this.#ledger.onRequestBody(lane.of, bytes, this.name);
  }

  protected onMessageEnd(lane: Lane<Delivery>): void {
    this.#ledger.onRequestEnd(lane.of, this.name);
  }

  protected onReset(): void {}

  protected onGoaway(code: number): void {
    assert.equal(code, ErrorCode.NoError, `${this.name} is told that it broke the protocol`);
  }

  protected onOver(): void {
    this.lanes.clear();
  }
}

const tagOf = ({ of }: Lane<Delivery>): readonly [string, string] => [TAG, String(of.tag)];
