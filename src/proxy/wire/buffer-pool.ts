// Fixed-size buffers for bytes that are on their way out, reused so that bulk bodies allocate nothing.

/** One read of a socket (64 KiB) and the text and chunk framing around it fit in one buffer. */
export const OUT_BUFFER_BYTES = 68 * 1024;
const KEPT_AT_MOST = 64;

export class BufferPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(OUT_BUFFER_BYTES);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < KEPT_AT_MOST) this.#free.push(buffer);
  }
}
