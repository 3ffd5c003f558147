// How far a client's HTTP/2 connection is read: many requests at once take turns, tiny parts are paid for, and who reads nothing waits.

import type { ServerConnection } from '../http2/server-connection.ts';
import type { Deadline } from './deadlines.ts';
import type { ExchangeContext } from './exchange-context.ts';
import type { Http2Request } from './http2-request.ts';
import type { Waiter } from './wire/pass-share.ts';
import type { Wire } from './wire/wire.ts';

/** What the reading tells its session. */
export interface ReadingOwner {
  /** Nothing more is read. */
  readonly ended: boolean;
  /** The codec has had some bytes. */
  onRead(): void;
  /** The client has ended its side, and all that came before has been read. */
  onLastBytes(): void;
}

/** A client that does not read must not make us collect answers to what it asks. */
const UNREAD_BYTES = 1024 * 1024;
/**
 * Content that many streams take turns with byte by byte cannot be joined, and each part costs as much as 16 chunks of HTTP/1.
 * Beyond some of them in a read, the connection rests until the worker has had time for that.
 */
const PARTS_AT_ONCE = 512;
const PIECES_A_PART = 16;
/** Bytes of a read that pay for a part of it. */
const BYTES_A_PART = 64;
/** Requests that are read in one go, where each may be answered at once. */
const REQUESTS_AT_ONCE = 64;
const NEVER = Number.POSITIVE_INFINITY;

/** One for as long as the connection. Its deadline is the tick in which it looks again at what is not paid for. */
export class Http2Reading implements Deadline, Waiter {
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  readonly #owner: ReadingOwner;
  readonly #codec: ServerConnection<Http2Request>;
  readonly #wire: Wire;
  readonly #context: Pick<ExchangeContext, 'deadlines' | 'now' | 'pieces' | 'share' | 'turn'>;
  /** Requests of the bytes that are being read, and those of these bytes that wait for their turn. */
  #atOnce = 0;
  #held: Buffer | null = null;
  /** Parts that have been counted, and pieces that are not paid for. */
  #partsCounted = 0;
  #piecesOwed = 0;
  /** The client does not read. */
  #paused = false;
  #clientEnded = false;

  constructor(
    owner: ReadingOwner,
    codec: ServerConnection<Http2Request>,
    wire: Wire,
    context: Pick<ExchangeContext, 'deadlines' | 'now' | 'pieces' | 'share' | 'turn'>,
  ) {
    this.#owner = owner;
    this.#codec = codec;
    this.#wire = wire;
    this.#context = context;
  }

  onBytes(buffer: Buffer, length: number): void {
    if (this.#held === null) this.#read(buffer, length);
    // What TLS has decrypted comes also when nothing is read.
    else this.#held = Buffer.concat([this.#held, buffer.subarray(0, length)]);
  }

  #read(buffer: Buffer, length: number): void {
    if (this.#owner.ended) return;
    this.#atOnce = 0;
    this.#codec.congested = this.#wire.congested;
    const position = this.#codec.receive(buffer, 0, length, this.#context.now());
    if (position < length) this.#hold(buffer, position, length);
    this.#owner.onRead();
    this.#payForParts(position);
    if (this.#wire.congested && this.#wire.pendingBytes > UNREAD_BYTES) {
      this.#paused = true;
      this.#wire.pause();
    }
  }

  /** A request has been read. */
  onRequest(): void {
    this.#atOnce += 1;
    if (this.#atOnce === REQUESTS_AT_ONCE) this.#codec.rest();
  }

  /** So many requests came at once that others have their turn first. */
  #hold(buffer: Buffer, start: number, end: number): void {
    this.#held = Buffer.from(buffer.subarray(start, end));
    this.#wire.pause();
    this.#context.share.wait(this);
  }

  onTurn(): void {
    const held = this.#held;
    // A client that does not read has no turn until it does.
    if (held === null || this.#owner.ended || this.#paused) return;
    this.#held = null;
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#read(held, held.length);
      if (this.#held !== null) return;
      if (this.#clientEnded) this.#owner.onLastBytes();
      this.#readOn();
    } finally {
      turn.leave();
    }
  }

  #readOn(): void {
    if (!this.#paused && this.#piecesOwed === 0 && this.#held === null) this.#wire.resume();
  }

  #payForParts(length: number): void {
    const parts = this.#codec.handedOn - this.#partsCounted - Math.floor(length / BYTES_A_PART);
    this.#partsCounted = this.#codec.handedOn;
    if (parts <= PARTS_AT_ONCE || this.#owner.ended) return;
    this.#piecesOwed += parts * PIECES_A_PART;
    this.onDeadline(this.#context.now());
  }

  /** Reads on when everything is paid for, else rests for a tick. */
  onDeadline(nowMs: number): void {
    const { deadlines, pieces } = this.#context;
    this.#piecesOwed = pieces.pay(this.#piecesOwed, nowMs);
    const rests = this.#piecesOwed > 0;
    deadlines.set(this, rests ? nowMs : NEVER);
    if (rests) this.#wire.pause();
    else this.#readOn();
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#held === null) this.#owner.onLastBytes();
  }

  /** The client reads again. */
  onDrain(): void {
    this.#codec.congested = false;
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#held === null) this.#readOn();
    else this.#context.share.wait(this);
  }

  /** The connection has ended. */
  end(): void {
    this.#context.deadlines.clear(this);
  }
}
