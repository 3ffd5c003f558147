// The strict, resumable scan of field lines: it can stop after any byte and judges each byte exactly once.

import type { Buffer } from 'node:buffer';
import { ALIAS, CLASSES, COLON, CR, HTAB, LF, PLAIN_NAME, SP, TOKEN, UNDERSCORE } from './bytes.ts';
import { FieldId, fieldIdOf, isKnownAlias } from './field-id.ts';
import type { MessageHead } from './message-head.ts';
import type { ParseFailure } from './parse-failure.ts';
import { RepeatedSection } from './repeated-section.ts';

/** What a scan found: `More` needs bytes after the given end. */
export const Scan = { More: 0, Done: 1, Failed: 2 } as const;
export type Scan = (typeof Scan)[keyof typeof Scan];

/**
 * What becomes of names with an underscore, which CGI-like backends confuse with the dashed name: `drop` marks them
 * `FieldId.Dropped` (as nginx does by default), `refuse` fails, `pass` keeps them. An alias of a name that Portico
 * knows (`X_Forwarded_For`, `X.Forwarded~For`) is marked dropped under `pass` too; `trust` looks at nothing and is
 * for responses.
 */
export type UnderscorePolicy = 'drop' | 'refuse' | 'pass' | 'trust';

const At = { Line: 0, Name: 1, Space: 2, Value: 3, LineFeed: 4, LastLineFeed: 5 } as const;
type At = (typeof At)[keyof typeof At];

/** Scans the field lines of one section after another into a head. */
export class FieldScanner {
  /** Set when `scan` returns `Failed`. */
  failure: ParseFailure | '' = '';
  /** Offset, from the base, of the first byte that is not scanned yet; after `Done` the length of the head. */
  position = 0;
  readonly #head: MessageHead;
  readonly #maxCount: number;
  readonly #underscores: UnderscorePolicy;
  readonly #last = new RepeatedSection();
  /** Where the section begins, from the base. */
  #start = 0;
  #at: At = At.Line;
  #nameStart = 0;
  #nameEnd = 0;
  #valueStart = 0;
  #valueEnd = 0;
  #classes = 0;

  constructor(head: MessageHead, maxCount: number, underscores: UnderscorePolicy) {
    this.#head = head;
    this.#maxCount = maxCount;
    this.#underscores = underscores;
  }

  /** Starts a section whose first line begins at offset `position` from the base. */
  begin(position: number): void {
    this.position = position;
    this.#start = position;
    this.#at = At.Line;
  }

  /**
   * Goes on at `base + position`. The bytes from `base` on must be those of the earlier calls: offsets are kept
   * relative to it, so that a head may move to another buffer between two calls.
   */
  scan(bytes: Buffer, base: number, end: number): Scan {
    let p = base + this.position;
    let at = this.#at;
    if (at === At.Line) {
      if (this.position === this.#start) {
        const length = this.#last.take(bytes, p, end, base, this.#head);
        if (length > 0) {
          this.position += length;
          return Scan.Done;
        }
      }
      p = this.#takePlainLines(bytes, base, p, end);
    }
    let nameStart = this.#nameStart;
    let nameEnd = this.#nameEnd;
    let valueStart = this.#valueStart;
    let valueEnd = this.#valueEnd;
    let classes = this.#classes;
    while (p < end) {
      if (at === At.Line) {
        const byte = bytes[p]!;
        if (byte === CR) {
          at = At.LastLineFeed;
          p++;
          continue;
        }
        if ((CLASSES[byte]! & TOKEN) === 0) return this.#fail(this.#badLineStart(byte));
        nameStart = p - base;
        classes = 0;
        at = At.Name;
      }
      if (at === At.Name) {
        let bits = 0;
        while (p < end) {
          bits = CLASSES[bytes[p]!]!;
          if ((bits & TOKEN) === 0) break;
          classes |= bits;
          p++;
        }
        if (p === end) break;
        if (bytes[p] !== COLON) return this.#fail(badInName(bytes[p]!));
        nameEnd = p - base;
        at = At.Space;
        p++;
      }
      if (at === At.Space) {
        while (p < end && (bytes[p] === SP || bytes[p] === HTAB)) p++;
        if (p === end) break;
        valueStart = p - base;
        at = At.Value;
      }
      if (at === At.Value) {
        p = skipPlainText(bytes, p, end);
        while (p < end) {
          const byte = bytes[p]!;
          if (byte < SP ? byte !== HTAB : byte === 0x7f) break;
          p++;
        }
        if (p === end) break;
        if (bytes[p] !== CR) return this.#fail(bytes[p] === LF ? 'bare-lf' : 'field-value-invalid');
        let last = p;
        while (last - base > valueStart && (bytes[last - 1] === SP || bytes[last - 1] === HTAB)) last--;
        valueEnd = last - base;
        at = At.LineFeed;
        p++;
        if (p === end) break;
      }
      if (bytes[p] !== LF) return this.#fail('bare-cr');
      p++;
      if (at === At.LastLineFeed) {
        this.position = p - base;
        this.#head.fieldsVersion += 1;
        this.#last.keep(bytes, base + this.#start, p, base, this.#head);
        return Scan.Done;
      }
      const plain =
        valueStart === nameEnd + 2 && valueEnd === p - base - 2 && bytes[base + nameEnd + 1] === SP;
      const failure = this.#add(bytes, base, nameStart, nameEnd, valueStart, valueEnd, classes, plain);
      if (failure !== '') return this.#fail(failure);
      at = At.Line;
    }
    this.position = p - base;
    this.#at = at;
    this.#nameStart = nameStart;
    this.#nameEnd = nameEnd;
    this.#valueStart = valueStart;
    this.#valueEnd = valueEnd;
    this.#classes = classes;
    return Scan.More;
  }

