// The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).

import { ALL_BITS, BITS, seen } from './byte-bits.ts';

/** Bits of each symbol's code, in base 36; the last is EOS. The code is canonical, so the lengths say all of it. */
const LENGTHS_TEXT =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq' +
  'u';
const SYMBOLS = 257;
const EOS = 256;
const LONGEST = 30;
/** Codes of at most this many bits, which are those of all usual text, are found with one look. */
const QUICK = 10;
const QUICK_MASK = (1 << QUICK) - 1;

const LENGTHS = new Uint8Array(SYMBOLS);
const CODES = new Uint32Array(SYMBOLS);
/** Symbols in the order of their codes. */
const SORTED = new Uint16Array(SYMBOLS);
/** By length: the first code, how many there are, and where they begin in `SORTED`. */
const FIRST = new Int32Array(LONGEST + 1);
const COUNT = new Uint16Array(LONGEST + 1);
const INDEX = new Uint16Array(LONGEST + 1);
/** By the next `QUICK` bits: length * 256 + symbol, or 0 for a longer code. */
const QUICK_CODES = new Uint16Array(1 << QUICK);

for (let symbol = 0; symbol < SYMBOLS; symbol++) LENGTHS[symbol] = Number.parseInt(LENGTHS_TEXT[symbol]!, 36);
for (let length = 1, code = 0, sorted = 0; length <= LONGEST; length++, code *= 2) {
  FIRST[length] = code;
  INDEX[length] = sorted;
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    if (LENGTHS[symbol] !== length) continue;
    CODES[symbol] = code++;
    SORTED[sorted++] = symbol;
    COUNT[length]!++;
    if (length > QUICK) continue;
    const rest = QUICK - length;
    QUICK_CODES.fill(length * 256 + symbol, (code - 1) << rest, code << rest);
  }
}

/**
 * Decodes `from[start, end)` to `to[out, ...)`, where there must be room for 8/5 of the bytes; `seen` says which
 * kinds of bytes came.
 * @returns the end of what was written, or -1: EOS, or padding that is not the shortest run of ones
 */
export function decodeHuffman(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  out: number,
): number {
  let p = start;
  let o = out;
  let waiting = 0;
  let count = 0;
  let all = ALL_BITS;
  let any = 0;
  for (;;) {
    if (count < QUICK) {
      if (end - p >= 2) {
        waiting = ((waiting << 16) | (from[p]! << 8) | from[p + 1]!) & 0x3ffffff;
        p += 2;
        count += 16;
      } else if (p < end) {
        waiting = ((waiting << 8) | from[p]!) & 0x3ffffff;
        p++;
        count += 8;
      }
    }
    const next =
      count >= QUICK
        ? (waiting >>> (count - QUICK)) & QUICK_MASK
        : ((waiting << (QUICK - count)) | (QUICK_MASK >>> count)) & QUICK_MASK;
    const quick = QUICK_CODES[next]!;
    const length = quick >>> 8;
    let symbol = quick & 255;
    if (length !== 0 && length <= count) {
      count -= length;
    } else if (count < QUICK && p === end) {
      const ones = (1 << count) - 1;
      if (count > 7 || (waiting & ones) !== ones) return -1;
      seen.all = all;
      seen.any = any;
      return o;
    } else {
      const found = decodeLong(from, 8 * p - count, 8 * end);
      if (found < 0) return -1;
      symbol = found & 255;
      const bit = 8 * p - count + (found >>> 8);
      p = (bit + 7) >>> 3;
      count = 8 * p - bit;
      waiting = count === 0 ? 0 : from[p - 1]!;
    }
    const kinds = BITS[symbol]!;
    all &= kinds;
    any |= kinds;
    to[o++] = symbol;
  }
}

/**
 * The code longer than `QUICK` that begins at a bit: rare, and kept apart so that the usual way stays within small integers.
 * @returns its length * 256 + the symbol, or -1 when it is EOS or cut off
 */
function decodeLong(from: Uint8Array, start: number, end: number): number {
  let code = 0;
  for (let length = 1; length <= LONGEST && start + length <= end; length++) {
    const bit = start + length - 1;
    code = (code << 1) | ((from[bit >>> 3]! >>> (7 - (bit & 7))) & 1);
    const at = code - FIRST[length]!;
    if (length <= QUICK || at < 0 || at >= COUNT[length]!) continue;
    const symbol = SORTED[INDEX[length]! + at]!;
    return symbol === EOS ? -1 : length * 256 + symbol;
  }
  return -1;
}

/** How many bytes the code of `from[start, end)` takes. */
export function huffmanLength(from: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let p = start; p < end; p++) bits += LENGTHS[from[p]!]!;
  return (bits + 7) >>> 3;
}

/** Encodes `from[start, end)` to `to[out, ...)`. @returns the end of what was written */
export function encodeHuffman(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  out: number,
): number {
  let o = out;
  let waiting = 0;
  let count = 0;
  for (let p = start; p < end; p++) {
    const byte = from[p]!;
    let length = LENGTHS[byte]!;
    let code = CODES[byte]!;
    if (length > 24) {
      // Up to 7 bits wait already, and 32 is all that fits.
      length -= 16;
      waiting = (waiting << length) | (code >>> 16);
      count += length;
      while (count >= 8) {
        count -= 8;
        to[o++] = waiting >>> count;
      }
      code &= 0xffff;
      length = 16;
    }
    waiting = (waiting << length) | code;
    count += length;
    while (count >= 8) {
      count -= 8;
      to[o++] = waiting >>> count;
    }
  }
  if (count > 0) to[o++] = (waiting << (8 - count)) | (0xff >>> count);
  return o;
}
