// Where a connection's frames are collected, so that those of many streams leave in one write.

import type { Buffer } from 'node:buffer';

/** Least size of the buffers that a sink hands out: the largest frame that is written, and room for small ones. */
export const OUTPUT_BUFFER_BYTES = 32 * 1024;

/** Takes what a connection writes; the session implements it over its wire. */
export interface OutputSink {
  /** An empty buffer of at least `OUTPUT_BUFFER_BYTES`; it belongs to the connection until it is sent. */
  take(): Buffer;
  /** `buffer[0, used)` is to be written; the buffer belongs to the sink again. `used` may be 0. */
  send(buffer: Buffer, used: number): void;
  /** Output has begun to collect: `flush` is to be called when this pass is over. Called once before each flush. */
  pending(): void;
}
