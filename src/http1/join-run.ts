// Body bytes of one read without the framing that lay between them.

import type { Buffer } from 'node:buffer';

/**
 * Moves decoded bytes up behind those before them in the same read, over the framing that lay between: whatever their
 * sender's chunks were, they go on as one, so that chunks of one byte are no more work for the next than for us.
 * @returns the end of the run
 */
export function joinRun(buffer: Buffer, runEnd: number, start: number, end: number): number {
  if (start === runEnd) return end;
  // A call into native code costs more than some bytes do.
  if (end - start > 32) return runEnd + buffer.copy(buffer, runEnd, start, end);
  let to = runEnd;
  for (let from = start; from < end; from += 1) buffer[to++] = buffer[from]!;
  return to;
}
