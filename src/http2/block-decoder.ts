// Reads header blocks (RFC 7541): the state of one connection's decoder, with its dynamic table.

import type { Buffer } from 'node:buffer';
import { copyString } from './byte-bits.ts';
import { DynamicTable, ENTRY_OVERHEAD } from './dynamic-table.ts';
import { NAME_BITS, nameInfo, SENSITIVE, valueInfo } from './field-info.ts';
import { decodeHuffman } from './huffman.ts';
import {
  STATIC_COUNT,
  STATIC_INFO,
  STATIC_LINES,
  STATIC_NAME_LENGTH,
  STATIC_START,
  STATIC_VALUE_LENGTH,
} from './static-table.ts';

/** Receives the fields of one block. */
export interface FieldTaker {
  /** Where the lines are put, and how many bytes lines and one field beyond the limits may take there. */
  readonly lines: Buffer;
  /** The list has become larger than allowed: fields are no longer put in `lines`, but still counted by the table. */
  readonly full: boolean;
  /**
   * A field: `name: value` with CRLF begins at `lines[at]`. `info` is that of `field-info.ts`.
   * @returns where the next line is to begin: behind this one, or at it when the field is not kept
   */
  take(at: number, nameLength: number, valueLength: number, info: number): number;
  /** Counts a field of this size (RFC 9113, section 6.5.2) before it is copied; may make the taker `full`. */
  count(size: number): void;
}

/** SETTINGS_HEADER_TABLE_SIZE, which is never announced and so has its first value. */
const TABLE_SIZE = 4096;
/** An encoder says the smallest size since the last block and the final one (RFC 7541, section 4.2). */
const MAX_RESIZES = 2;
/** Bytes of an integer behind its first: enough for 2^28, which is more than any block has. */
const MAX_INTEGER_BYTES = 4;
const COLON = 58;
const SPACE = 32;
const CR = 13;
const LF = 10;

/** One block after another, in the order in which they came; after a failure the connection cannot go on. */
export class BlockDecoder {
  readonly #table = new DynamicTable(TABLE_SIZE);
  /** After an integer or a string: where the next byte lies. */
  #next = 0;
  /** How many table size updates the last block held. */
  resizes = 0;

  /**
   * Decodes the whole block `block[start, end)`.
   * @returns false when it is not valid, a COMPRESSION_ERROR (RFC 9113, section 4.3)
   */
  decode(block: Uint8Array, start: number, end: number, taker: FieldTaker): boolean {
    let p = start;
    this.resizes = 0;
    while (p < end && (block[p]! & 0xe0) === 0x20) {
      const size = this.#integer(block, p, end, 31);
      if (size < 0 || size > TABLE_SIZE || ++this.resizes > MAX_RESIZES) return false;
      this.#table.resize(size);
      p = this.#next;
    }
    let at = 0;
    while (p < end) {
      const byte = block[p]!;
      if (byte >= 0x80) {
        let index = byte & 127;
        if (index === 127) {
          index = this.#integer(block, p, end, 127);
          p = this.#next;
        } else p++;
        at = this.#indexed(index, taker, at);
      } else if (byte >= 0x40) {
        at = this.#literal(block, p, end, 63, taker, at);
        p = this.#next;
      } else if (byte >= 0x20) {
        return false;
      } else {
        at = this.#literal(block, p, end, 15, taker, at);
        p = this.#next;
      }
      if (at < 0) return false;
    }
    return true;
  }

