// The syntax of host and port in Host and in absolute targets, read strictly from raw bytes.

import { isIPv6 } from 'node:net';
import { CLASSES, COLON, DIGIT, LABEL } from './bytes.ts';

const DOT = 46;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
/** DNS allows 253; IP literals are shorter. */
const MAX_HOST = 255;

/** Bits of `scanAuthority`'s answer below the length of the host. */
export const HAS_UPPER_CASE = 1;
export const HAS_TRAILING_DOT = 2;

/**
 * Reads `host [":" port]` in `bytes[start, end)` (RFC 3986, section 3.2, without user information). The host is an
 * IPv6 literal in brackets, or labels of letters, digits, `-` and `_` with single dots between them and at most one
 * after the last; an international name comes as punycode. Percent-encoding and sub-delimiters, which RFC 3986
 * would allow and DNS does not, are refused. The port is empty or at most 65535.
 * @returns the length of the host times 4 plus the bits above, or -1 when it is not valid
 */
export function scanAuthority(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return -1;
  if (bytes[start] === OPEN_BRACKET) return scanLiteral(bytes, start, end);
  let flags = 0;
  let p = start;
  let labelStart = start;
  while (p < end) {
    const byte = bytes[p]!;
    if ((CLASSES[byte]! & LABEL) === 0) {
      if (byte !== DOT) break;
      if (p === labelStart) return -1;
      labelStart = p + 1;
    } else if (byte >= 65 && byte <= 90) flags |= HAS_UPPER_CASE;
    p++;
  }
  const length = p - start;
  if (length === 0 || length > MAX_HOST) return -1;
  if (labelStart === p) flags |= HAS_TRAILING_DOT;
  return isPortOrEnd(bytes, p, end) ? length * 4 + flags : -1;
}

function scanLiteral(bytes: Uint8Array, start: number, end: number): number {
  let p = start + 1;
  let flags = 0;
  let text = '';
  while (p < end && bytes[p] !== CLOSE_BRACKET) {
    const byte = bytes[p]!;
    // Only what an address can hold: a zone (`%eth0`) means nothing to another host.
    if (p - start > 45 || byte === 37) return -1;
    if (byte >= 65 && byte <= 90) flags |= HAS_UPPER_CASE;
    text += String.fromCharCode(byte);
    p++;
  }
  if (p === end || !isIPv6(text)) return -1;
  p++;
  return isPortOrEnd(bytes, p, end) ? (p - start) * 4 + flags : -1;
}

function isPortOrEnd(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  if (bytes[start] !== COLON || end - start > 6) return false;
  let port = 0;
  for (let p = start + 1; p < end; p++) {
    const byte = bytes[p]!;
    if ((CLASSES[byte]! & DIGIT) === 0) return false;
    port = port * 10 + byte - 48;
  }
  return port <= 65535;
}
