// The resumable scan of a status line (RFC 9112, section 4).

import { CLASSES, CR, DIGIT, LF, SP, TEXT } from './bytes.ts';
import { Scan } from './field-scanner.ts';
import type { ParseFailure } from './parse-failure.ts';

const STATUS_START = 9;
const STATUS_END = 12;
const VERSION = 'HTTP/1.';

/**
 * Scans `HTTP/1.x SP 3DIGIT [SP reason] CRLF`. The space after the status may be missing when there is no reason,
 * which many servers get wrong and nothing depends on. Status 100 to 599 (RFC 9110, section 15).
 */
export class StatusLineScanner {
  failure: ParseFailure | '' = '';
  /** Offset of the first byte not scanned; after `Done` the offset of the first field line. */
  position = 0;
  minor: 0 | 1 = 1;
  status = 0;
  /** Offset of the end of the reason, which begins one byte after the status. */
  reasonEnd = 0;

  /** Starts a new line at the base. */
  begin(): void {
    this.position = 0;
    this.status = 0;
    this.reasonEnd = 0;
  }

  /** Goes on at `base + position`; see `FieldScanner.scan`. */
  scan(bytes: Uint8Array, base: number, end: number): Scan {
    let p = base + this.position;
    while (p < end && p - base <= STATUS_END) {
      const failure = this.#badPrefix(p - base, bytes[p]!);
      if (failure !== '') return this.#fail(failure);
      p++;
    }
    if (p - base > STATUS_END && this.reasonEnd === 0) {
      while (p < end && (CLASSES[bytes[p]!]! & TEXT) !== 0) p++;
      if (p < end) {
        if (bytes[p] !== CR) return this.#fail(bytes[p] === LF ? 'bare-lf' : 'reason-invalid');
        this.reasonEnd = p - base;
        p++;
      }
    }
    if (p < end) {
      if (bytes[p] !== LF) return this.#fail('bare-cr');
      this.position = p + 1 - base;
      return Scan.Done;
    }
    this.position = p - base;
    return Scan.More;
  }

  #badPrefix(index: number, byte: number): ParseFailure | '' {
    if (index < VERSION.length) {
      if (byte === VERSION.charCodeAt(index)) return '';
      return index === 5 && (CLASSES[byte]! & DIGIT) !== 0 ? 'version-unsupported' : 'version-invalid';
    }
    if (index === VERSION.length) {
      if ((CLASSES[byte]! & DIGIT) === 0) return 'version-invalid';
      if (byte > 49) return 'version-unsupported';
      this.minor = byte === 49 ? 1 : 0;
      return '';
    }
    if (index < STATUS_START) return byte === SP ? '' : 'version-invalid';
    if (index < STATUS_END) {
      if ((CLASSES[byte]! & DIGIT) === 0) return 'status-invalid';
      if (index === STATUS_START && (byte < 49 || byte > 53)) return 'status-invalid';
      this.status = this.status * 10 + byte - 48;
      return '';
    }
    if (byte === SP) return '';
    if (byte !== CR) return byte === LF ? 'bare-lf' : 'status-invalid';
    this.reasonEnd = index;
    return '';
  }

  #fail(failure: ParseFailure): Scan {
    this.failure = failure;
    return Scan.Failed;
  }
}
