// Body bytes on their way through: those of one read together, and out in our own framing.

import { CHUNK_SUFFIX, chunkPrefix } from '../../http1/write.ts';
import type { Wire } from '../wire/wire.ts';

/** One run of decoded bytes: a chunk of its own, or as it is. */
export function writeBody(wire: Wire, chunked: boolean, buffer: Buffer, start: number, end: number): void {
  if (!chunked) {
    wire.bytes(buffer, start, end);
    return;
  }
  wire.text(chunkPrefix(end - start));
  wire.bytes(buffer, start, end);
  wire.text(CHUNK_SUFFIX);
}

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
