// The resumable scan of a request line (RFC 9112, section 3).

import { CLASSES, CR, DIGIT, LF, SP, TARGET, TOKEN } from './bytes.ts';
import { Scan } from './field-scanner.ts';
import type { ParseFailure } from './parse-failure.ts';

const At = { Method: 0, Target: 1, Version: 2 } as const;
type At = (typeof At)[keyof typeof At];

/** Longest method accepted; the longest registered one (UPDATEREDIRECTREF) has 17 letters. */
export const MAX_METHOD = 32;
const VERSION_LINE = 'HTTP/1.1\r\n';

/** Scans `method SP target SP HTTP/1.x CRLF`, with exactly one space in each place. Offsets are relative to the base. */
export class RequestLineScanner {
  failure: ParseFailure | '' = '';
  /** Offset of the first byte not scanned; after `Done` the offset of the first field line. */
  position = 0;
  methodEnd = 0;
  /** Whether the method is HEAD; false until it is complete. */
  methodIsHead = false;
  targetEnd = 0;
  minor: 0 | 1 = 1;
  #at: At = At.Method;
  #versionStart = 0;
  #major = 1;

  /** Starts a new line at the base. */
  begin(): void {
    this.position = 0;
    this.methodIsHead = false;
    this.#at = At.Method;
  }

  /** Whether the target is not complete yet: then it is the target that is too long. */
  get beforeVersion(): boolean {
    return this.#at !== At.Version;
  }

  /** Goes on at `base + position`; see `FieldScanner.scan`. */
  scan(bytes: Uint8Array, base: number, end: number): Scan {
    let p = base + this.position;
    if (this.#at === At.Method) {
      const limit = Math.min(end, base + MAX_METHOD + 1);
      while (p < limit && (CLASSES[bytes[p]!]! & TOKEN) !== 0) p++;
      if (p - base > MAX_METHOD) return this.#fail('method-invalid');
      if (p === end) return this.#more(p - base);
      if (bytes[p] !== SP || p === base) return this.#fail(lineEnd(bytes[p]!, 'method-invalid'));
      this.methodEnd = p - base;
      this.methodIsHead = p - base === 4 && isHead(bytes, base);
      this.#at = At.Target;
      p++;
    }
    if (this.#at === At.Target) {
      while (p < end && (CLASSES[bytes[p]!]! & TARGET) !== 0) p++;
      if (p === end) return this.#more(p - base);
      const byte = bytes[p]!;
      if (p - base === this.methodEnd + 1) return this.#fail(lineEnd(byte, 'target-invalid'));
      if (byte !== SP) {
        // `GET /path` and no version is what HTTP/0.9 looks like.
        return this.#fail(byte === CR ? 'version-missing' : lineEnd(byte, 'target-invalid'));
      }
      this.targetEnd = p - base;
      this.#at = At.Version;
      p++;
      this.#versionStart = p - base;
    }
    const start = base + this.#versionStart;
    if (p === start && end - p >= VERSION_LINE.length && isVersion11(bytes, p)) {
      this.minor = 1;
      this.position = p + VERSION_LINE.length - base;
      return Scan.Done;
    }
    while (p < end) {
      const failure = this.#badVersion(p - start, bytes[p]!);
      if (failure !== '') return this.#fail(failure);
      p++;
      if (p - start === VERSION_LINE.length) {
        this.position = p - base;
        return Scan.Done;
      }
    }
    return this.#more(p - base);
  }

  #badVersion(index: number, byte: number): ParseFailure | '' {
    if (index === 5 || index === 7) {
      if ((CLASSES[byte]! & DIGIT) === 0) return lineEnd(byte, 'version-invalid');
      if (index === 5) {
        this.#major = byte - 48;
        return '';
      }
      if (this.#major !== 1 || byte > 49) return 'version-unsupported';
      this.minor = byte === 49 ? 1 : 0;
      return '';
    }
    if (byte === VERSION_LINE.charCodeAt(index)) return '';
    if (index === 9) return 'bare-cr';
    return lineEnd(byte, 'version-invalid');
  }

  #more(position: number): Scan {
    this.position = position;
    return Scan.More;
  }

  #fail(failure: ParseFailure): Scan {
    this.failure = failure;
    return Scan.Failed;
  }
}

function isHead(bytes: Uint8Array, p: number): boolean {
  return bytes[p] === 0x48 && bytes[p + 1] === 0x45 && bytes[p + 2] === 0x41 && bytes[p + 3] === 0x44;
}

/** Whether `HTTP/1.1 CRLF` stands at `p`: nearly always, and then it need not be read byte by byte. */
function isVersion11(bytes: Uint8Array, p: number): boolean {
  return (
    bytes[p] === 0x48 &&
    bytes[p + 1] === 0x54 &&
    bytes[p + 2] === 0x54 &&
    bytes[p + 3] === 0x50 &&
    bytes[p + 4] === 0x2f &&
    bytes[p + 5] === 0x31 &&
    bytes[p + 6] === 0x2e &&
    bytes[p + 7] === 0x31 &&
    bytes[p + 8] === CR &&
    bytes[p + 9] === LF
  );
}

function lineEnd(byte: number, otherwise: ParseFailure): ParseFailure {
  return byte === LF ? 'bare-lf' : otherwise;
}