  /**
   * The fast path: takes lines that are whole, `name: value` with one space and a value of visible ASCII, and have
   * nothing odd about them. It judges nothing: at the first line of another kind it stops, and returns where that
   * line begins, for `scan` to read it.
   */
  #takePlainLines(bytes: Uint8Array, base: number, start: number, end: number): number {
    const head = this.#head;
    const room = Math.min(this.#maxCount, head.ids.length);
    const { ids, offsets } = head;
    let { count, seen, repeated } = head;
    let line = start;
    while (count < room) {
      let p = line;
      while (p < end && (CLASSES[bytes[p]!]! & PLAIN_NAME) !== 0) p++;
      const nameEnd = p;
      if (
        p + 3 >= end ||
        nameEnd === line ||
        bytes[p] !== COLON ||
        bytes[p + 1] !== SP ||
        bytes[p + 2]! <= SP
      )
        break;
      p = skipPlainText(bytes, p + 2, end);
      while (p < end && bytes[p]! >= SP && bytes[p]! < 0x7f) p++;
      if (p + 1 >= end || bytes[p] !== CR || bytes[p + 1] !== LF || bytes[p - 1] === SP) break;
      const id = fieldIdOf(bytes, line, nameEnd);
      const o = 4 * count;
      offsets[o] = line - base;
      offsets[o + 1] = nameEnd - base;
      offsets[o + 2] = nameEnd + 2 - base;
      offsets[o + 3] = p - base;
      ids[count] = id;
      count++;
      if (id !== FieldId.Unknown && id < 32) {
        const bit = 1 << id;
        repeated |= seen & bit;
        seen |= bit;
      }
      line = p + 2;
    }
    head.count = count;
    head.seen = seen;
    head.repeated = repeated;
    return line;
  }

  #add(
    bytes: Uint8Array,
    base: number,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    classes: number,
    plain: boolean,
  ): ParseFailure | '' {
    const head = this.#head;
    const i = head.count;
    if (i === this.#maxCount) return 'header-count';
    if (i === head.ids.length) head.grow();
    let id = fieldIdOf(bytes, base + nameStart, base + nameEnd);
    if ((classes & ALIAS) !== 0 && this.#underscores !== 'trust') {
      if ((classes & UNDERSCORE) !== 0) {
        if (this.#underscores === 'refuse') return 'field-name-underscore';
        if (this.#underscores === 'drop') id = FieldId.Dropped;
      }
      if (isKnownAlias(bytes, base + nameStart, base + nameEnd)) id = FieldId.Dropped;
      if (id === FieldId.Dropped) head.droppedCount++;
    }
    const offsets = head.offsets;
    const o = 4 * i;
    offsets[o] = nameStart;
    offsets[o + 1] = nameEnd;
    offsets[o + 2] = valueStart;
    offsets[o + 3] = valueEnd;
    head.ids[i] = id;
    head.count = i + 1;
    if (!plain) head.plain = false;
    if (id !== FieldId.Unknown && id < 32) {
      const bit = 1 << id;
      head.repeated |= head.seen & bit;
      head.seen |= bit;
    }
    return '';
  }

  #badLineStart(byte: number): ParseFailure {
    if (byte === SP || byte === HTAB)
      return this.#head.count > 0 ? 'obsolete-folding' : 'space-before-fields';
    if (byte === COLON) return 'field-name-empty';
    return byte === LF ? 'bare-lf' : 'field-name-invalid';
  }

  #fail(failure: ParseFailure): Scan {
    this.failure = failure;
    return Scan.Failed;
  }
}

function badInName(byte: number): ParseFailure {
  if (byte === SP || byte === HTAB) return 'field-name-space';
  if (byte === CR) return 'field-without-colon';
  return byte === LF ? 'bare-lf' : 'field-name-invalid';
}

/**
 * Passes over visible ASCII and spaces four bytes at a time, without a branch for each: nearly all bytes of nearly all
 * heads. Stops up to three bytes early; what it stops at is looked at byte by byte.
 */
function skipPlainText(bytes: Uint8Array, start: number, end: number): number {
  const last = end - 3;
  let p = start;
  while (p < last) {
    const a = bytes[p]!;
    const b = bytes[p + 1]!;
    const c = bytes[p + 2]!;
    const d = bytes[p + 3]!;
    // Negative when one of the four is below SP or above `~`.
    if (((a - 32) | (126 - a) | (b - 32) | (126 - b) | (c - 32) | (126 - c) | (d - 32) | (126 - d)) < 0)
      break;
    p += 4;
  }
  return p;
}
