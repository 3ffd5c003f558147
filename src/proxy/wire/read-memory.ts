// What all sockets of a worker read into: small pieces at first, large ones where bulk leaves as fast as it comes.

/** Room before what is read, for a head or chunk framing that is longer than the one whose place it takes, in bytes. */
const HEADROOM_BYTES = 4 * 1024;
/** A read, until its socket has shown that what it brings leaves at once: as much may have to wait in this process. */
const READ_BYTES = 64 * 1024;
/** Takes a third to a half of the CPU of bulk: fewer system calls, and an answer of 64 KiB comes with its head in one. */
const BULK_READ_BYTES = 256 * 1024;

/** One for each worker: an event loop reads one socket at a time. */
export class ReadMemory {
  readonly whole: Buffer = Buffer.allocUnsafeSlow(HEADROOM_BYTES + BULK_READ_BYTES);
  /** Both begin at the same byte of `whole`. */
  readonly bulk: Buffer = this.whole.subarray(HEADROOM_BYTES);
  readonly first: Buffer = this.bulk.subarray(0, READ_BYTES);
  /** Bytes that were written from where they had been read to, as a whole and at once, of all sockets together. */
  passedOn = 0;

  /** Where in `whole` byte `position` of `buffer` lies; -1 when it is another's. */
  placeOf(buffer: Buffer, position: number): number {
    return buffer.buffer === this.whole.buffer ? buffer.byteOffset + position : -1;
  }
}
