// What is known of every exchange: who asked, where it was delivered, what was said; and what may never be seen of it.

import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import { checkOwn, checkTagged } from './tags.ts';

/** `CONNECT` stands for a WebSocket, however it is asked for. */
export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'CONNECT';
/** How an exchange ended for its client. */
export type Outcome = 'answered' | 'failed' | 'cut' | 'given-up';
export type Fields = ReadonlyMap<string, string>;

/** The field that names whose message this is. */
export const TAG = 'x-tag';
/** A WebSocket is agreed to; in HTTP/2 this is a 200. */
export const SWITCHED = 101;
export const RETRIED_STATUS = 503;
/** Steps after a target's connection was lost in which a request may still be sent on it. */
const STEPS_OF_LOSS = 4;

/** A request as one target has seen it, and its answer there. */
export interface Delivery {
  /** Names its answer, and no other. */
  readonly tag: number;
  readonly exchange: Exchange;
  /** Bytes of the request that have come. */
  received: number;
  requestEnded: boolean;
  status: number;
  /** Bytes of the answer that the target has said. */
  sent: number;
  /** The target has said all of it. */
  ended: boolean;
  /** The target, or its connection, has given it up before that; `refused` without having looked at it. */
  lost: 'no' | 'lost' | 'refused';
}

export interface Exchange {
  readonly tag: number;
  readonly method: Method;
  readonly pool: number;
  readonly who: string;
  readonly deliveries: Delivery[];
  /** Bytes of the request that the client has said, and whether that was all. */
  sent: number;
  requestEnded: boolean;
  /** Whose head the client has seen; null also for an answer of Portico's own. */
  answer: Delivery | null;
  hasHead: boolean;
  received: number;
  outcome: Outcome | null;
  /** Why it may fail. */
  excuse: string | null;
}

export class Ledger {
  readonly exchanges = new Map<number, Exchange>();
  readonly deliveries = new Map<number, Delivery>();
  /** For whoever reads a failure: what happened in order. */
  readonly story: string[] = [];
  step = 0;
  #tags = 0;
  /** By pool: when a connection was lost last. */
  readonly #lostAt = new Map<number, number>();

  tell(line: string): void {
    this.story.push(`${this.step}: ${line}`);
  }

  get open(): Exchange[] {
    return [...this.exchanges.values()].filter(({ outcome }) => outcome === null);
  }

  begin(method: Method, pool: number, who: string): Exchange {
    this.#tags += 1;
    const recent = this.step - (this.#lostAt.get(pool) ?? Number.NEGATIVE_INFINITY) <= STEPS_OF_LOSS;
    const exchange: Exchange = {
      tag: this.#tags,
      method,
      pool,
      who,
      deliveries: [],
      sent: 0,
      requestEnded: false,
      answer: null,
      hasHead: false,
      received: 0,
      outcome: null,
      excuse: recent ? 'a connection was just lost' : null,
    };
    this.exchanges.set(exchange.tag, exchange);
    return exchange;
  }

  // What targets see -------------------------------------------------------------------------------------------------

  deliver(fields: Fields, method: string, path: string, who: string): Delivery {
    const exchange = this.exchanges.get(Number(fields.get(TAG)));
    assert.ok(exchange !== undefined, `${who} got a request of nobody: ${path}`);
    assert.equal(path, pathOf(exchange), `${who} got a path with the fields of another request`);
    assert.equal(method, exchange.method, `${who} got another method`);
    for (const before of exchange.deliveries) this.#checkRepeat(exchange, before);
    assert.equal(exchange.answer, null, `${who} got ${exchange.tag} after it was answered`);
    this.#tags += 1;
    const delivery: Delivery = {
      tag: this.#tags,
      exchange,
      received: 0,
      requestEnded: false,
      status: 0,
      sent: 0,
      ended: false,
      lost: 'no',
    };
    exchange.deliveries.push(delivery);
    this.deliveries.set(delivery.tag, delivery);
    this.tell(`${who} got ${exchange.tag}, and calls its answer ${delivery.tag}`);
    return delivery;
  }

  #checkRepeat({ tag, method, outcome }: Exchange, before: Delivery): void {
    assert.ok(outcome === null || outcome === 'given-up', `${tag} was repeated after its end: ${outcome}`);
    if (before.lost === 'refused') return;
    assert.ok(method !== 'POST', `${tag} is a ${method} and was repeated`);
    assert.ok(before.lost !== 'no' || before.status === RETRIED_STATUS, `${tag} was repeated for nothing`);
  }

  onRequestBody(delivery: Delivery, bytes: Buffer, who: string): void {
    checkTagged(delivery.exchange.tag, delivery.received, bytes, who);
    delivery.received += bytes.length;
    assert.ok(delivery.received <= delivery.exchange.sent, `${who} got more than was sent`);
  }

  onRequestEnd(delivery: Delivery, who: string): void {
    const { exchange } = delivery;
    delivery.requestEnded = true;
    // Whoever leaves a tunnel of HTTP/1.1, or never was in it, ends its side like one who has said all.
    if (exchange.method === 'CONNECT' && (exchange.outcome ?? exchange.excuse) !== null) return;
    assert.ok(exchange.requestEnded, `${who} takes ${exchange.tag} for complete`);
    assert.equal(delivery.received, exchange.sent, `${who} takes ${exchange.tag} for complete`);
  }

