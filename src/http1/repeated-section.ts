// The field lines that came last, and what was found in them: who sends the same lines again has them compared, not scanned.

import type { Buffer } from 'node:buffer';
import { LF } from './bytes.ts';
import type { MessageHead } from './message-head.ts';

/** Longer sections, and more fields, are scanned each time. */
const MOST_BYTES = 2048;
const MOST_FIELDS = 32;
/** After so many in a row that were unlike the one before, only each sixteenth is kept. */
const MOST_OTHERS = 4;
const KEPT_AGAIN = 16;
/** Until a section is kept, which most connections never do. */
const NO_IDS = new Uint8Array(0);
const NO_OFFSETS = new Uint16Array(0);

/**
 * Of one parser. A scan is a function of the bytes and of the parser's limits, so equal bytes need no second one: a kept
 * connection mostly repeats its fields, and a target its own within the second that `Date` counts. A request of a browser is
 * parsed in 640 ns instead of 1460 (docs/decisions/0033-field-lines-that-repeat.md).
 */
export class RepeatedSection {
  /** '' while there is none. */
  #text = '';
  #ids = NO_IDS;
  /** As in a head, from the begin of the section. */
  #offsets = NO_OFFSETS;
  #count = 0;
  #seen = 0;
  #repeated = 0;
  #droppedCount = 0;
  #plain = true;
  /** In a row, that were not like the one before. */
  #others = 0;

  /**
   * Fills `head`, its text too, where `bytes[start, end)` begins with the section that came last. Strings are compared, which is
   * native code: byte by byte it takes as long as a scan.
   * @param base where the head begins, which offsets count from
   * @returns the length of the section; 0 where it is another, or not whole
   */
  take(bytes: Buffer, start: number, end: number, base: number, head: MessageHead): number {
    const { length } = this.#text;
    if (length === 0 || end - start < length || bytes[start + length - 1] !== LF) return 0;
    const text = bytes.latin1Slice(base, start + length);
    const shift = start - base;
    if (text.slice(shift) !== this.#text) return 0;
    this.#others = 0;
    head.text = text;
    this.#fill(head, shift);
    return length;
  }

  #fill(head: MessageHead, shift: number): void {
    const count = this.#count;
    const { ids, offsets } = head;
    for (let i = 0; i < count; i++) ids[i] = this.#ids[i]!;
    for (let i = 0; i < 4 * count; i++) offsets[i] = this.#offsets[i]! + shift;
    head.count = count;
    head.seen = this.#seen;
    head.repeated = this.#repeated;
    head.droppedCount = this.#droppedCount;
    head.plain = this.#plain;
    head.repeatsFields = true;
  }

  /** Keeps the section `bytes[start, end)`, which `head` has been filled from, or forgets the one before. */
  keep(bytes: Buffer, start: number, end: number, base: number, head: MessageHead): void {
    this.#text = '';
    this.#others += 1;
    // The first of a connection is the only one of most.
    if (this.#others === 1 || (this.#others > MOST_OTHERS && this.#others % KEPT_AGAIN !== 0)) return;
    if (end - start > MOST_BYTES || head.count > MOST_FIELDS) return;
    const { ids, offsets, count } = head;
    const shift = start - base;
    if (this.#ids === NO_IDS) {
      this.#ids = new Uint8Array(MOST_FIELDS);
      this.#offsets = new Uint16Array(4 * MOST_FIELDS);
    }
    for (let i = 0; i < count; i++) this.#ids[i] = ids[i]!;
    for (let i = 0; i < 4 * count; i++) this.#offsets[i] = offsets[i]! - shift;
    this.#text = bytes.latin1Slice(start, end);
    this.#count = count;
    this.#seen = head.seen;
    this.#repeated = head.repeated;
    this.#droppedCount = head.droppedCount;
    this.#plain = head.plain;
  }
}
