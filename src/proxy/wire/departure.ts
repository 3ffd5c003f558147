// How a wire ends: its last bytes leave, the peer's are dropped for a while, and a peer that has ended its side is asked for.

import type { Deadline } from '../deadlines.ts';
import type { Wire, WireContext } from './wire.ts';

/** How long a closing wire reads on, so that the peer gets the last answer instead of a reset (RFC 9112, section 9.6). */
const LINGER_MS = 1000;
const LINGER_BYTES = 1024 * 1024;
/** A peer that takes nothing of our last bytes for this long is given up on. */
const STALLED_MS = 60_000;
/** A peer that has ended its side is asked after so much silence, and given up after so many questions without an answer. */
const ASK_AFTER_MS = 10_000;
const QUESTIONS = 3;

/** Made when a wire begins to end: an idle one has none. */
export class Departure implements Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  readonly #wire: Wire;
  readonly #context: WireContext;
  /** Bytes that are read and dropped yet; 0 while the owner still gets them. */
  #lingering = 0;
  /** How many of our last bytes were left when that was last looked at, and when they were fewer than before. */
  #left = Number.POSITIVE_INFINITY;
  #progressAtMs = 0;
  #destroysWhenSent = false;

  constructor(wire: Wire, context: WireContext) {
    this.#wire = wire;
    this.#context = context;
  }

  /** What comes from the peer is dropped. */
  get lingers(): boolean {
    return this.#lingering > 0;
  }

  /** See `Wire.askWhetherPeerIsThere`. */
  ask(): void {
    this.#wire.socket.setKeepAlive(true, ASK_AFTER_MS, ASK_AFTER_MS, QUESTIONS);
    this.#context.deadlines.set(this, this.#context.now() + ASK_AFTER_MS);
  }

  /** After our end of stream. */
  linger(): void {
    this.#lingering = LINGER_BYTES;
    this.#wire.resume();
    if (this.#wire.socket.readableEnded) this.destroyWhenSent();
    else this.#watchLeaving();
  }

  drop(length: number): void {
    this.#lingering -= length;
    if (this.#lingering <= 0) this.#wire.destroy();
  }

  destroyWhenSent(): void {
    if (this.#wire.socket.writableFinished) return this.#wire.destroy();
    this.#destroysWhenSent = true;
    this.#watchLeaving();
  }

  onFinish(): void {
    if (this.#destroysWhenSent) this.#wire.destroy();
  }

  over(): void {
    this.#context.deadlines.clear(this);
  }

  /** The last bytes get as long as the peer needs, as long as it takes some of them. */
  onDeadline(nowMs: number): void {
    const { socket } = this.#wire;
    if (!this.#wire.ending) {
      if (this.#wire.hasPeer) this.#context.deadlines.set(this, nowMs + ASK_AFTER_MS);
      else this.#wire.destroy();
      return;
    }
    const before = this.#left;
    const left = socket.writableFinished ? 0 : socket.writableLength;
    this.#left = left;
    if (left < before) this.#progressAtMs = nowMs;
    // Bytes that took their time are lingered for once more: it begins when everything has left.
    const sent = left === 0 && (before === 0 || before === Number.POSITIVE_INFINITY);
    if (sent) this.#wire.destroy();
    else if (nowMs - this.#progressAtMs >= STALLED_MS) this.#wire.reset();
    else this.#context.deadlines.set(this, nowMs + LINGER_MS);
  }

  #watchLeaving(): void {
    this.#progressAtMs = this.#context.now();
    this.#context.deadlines.set(this, this.#progressAtMs + LINGER_MS);
  }
}
