// Fixed-size buffers for bytes that are on their way out, reused so that bulk bodies allocate nothing.

/** One read of a socket (64 KiB) and the text and chunk framing around it fit in one buffer. */
export const OUT_BUFFER_BYTES = 68 * 1024;
const KEPT_AT_MOST = 64;

export class BufferPool {
  /** Of buffers that nothing refers to any more, since this was last set to 0: nobody but who looks here knows of them. */
  abandonedBytes = 0;
  readonly #free: Buffer[] = [];

  /**
   * Shared memory does not count as garbage to come: V8 would mark the whole heap, 10 to 40 ms, three times while
   * 1,500 clients that do not read take their buffers.
   */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(OUT_BUFFER_BYTES));
  }

  give(buffer: Buffer): void {
    if (this.#free.length < KEPT_AT_MOST) this.#free.push(buffer);
    else this.abandon();
  }

  /** One that was taken does not come back: its bytes have not left. */
  abandon(): void {
    this.abandonedBytes += OUT_BUFFER_BYTES;
  }
}