  #indexed(index: number, taker: FieldTaker, at: number): number {
    if (index <= STATIC_COUNT) {
      if (index <= 0) return -1;
      const nameLength = STATIC_NAME_LENGTH[index]!;
      const valueLength = STATIC_VALUE_LENGTH[index]!;
      taker.count(nameLength + valueLength + ENTRY_OVERHEAD);
      if (taker.full) return at;
      copyLine(STATIC_LINES, STATIC_START[index]!, nameLength + valueLength + 4, taker.lines, at);
      return taker.take(at, nameLength, valueLength, STATIC_INFO[index]!);
    }
    const table = this.#table;
    const entry = table.inserted + STATIC_COUNT - index;
    if (entry < table.oldest) return -1;
    const nameLength = table.nameLength(entry);
    const valueLength = table.valueLength(entry);
    taker.count(nameLength + valueLength + ENTRY_OVERHEAD);
    if (taker.full) return at;
    copyLine(table.bytes, table.start(entry), nameLength + valueLength + 4, taker.lines, at);
    return taker.take(at, nameLength, valueLength, table.note(entry));
  }

  /** @param prefix the largest number of the index prefix: 63 for a field that is added to the table, else 15 */
  #literal(
    block: Uint8Array,
    start: number,
    end: number,
    prefix: number,
    taker: FieldTaker,
    at: number,
  ): number {
    const adds = prefix === 63;
    const { lines } = taker;
    const index = this.#integer(block, start, end, prefix);
    let p = this.#next;
    let info = 0;
    let nameEnd = at;
    if (index < 0) return -1;
    if (index === 0) {
      nameEnd = this.#string(block, p, end, lines, at);
      if (nameEnd < 0) return -1;
      p = this.#next;
      info = nameInfo(lines, at, nameEnd);
    } else if (index <= STATIC_COUNT) {
      const length = STATIC_NAME_LENGTH[index]!;
      copyLine(STATIC_LINES, STATIC_START[index]!, length, lines, at);
      nameEnd = at + length;
      info = STATIC_INFO[index]! & NAME_BITS;
    } else {
      const table = this.#table;
      const entry = table.inserted + STATIC_COUNT - index;
      if (entry < table.oldest) return -1;
      const length = table.nameLength(entry);
      // A field that nobody keeps needs no name: copying large names again and again would be work for nothing.
      if (adds || !taker.full) copyLine(table.bytes, table.start(entry), length, lines, at);
      nameEnd = at + length;
      info = table.note(entry) & NAME_BITS;
    }
    lines[nameEnd] = COLON;
    lines[nameEnd + 1] = SPACE;
    const valueStart = nameEnd + 2;
    const valueEnd = this.#string(block, p, end, lines, valueStart);
    if (valueEnd < 0) return -1;
    info |= valueInfo(lines, valueStart, valueEnd);
    lines[valueEnd] = CR;
    lines[valueEnd + 1] = LF;
    const nameLength = nameEnd - at;
    const valueLength = valueEnd - valueStart;
    if (adds) this.#table.insert(lines, at, nameLength, valueStart, valueLength, info);
    else if ((block[start]! & 0x10) !== 0) info |= SENSITIVE;
    taker.count(nameLength + valueLength + ENTRY_OVERHEAD);
    return taker.full ? at : taker.take(at, nameLength, valueLength, info);
  }

  /** Puts a string at `to[out, ...)` and returns its end there, or -1. */
  #string(block: Uint8Array, start: number, end: number, to: Uint8Array, out: number): number {
    if (start >= end) return -1;
    const huffman = (block[start]! & 0x80) !== 0;
    const length = this.#integer(block, start, end, 127);
    const p = this.#next;
    if (length < 0 || length > end - p) return -1;
    this.#next = p + length;
    return huffman ? decodeHuffman(block, p, p + length, to, out) : copyString(block, p, p + length, to, out);
  }

  /** RFC 7541, section 5.1; -1 when it is cut off or longer than any number that is needed. */
  #integer(block: Uint8Array, start: number, end: number, prefix: number): number {
    let value = block[start]! & prefix;
    let p = start + 1;
    if (value === prefix) {
      let shift = 0;
      for (;;) {
        if (p >= end || shift === 7 * MAX_INTEGER_BYTES) return -1;
        const byte = block[p++]!;
        value += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
        shift += 7;
      }
    }
    this.#next = p;
    return value;
  }
}

/** A loop is faster than a call into the engine for the lengths that fields have. */
function copyLine(from: Uint8Array, start: number, length: number, to: Uint8Array, out: number): void {
  for (let i = 0; i < length; i++) to[out + i] = from[start + i]!;
}
