// The large reads of one wire: they take turns with those of others, and one that comes too late in a pass is kept for the next.

import { copyInto } from '../../http2/copy-into.ts';
import { OUT_BUFFER_BYTES } from './buffer-pool.ts';
import { BulkReading } from './bulk-reading.ts';
import type { Waiter } from './pass-share.ts';
import type { TcpSocket } from './tcp-socket.ts';
import type { WireContext, WireSocket } from './wire.ts';

/** A read of so many bytes is a large piece of work: all that one TLS record brings. */
export const LARGE_READ_BYTES = 16 * 1024;

/** What the reads need of their wire. */
export interface LargeReadsOwner {
  readonly socket: WireSocket;
  readonly closed: boolean;
  /** Whoever uses the wire wants nothing more for now. */
  readonly paused: boolean;
  /** @returns false where the wire only lingers: the bytes were dropped */
  tell(buffer: Buffer, length: number): boolean;
}

/** Made with the first of them: a wire that only brings little has none. */
export class LargeReads implements Waiter {
  /** Has had its share of this pass, and waits for its turn. */
  resting = false;
  readonly #wire: LargeReadsOwner;
  readonly #stoppable: TcpSocket | null;
  readonly #context: Pick<WireContext, 'pool' | 'reads' | 'share'>;
  /** Since it waited last. */
  #count = 0;
  /** From the first that was not kept. */
  #bulk: BulkReading | null = null;
  /** One that came when the pass was used up already. */
  #kept: Buffer | null = null;
  #keptBytes = 0;

  /** @param stoppable the socket, where nothing is read once reading was stopped; null for others */
  constructor(
    wire: LargeReadsOwner,
    stoppable: TcpSocket | null,
    context: Pick<WireContext, 'pool' | 'reads' | 'share'>,
  ) {
    this.#wire = wire;
    this.#stoppable = stoppable;
    this.#context = context;
  }

  receive(buffer: Buffer, length: number): void {
    if (this.#mayKeep(length) && this.#context.share.isUsedUp) this.#keep(buffer, length);
    else this.#tell(buffer, length);
  }

  #tell(buffer: Buffer, length: number): void {
    const { reads, share } = this.#context;
    const before = reads.passedOn;
    if (!this.#wire.tell(buffer, length)) return;
    if (this.#stoppable !== null) {
      this.#bulk ??= new BulkReading(this.#stoppable, reads);
      this.#bulk.took(length, reads.passedOn - before);
    }
    this.#count += 1;
    if (!share.mayGoOn(this.#count)) this.#rest();
  }

  /** Reads on when its turn comes: whoever sends without a pause must not keep others waiting. */
  #rest(): void {
    if (this.resting || this.#wire.closed) return;
    if (!this.#wire.paused) this.#wire.socket.pause();
    this.#wait();
  }

  #wait(): void {
    this.resting = true;
    this.#count = 0;
    this.#context.share.wait(this);
  }

  /**
   * What leaves at once costs little more than its copy, and comes in its turn from its second read on. What was read before the
   * wire was made may be longer than a read: a ClientHello that came in two pieces, and what came with the second.
   */
  #mayKeep(length: number): boolean {
    return this.#stoppable !== null && this.#bulk?.isLarge !== true && length <= OUT_BUFFER_BYTES;
  }

  /** Hundreds of clients that send much at once are read in one pass: a copy is a hundredth of what a head of 60 KiB costs. */
  #keep(buffer: Buffer, length: number): void {
    this.#kept = this.#context.pool.take();
    this.#keptBytes = length;
    copyInto(this.#kept, 0, buffer, 0, length);
    this.#rest();
  }

  onTurn(): void {
    const wire = this.#wire;
    this.resting = false;
    const kept = this.#kept;
    if (kept !== null && !wire.closed && !wire.paused) {
      this.#kept = null;
      this.#tell(kept, this.#keptBytes);
      this.#context.pool.give(kept);
    }
    if (!this.resting && !wire.paused && !wire.closed) wire.socket.resume();
  }

  /** The wire is not paused any more. False where it is read on in its turn. */
  mayReadOn(): boolean {
    if (this.resting) return false;
    if (this.#kept === null && (this.#count === 0 || !this.#context.share.isUsedUp)) return true;
    this.#wait();
    return false;
  }

  /** Its owner is told of nothing more. */
  drop(): void {
    if (this.#kept !== null) this.#context.pool.give(this.#kept);
    this.#kept = null;
  }
}
