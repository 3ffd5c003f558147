// What a byte may be part of, as bits that are collected while strings are copied.

import { CLASSES } from '../http1/bytes.ts';

/** In addition to the classes of `http1/bytes.ts`: a byte of a field name as HTTP/2 has it, and a capital letter. */
export const LOWER_TOKEN = 256;
export const CAPITAL = 512;
export const ALL_BITS = 1023;

/** The bits of every byte. */
export const BITS: Uint16Array = new Uint16Array(256);

for (let byte = 0; byte < 256; byte++) {
  const capital = byte >= 65 && byte <= 90;
  const classes = CLASSES[byte]!;
  BITS[byte] = classes | (capital ? CAPITAL : 0) | ((classes & 1) !== 0 && !capital ? LOWER_TOKEN : 0);
}

/** The bits that all bytes, and any byte, of the last string had; read at once by whoever had it copied. */
export const seen = { all: ALL_BITS, any: 0 };

/** Copies `from[start, end)` to `to[out, ...)` and sets `seen`. @returns the end of what was written */
export function copyString(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  out: number,
): number {
  let o = out;
  let all = ALL_BITS;
  let any = 0;
  for (let p = start; p < end; p++) {
    const byte = from[p]!;
    const kinds = BITS[byte]!;
    all &= kinds;
    any |= kinds;
    to[o++] = byte;
  }
  seen.all = all;
  seen.any = any;
  return o;
}