  /** A target gives these up, and those of its pool that are on no connection may have been on their way to it. */
  lose(pool: number, deliveries: Iterable<Delivery>, why: string): void {
    this.#lostAt.set(pool, this.step);
    for (const delivery of deliveries) this.giveUp(delivery, 'lost', why);
    for (const exchange of this.open) {
      const last = exchange.deliveries.at(-1);
      const isOnWay = last === undefined || last.lost !== 'no' || last.status === RETRIED_STATUS;
      if (exchange.pool === pool && isOnWay) exchange.excuse ??= why;
    }
  }

  /** A target that says goodbye has not looked at this one. */
  skip(fields: Fields, why: string): void {
    const exchange = this.exchanges.get(Number(fields.get(TAG)));
    if (exchange !== undefined) exchange.excuse ??= why;
  }

  giveUp(delivery: Delivery, how: 'lost' | 'refused', why: string): void {
    const { outcome } = delivery.exchange;
    // What was said last may be lost with its connection, and what was asked after it on the client's.
    delivery.exchange.excuse ??= why;
    if (delivery.lost === 'no' && (outcome === null || outcome === 'given-up')) delivery.lost = how;
  }

  // What clients see -------------------------------------------------------------------------------------------------

  onInterim(exchange: Exchange, fields: Fields): void {
    assert.equal(this.#answerOf(exchange, fields)?.exchange, exchange, `${exchange.who} got a foreign 1xx`);
  }

  onHead(exchange: Exchange, status: number, fields: Fields): void {
    const { who, tag } = exchange;
    assert.ok(!exchange.hasHead, `${who} got two heads for ${tag}`);
    exchange.hasHead = true;
    const delivery = this.#answerOf(exchange, fields);
    this.tell(`${who} got ${status} for ${tag}: ${delivery?.tag ?? fields.get('proxy-status')}`);
    if (delivery === null) {
      assert.ok(status >= 400, `${who} got ${status} of nobody for ${tag}`);
      assert.ok(
        exchange.excuse !== null,
        `${who}: ${tag} failed without a cause: ${fields.get('proxy-status')}`,
      );
      return;
    }
    const isTunnel = exchange.method === 'CONNECT' && status === 200;
    assert.equal(delivery.status, isTunnel ? SWITCHED : status, `${who} got another status for ${tag}`);
    exchange.answer = delivery;
  }

  #answerOf({ who, tag, deliveries }: Exchange, fields: Fields): Delivery | null {
    const named = fields.get(TAG);
    if (named === undefined) return null;
    const delivery = this.deliveries.get(Number(named));
    assert.ok(delivery !== undefined, `${who} got an answer of nobody for ${tag}`);
    assert.ok(deliveries.includes(delivery), `${who} got the answer to ${delivery.exchange.tag} for ${tag}`);
    return delivery;
  }

  onBody(exchange: Exchange, bytes: Buffer): void {
    const { answer, who } = exchange;
    assert.ok(exchange.hasHead, `${who} got content before a head for ${exchange.tag}`);
    if (answer === null) return checkOwn(bytes, who);
    checkTagged(answer.tag, exchange.received, bytes, who);
    exchange.received += bytes.length;
    assert.ok(exchange.received <= answer.sent, `${who} got more than the target has said`);
  }

  onEnd(exchange: Exchange, trailers: Fields): void {
    const { answer, who, tag } = exchange;
    const named = trailers.get(TAG);
    this.tell(`${who} got the end of ${tag}`);
    assert.ok(exchange.hasHead, `${who} got an end without a head for ${tag}`);
    if (named !== undefined)
      assert.equal(Number(named), answer?.tag, `${who} got foreign trailers for ${tag}`);
    if (answer !== null) {
      assert.ok(answer.ended, `${who} takes the answer to ${tag} for complete`);
      assert.equal(exchange.received, contentOf(answer), `${who} takes the answer to ${tag} for complete`);
    }
    this.#settle(exchange, answer === null ? 'failed' : 'answered');
  }

  /** The client sees that no more comes. */
  onCut(exchange: Exchange, how: string): void {
    if (exchange.outcome !== null) return;
    this.tell(`${exchange.who} sees ${exchange.tag} cut: ${how}`);
    assert.ok(exchange.excuse !== null, `${exchange.who}: ${exchange.tag} was cut without a cause: ${how}`);
    this.#settle(exchange, 'cut');
  }

  abandon(exchange: Exchange): void {
    if (exchange.outcome === null) this.#settle(exchange, 'given-up');
  }

  #settle(exchange: Exchange, outcome: Outcome): void {
    exchange.outcome = outcome;
  }
}

export const pathOf = ({ pool, tag }: Exchange): string => `/${pool}/${tag}`;

/** Whether an answer with this status has content. */
export const hasContent = (method: Method, status: number): boolean =>
  method !== 'HEAD' && status !== 204 && status !== 304;

const contentOf = ({ exchange, status, sent }: Delivery): number =>
  hasContent(exchange.method, status) ? sent : 0;
