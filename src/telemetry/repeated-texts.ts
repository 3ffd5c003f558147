// Values of the access log that come again and again, as the bytes of their JSON text.

import { codeAt, lengthOf } from './any-text.ts';
import { asciiOf, LineBytes } from './line-bytes.ts';

/**
 * JSON text of values of which a few are common. Each value has one slot, where the next that falls on it takes its place:
 * clients can make it useless but not large. A slot keeps the text that its value was cut from, at most one request head.
 */
export class RepeatedTexts {
  readonly #limit: number;
  readonly #then: string;
  readonly #null: Uint8Array;
  readonly #mask: number;
  readonly #values: (string | null)[];
  readonly #texts: Uint8Array[];

  /**
   * @param slots a power of two
   * @param then follows each value
   */
  constructor(limit: number, slots: number, then: string) {
    this.#limit = limit;
    this.#then = then;
    this.#null = asciiOf(`null${then}`);
    this.#mask = slots - 1;
    this.#values = Array.from({ length: slots }, () => null);
    this.#texts = Array.from({ length: slots }, () => this.#null);
  }

  of(value: string | null): Uint8Array {
    if (value === null) return this.#null;
    const length = lengthOf(value);
    // Addresses differ at their end, names and agents in length and middle. Of an empty value NaN is made, and `& mask` 0.
    const slot =
      (length + 5 * codeAt(value, length - 1) + 3 * codeAt(value, length - 2) + codeAt(value, length >> 1)) &
      this.#mask;
    if (this.#values[slot] !== value) {
      this.#texts[slot] = joined(quotedText(value, this.#limit), this.#then);
      this.#values[slot] = value;
    }
    return this.#texts[slot]!;
  }
}

/** See `LineBytes.quoted`. */
export function quotedText(value: string | null, limit: number): Uint8Array {
  const line = new LineBytes(Buffer.alloc(limit + 4));
  line.quoted(value, limit);
  return Uint8Array.from(line.bytes.subarray(0, line.end));
}

/** Its parts in one piece; a string is written as it is. */
export function joined(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? asciiOf(part) : part))),
  );
}
