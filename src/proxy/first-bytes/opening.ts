// The first bytes of an accepted connection, read before it is known what its session will be.

import { PartialBytes } from '../../http1/partial-bytes.ts';
import type { Deadline } from '../deadlines.ts';
import type { Placed } from '../roster.ts';
import { type FirstReader, type FirstReaderOwner, readFirst } from '../wire/first-reader.ts';
import type { SocketHandle } from '../wire/socket-handle.ts';
import type { WireContext } from '../wire/wire.ts';

/** Why a connection came to nothing before its session: labels of the refusal counter, explained in docs/tcp.md. */
export type OpeningFailure =
  | 'proxy-missing'
  | 'proxy-malformed'
  | 'proxy-oversize'
  | 'proxy-checksum'
  | 'proxy-incomplete'
  | 'proxy-timeout'
  | 'hello-missing'
  | 'hello-malformed'
  | 'hello-oversize'
  | 'hello-incomplete'
  | 'hello-timeout'
  | 'hello-no-route'
  | 'first-bytes-unknown'
  | 'first-bytes-incomplete'
  | 'first-bytes-timeout'
  | 'closed';

/** How many of the bytes are used up, why the connection is refused, or that more bytes are needed to tell. */
export type FirstBytesVerdict = number | OpeningFailure | 'more';

/** Reads the first bytes of one connection, and keeps what it finds in them. */
export interface FirstBytesReader {
  /** From the first look at the connection until `late` is asked. */
  readonly timeoutMs: number;
  /** Why a connection is refused whose client ends its side too early. */
  readonly incomplete: OpeningFailure;
  /** Looks at `bytes[0, length)`, all that has come so far. They are valid only during the call. */
  read(bytes: Buffer, length: number): FirstBytesVerdict;
  /** The time is over, and `length` bytes have come. `more` gives it `timeoutMs` again. */
  late(length: number): FirstBytesVerdict;
}

export interface OpeningOwner {
  /**
   * The caller takes the handle, which is not reading.
   * @param early what came behind the bytes that were used up
   */
  onOpened(early: Buffer | null): void;
  /** The connection is closed; called once, and never after `onOpened`. */
  onOpeningFailed(reason: OpeningFailure): void;
}

export class Opening implements Deadline, FirstReaderOwner, Placed {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  place = -1;
  readonly #reader: FirstBytesReader;
  readonly #owner: OpeningOwner;
  readonly #context: WireContext;
  readonly #received = new PartialBytes();
  readonly #first: FirstReader;
  #ended = false;

  constructor(handle: SocketHandle, reader: FirstBytesReader, owner: OpeningOwner, context: WireContext) {
    this.#reader = reader;
    this.#owner = owner;
    this.#context = context;
    this.#first = readFirst(handle, this, context);
    this.#setDeadline();
  }

  get isSilent(): boolean {
    return this.#received.length === 0;
  }

  /** Bytes from the socket, or those that another reader has left. */
  receive(buffer: Buffer, length: number): void {
    if (this.#ended) return;
    const received = this.#received;
    if (received.length > 0) {
      received.append(buffer, 0, length);
      return this.#follow(this.#reader.read(received.bytes, received.length));
    }
    // Mostly all of it has come at once, and is read where it lies.
    const verdict = this.#reader.read(buffer, length);
    if (typeof verdict === 'number') return this.#open(buffer, length, verdict);
    received.append(buffer, 0, length);
    this.#follow(verdict);
  }

  onFirstBytes(buffer: Buffer, length: number): void {
    this.receive(buffer, length);
  }

  onFirstEnd(): void {
    this.#fail(this.#reader.incomplete);
  }

  onDeadline(): void {
    const verdict = this.#reader.late(this.#received.length);
    if (verdict === 'more') this.#setDeadline();
    else this.#follow(verdict);
  }

  /** Ends it now: the listener is shut down. */
  close(): void {
    this.#fail('closed');
  }

  #setDeadline(): void {
    this.#context.deadlines.set(this, this.#context.now() + this.#reader.timeoutMs);
  }

  #follow(verdict: FirstBytesVerdict): void {
    const { bytes, length } = this.#received;
    if (typeof verdict === 'number') this.#open(bytes, length, verdict);
    else if (verdict !== 'more') this.#fail(verdict);
  }

  /** @param used of `bytes[0, length)`, all that has come */
  #open(bytes: Buffer, length: number, used: number): void {
    if (this.#ended) return;
    this.#finish();
    const early = length > used ? Buffer.from(bytes.subarray(used, length)) : null;
    this.#received.release();
    this.#first.detach();
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onOpened(early);
    } finally {
      turn.leave();
    }
  }

  #fail(reason: OpeningFailure): void {
    if (this.#ended) return;
    this.#finish();
    this.#received.release();
    this.#first.destroy();
    this.#owner.onOpeningFailed(reason);
  }

  #finish(): void {
    this.#ended = true;
    this.#context.deadlines.clear(this);
  }
}
