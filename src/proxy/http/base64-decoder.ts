// Decodes base64 that comes in pieces, in which padded runs may follow each other (gRPC, PROTOCOL-WEB.md).

import { Buffer } from 'node:buffer';

const INVALID = 255;
const PADDING = 61;
const VALUES = new Uint8Array(256).fill(INVALID);
for (const [value, letter] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries()) {
  VALUES[letter.charCodeAt(0)] = value;
}

export class Base64Decoder {
  /** The group of four that is not complete: its bits, letters and padding so far. */
  #bits = 0;
  #letters = 0;
  #padding = 0;

  /** Whether what has come ends with a whole group. */
  get complete(): boolean {
    return this.#letters === 0;
  }

  /** The bytes of `buffer[start, end)` and of what was left before; null when this is not base64. */
  decode(buffer: Buffer, start: number, end: number): Buffer | null {
    const bytes = Buffer.allocUnsafe(Math.ceil(((end - start + 3) * 3) / 4));
    let length = 0;
    for (let i = start; i < end; i++) {
      const byte = buffer[i]!;
      const value = VALUES[byte]!;
      if (byte === PADDING && this.#letters + this.#padding >= 2) this.#padding += 1;
      else if (value === INVALID || this.#padding > 0) return null;
      else {
        this.#bits = (this.#bits << 6) | value;
        this.#letters += 1;
      }
      if (this.#letters + this.#padding < 4) continue;
      const bits = this.#bits << (6 * this.#padding);
      bytes[length++] = bits >> 16;
      if (this.#padding < 2) bytes[length++] = bits >> 8;
      if (this.#padding < 1) bytes[length++] = bits;
      this.#bits = 0;
      this.#letters = 0;
      this.#padding = 0;
    }
    return bytes.subarray(0, length);
  }
}
