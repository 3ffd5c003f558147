// Makes new inputs from old ones: bytes changed, words of the dictionary put in, parts repeated, removed, moved or crossed over.

import { Buffer } from 'node:buffer';
import { DICTIONARY } from './dictionary.ts';

/** Longer inputs are cut: what parsers disagree about fits into a few hundred bytes. */
export const MAX_INPUT_BYTES = 1500;

const WORDS: readonly Buffer[] = DICTIONARY.map((word) => Buffer.from(word, 'latin1'));
const LINE_FEED = 10;

/** A small seeded generator (mulberry32), so that a run can be repeated. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export class Mutator {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** One to four changes to `input`; `other` lends its parts. */
  mutate(input: Buffer, other: Buffer): Buffer {
    let bytes = input;
    const changes = 1 << Math.floor(this.#random() ** 2 * 3);
    for (let i = 0; i < changes; i++) bytes = this.#change(bytes, other);
    return bytes.length > MAX_INPUT_BYTES ? bytes.subarray(0, MAX_INPUT_BYTES) : bytes;
  }

  /** Places to cut an input at, in ascending order. */
  cuts(length: number): number[] {
    const count = Math.floor(this.#random() * 5);
    return Array.from({ length: count }, () => this.#below(length + 1)).sort((a, b) => a - b);
  }

  below(bound: number): number {
    return this.#below(bound);
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #change(bytes: Buffer, other: Buffer): Buffer {
    const at = this.#below(bytes.length + 1);
    const word = WORDS[this.#below(WORDS.length)]!;
    switch (this.#below(16)) {
      case 0:
        return splice(bytes, at, 1, Buffer.of(this.#below(256)));
      case 1:
        return splice(bytes, at, 0, Buffer.of(this.#below(256)));
      case 2:
        return splice(bytes, at, 1 + this.#below(4), Buffer.alloc(0));
      case 3:
        return splice(bytes, at, 0, word);
      case 4:
        return splice(bytes, at, word.length, word);
      // Words are mostly whole lines: at a line start they do the most.
      case 5:
      case 6:
        return splice(bytes, this.#lineStart(bytes), 0, word);
      case 7: {
        const [start, end] = this.#lines(bytes);
        return splice(bytes, start, end - start, Buffer.alloc(0));
      }
      case 8: {
        const [start, end] = this.#lines(bytes);
        return splice(bytes, this.#lineStart(bytes), 0, bytes.subarray(start, end));
      }
      case 9: {
        const [start, end] = this.#lines(other);
        return splice(bytes, this.#lineStart(bytes), 0, other.subarray(start, end));
      }
      case 10: {
        const from = this.#below(other.length + 1);
        return Buffer.concat([bytes.subarray(0, at), other.subarray(from)]);
      }
      // A body grows at its end.
      case 11:
      case 12:
        return Buffer.concat([bytes, word]);
      // A field in the head of the last message.
      case 13:
      case 14:
        return splice(bytes, this.#lastHeadLine(bytes), 0, word);
      default:
        return splice(bytes, at, 1, Buffer.of((bytes[at] ?? 0) ^ (1 << this.#below(8))));
    }
  }

  /** The offset of some line of `bytes`, or its end. */
  #lineStart(bytes: Buffer): number {
    const found = bytes.indexOf(LINE_FEED, this.#below(bytes.length + 1));
    return found < 0 ? (this.#below(2) === 0 ? 0 : bytes.length) : found + 1;
  }

  /** Where a field line may be put into the head that begins last. */
  #lastHeadLine(bytes: Buffer): number {
    const end = bytes.lastIndexOf('\r\n\r\n');
    return end < 0 ? bytes.length : end + 2;
  }

  /** One to four lines that follow each other. */
  #lines(bytes: Buffer): [number, number] {
    const start = this.#lineStart(bytes);
    let end = start;
    for (let lines = 1 + this.#below(4); lines > 0; lines--) {
      const found = bytes.indexOf(LINE_FEED, end);
      if (found < 0) return [start, bytes.length];
      end = found + 1;
    }
    return [start, end];
  }
}

function splice(bytes: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}
