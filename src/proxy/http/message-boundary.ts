// Knows whether a stream of length-prefixed messages (gRPC over HTTP/2) stands between two of them.

const PREFIX_BYTES = 5;

export class MessageBoundary {
  /** Bytes of the prefix that have come. */
  #prefix = 0;
  #length = 0;
  /** Bytes of the message that have not. */
  #left = 0;

  /** Whether the last message is complete. */
  get reached(): boolean {
    return this.#prefix === 0 && this.#left === 0;
  }

  pass(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, end - at);
        this.#left -= passed;
        at += passed;
        continue;
      }
      const byte = buffer[at++]!;
      // The first byte says whether the message is compressed.
      this.#length = this.#prefix === 0 ? 0 : this.#length * 256 + byte;
      this.#prefix += 1;
      if (this.#prefix < PREFIX_BYTES) continue;
      this.#prefix = 0;
      this.#left = this.#length;
    }
  }
}
