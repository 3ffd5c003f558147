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
