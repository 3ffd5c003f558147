// Cuts a byte stream into lines, wherever the chunk borders fall, and bounds what one line may hold.

import { Buffer } from 'node:buffer';
import { PartialBytes } from '../../http1/partial-bytes.ts';
import { DiscoveryFailure } from './failure.ts';

const newline = 0x0a;

/**
 * Lines are given out as bytes and decoded whole by the caller, so a UTF-8 sequence split between chunks needs no
 * care here. An unfinished line lies in memory that grows by doubling: joining at each chunk would cost the square of its
 * length, and keeping the chunks apart many times its length where they are small.
 */
export class LineSplitter {
  readonly #limitBytes: number;
  readonly #pending = new PartialBytes();

  /** `limitBytes`: the longest line, without its newline. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes of the line that has not ended yet. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** Calls `onLine` for every line that `chunk` completes, in order; throws `long-line` over the limit. */
  push(chunk: Uint8Array, onLine: (line: Uint8Array) => void): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (this.#pending.length + part.length > this.#limitBytes) {
        throw new DiscoveryFailure('long-line', `a watch line is longer than ${this.#limitBytes} bytes`);
      }
      if (end === -1) {
        // A copy: the chunk's owner may read into the same memory again.
        this.#append(part);
        return;
      }
      onLine(this.#join(part));
      start = end + 1;
    }
  }

  #join(last: Uint8Array): Uint8Array {
    if (this.#pending.length === 0) return last;
    this.#append(last);
    const line = this.#pending.bytes.subarray(0, this.#pending.length);
    this.#pending.release();
    return line;
  }

  #append(part: Uint8Array): void {
    this.#pending.append(Buffer.from(part.buffer, part.byteOffset, part.length), 0, part.length);
  }
}
