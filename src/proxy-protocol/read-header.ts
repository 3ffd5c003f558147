// Reads the PROXY header at the start of a connection, however its bytes arrive.

import { FIXED_BYTES, SIGNATURE, WORD } from './header.ts';
import { readBinary } from './read-binary.ts';
import { readLine } from './read-line.ts';
import { ABSENT, MORE, type Reading } from './reading.ts';

/**
 * Reads `bytes[0, length)`, all that has come so far: ask again with more bytes while the answer is `more`, which costs
 * nothing that grows. Nothing is guessed: what a header may not be is refused as soon as it is seen.
 */
export function readHeader(bytes: Buffer, length: number): Reading {
  if (length === 0) return MORE;
  if (bytes[0] === WORD[0]) return begins(bytes, length, WORD) ? readLine(bytes, length) : ABSENT;
  if (!begins(bytes, length, SIGNATURE)) return ABSENT;
  return length < FIXED_BYTES ? MORE : readBinary(bytes, length);
}

/** Whether the bytes are the start of `start`, or start with it. */
function begins(bytes: Buffer, length: number, start: Buffer): boolean {
  const count = Math.min(length, start.length);
  return bytes.compare(start, 0, count, 0, count) === 0;
}
