// The bounded copy of a section that did not arrive whole; no memory is held while there is none.

import { Buffer } from 'node:buffer';

const FIRST_BYTES = 512;

/** Grows by doubling up to what its caller appends, and is given back when the section is complete. */
export class PartialBytes {
  /** Valid in `[0, length)`. */
  bytes: Buffer = NONE;
  length = 0;

  /** Copies `buffer[start, end)` to the end. */
  append(buffer: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      let capacity = Math.max(FIRST_BYTES, this.bytes.length);
      while (capacity < length) capacity *= 2;
      // Not from Node's shared slab: one slow client must not keep 8 KiB of others alive.
      const grown = Buffer.allocUnsafeSlow(capacity);
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    buffer.copy(this.bytes, this.length, start, end);
    this.length = length;
  }

  /** Lets the memory go. */
  release(): void {
    this.bytes = NONE;
    this.length = 0;
  }
}

const NONE = Buffer.alloc(0);
