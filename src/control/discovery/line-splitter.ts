// Cuts a byte stream into lines, wherever the chunk borders fall, and bounds what one line may hold.

import { Buffer } from 'node:buffer';
import { DiscoveryFailure } from './failure.ts';

const newline = 0x0a;

/**
 * Lines are given out as bytes and decoded whole by the caller, so a UTF-8 sequence split between chunks needs no
 * care here. Chunks of an unfinished line are kept apart and joined once: joining at each chunk would cost the
 * square of the line's length.
 */
export class LineSplitter {
  readonly #limitBytes: number;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  /** `limitBytes`: the longest line, without its newline. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes of the line that has not ended yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Calls `onLine` for every line that `chunk` completes, in order; throws `long-line` over the limit. */
  push(chunk: Uint8Array, onLine: (line: Uint8Array) => void): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (this.#pendingBytes + part.length > this.#limitBytes) {
        throw new DiscoveryFailure('long-line', `a watch line is longer than ${this.#limitBytes} bytes`);
      }
      if (end === -1) {
        // A copy: the chunk's owner may read into the same memory again.
        if (part.length > 0) this.#pending.push(Uint8Array.from(part));
        this.#pendingBytes += part.length;
        return;
      }
      onLine(this.#join(part));
      start = end + 1;
    }
  }

  #join(last: Uint8Array): Uint8Array {
    if (this.#pending.length === 0) return last;
    const line = Buffer.concat([...this.#pending, last]);
    this.#pending = [];
    this.#pendingBytes = 0;
    return line;
  }
}
