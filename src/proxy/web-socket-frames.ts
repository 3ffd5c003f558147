// Where the frames of a WebSocket begin and end (RFC 6455, section 5.2): only there can a frame of ours stand.

/** A control frame with two bytes of payload: Close with a code (RFC 6455, sections 5.5.1 and 7.4.1). */
export function closeFrame(code: number): Buffer {
  return Buffer.from([0x88, 2, code >> 8, code & 0xff]);
}

const EXTENDED_16 = 126;
const EXTENDED_64 = 127;
const MASKED = 0x80;
const MASK_BYTES = 4;

/** Follows one direction of a connection; contents are passed over. */
export class WebSocketFrames {
  /** Bytes of the header that are still to come; 0 while a payload is passed over. */
  #headerLeft = 2;
  #headerSeen = 0;
  #lengthBytes = 0;
  #length = 0;
  #payloadLeft = 0;

  /** Nothing of a frame has come. */
  get atBoundary(): boolean {
    return this.#headerSeen === 0 && this.#payloadLeft === 0;
  }

  /** Reads to the end of the frame that is in progress, or that begins here. @returns where that is, at most `end` */
  next(buffer: Buffer, start: number, end: number): number {
    let position = start;
    while (position < end) {
      if (this.#payloadLeft > 0) {
        const passed = Math.min(this.#payloadLeft, end - position);
        this.#payloadLeft -= passed;
        position += passed;
      } else {
        this.#header(buffer[position]!);
        position += 1;
      }
      if (this.atBoundary) return position;
    }
    return position;
  }

  #header(byte: number): void {
    this.#headerSeen += 1;
    this.#headerLeft -= 1;
    if (this.#headerSeen === 2) {
      const length = byte & ~MASKED;
      this.#lengthBytes = length === EXTENDED_16 ? 2 : length === EXTENDED_64 ? 8 : 0;
      this.#length = this.#lengthBytes === 0 ? length : 0;
      this.#headerLeft = this.#lengthBytes + ((byte & MASKED) === 0 ? 0 : MASK_BYTES);
    } else if (this.#headerSeen > 2 && this.#headerSeen <= 2 + this.#lengthBytes) {
      this.#length = this.#length * 256 + byte;
    }
    if (this.#headerLeft > 0 || this.#headerSeen < 2) return;
    this.#payloadLeft = this.#length;
    this.#headerLeft = 2;
    this.#headerSeen = 0;
  }
}
