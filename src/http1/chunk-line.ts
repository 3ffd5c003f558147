// The resumable scan of one chunk-size line with its extensions (RFC 9112, section 7.1).

import { CLASSES, CR, HEX, HTAB, LF, SP, TEXT, TOKEN } from './bytes.ts';
import { Scan } from './field-scanner.ts';
import type { ParseFailure } from './parse-failure.ts';

const At = {
  Size: 0,
  SpaceBeforeSemicolon: 1,
  SpaceBeforeName: 2,
  Name: 3,
  SpaceAfterName: 4,
  SpaceBeforeValue: 5,
  Value: 6,
  Quoted: 7,
  Escaped: 8,
  AfterQuoted: 9,
  LineFeed: 10,
} as const;
type At = (typeof At)[keyof typeof At];

/** 13 digits hold 2^52 - 1: every accepted size is exact as a number. Leading zeros count. */
const MAX_DIGITS = 13;
const SEMICOLON = 59;
const EQUALS = 61;
const QUOTE = 34;
const BACKSLASH = 92;

/**
 * Scans `1*HEXDIG [chunk-ext] CRLF`. Extensions are read by the whole grammar, with the white space that RFC 9112
 * demands of recipients, and thrown away: a recipient must not let one that it does not know change anything.
 */
export class ChunkLineScanner {
  failure: ParseFailure | '' = '';
  /** Where the scan stopped: after the line on `Done`. */
  position = 0;
  size = 0;
  /** Extension bytes of this line so far. */
  extensionBytes = 0;
  #at: At = At.Size;
  #digits = 0;

  /** Starts a new line. */
  begin(): void {
    this.size = 0;
    this.extensionBytes = 0;
    this.#at = At.Size;
    this.#digits = 0;
  }

  /** Scans on; `maxExtension` bounds the extension bytes of this line. */
  scan(bytes: Uint8Array, start: number, end: number, maxExtension: number): Scan {
    let p = start;
    while (p < end) {
      const byte = bytes[p]!;
      if (this.#at === At.Size) {
        const digit = HEX[byte]!;
        if (digit >= 0) {
          if (++this.#digits > MAX_DIGITS) return this.#fail('chunk-size-too-large');
          this.size = this.size * 16 + digit;
          p++;
          continue;
        }
        if (this.#digits === 0) return this.#fail(byte === LF ? 'bare-lf' : 'chunk-size-invalid');
      } else if (this.#at === At.LineFeed) {
        if (byte !== LF) return this.#fail('bare-cr');
        this.position = p + 1;
        return Scan.Done;
      }
      const next = nextOf(this.#at, byte);
      if (next < 0) return this.#fail(this.#invalid(byte));
      if (next !== At.LineFeed && ++this.extensionBytes > maxExtension) {
        return this.#fail('chunk-extension-too-large');
      }
      this.#at = next as At;
      p++;
    }
    this.position = p;
    return Scan.More;
  }

  #invalid(byte: number): ParseFailure {
    if (byte === LF) return 'bare-lf';
    return this.#at === At.Size ? 'chunk-size-invalid' : 'chunk-extension-invalid';
  }

  #fail(failure: ParseFailure): Scan {
    this.failure = failure;
    return Scan.Failed;
  }
}

/** The state after `byte`, or -1 when it must not stand there. CR ends a line only after a complete size or extension. */
function nextOf(at: At, byte: number): At | -1 {
  const space = byte === SP || byte === HTAB;
  const token = (CLASSES[byte]! & TOKEN) !== 0;
  switch (at) {
    case At.Size:
    case At.AfterQuoted:
      if (byte === CR) return At.LineFeed;
      if (byte === SEMICOLON) return At.SpaceBeforeName;
      return space ? At.SpaceBeforeSemicolon : -1;
    case At.SpaceBeforeSemicolon:
      if (byte === SEMICOLON) return At.SpaceBeforeName;
      return space ? at : -1;
    case At.SpaceBeforeName:
      if (token) return At.Name;
      return space ? at : -1;
    case At.Name:
      if (token) return at;
      if (byte === CR) return At.LineFeed;
      if (byte === SEMICOLON) return At.SpaceBeforeName;
      if (byte === EQUALS) return At.SpaceBeforeValue;
      return space ? At.SpaceAfterName : -1;
    case At.SpaceAfterName:
      if (byte === SEMICOLON) return At.SpaceBeforeName;
      if (byte === EQUALS) return At.SpaceBeforeValue;
      return space ? at : -1;
    case At.SpaceBeforeValue:
      if (byte === QUOTE) return At.Quoted;
      if (token) return At.Value;
      return space ? at : -1;
    case At.Value:
      if (token) return at;
      if (byte === CR) return At.LineFeed;
      if (byte === SEMICOLON) return At.SpaceBeforeName;
      return space ? At.SpaceBeforeSemicolon : -1;
    case At.Quoted:
      if (byte === QUOTE) return At.AfterQuoted;
      if (byte === BACKSLASH) return At.Escaped;
      return (CLASSES[byte]! & TEXT) !== 0 ? at : -1;
    case At.Escaped:
      return (CLASSES[byte]! & TEXT) !== 0 ? At.Quoted : -1;
    case At.LineFeed:
      return -1;
  }
}
