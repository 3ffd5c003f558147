// Owns how much the sockets of a worker hold for peers that read slowly, and how much each of them may.

/** A socket's share while there is plenty: enough for the largest burst that an event-loop turn brings. */
const MOST_BYTES = 256 * 1024;
/** And when there is not: whatever the kernel has not taken, so that nothing is added to one read of the other side. */
const LEAST_BYTES = 1;
/** What all may hold together before each gets less: thousands that never read must not fill the memory. */
const PLENTY_BYTES = 16 * 1024 * 1024;

export class WriteBacklog {
  /** Bytes that wait in this process for the kernel to take them, in all sockets. */
  bytes = 0;
  readonly #plentyBytes: number;

  constructor(plentyBytes = PLENTY_BYTES) {
    this.#plentyBytes = plentyBytes;
  }

  /** Little waits: each socket may have its share. */
  get isSmall(): boolean {
    return this.bytes < this.#plentyBytes;
  }

  /** From this many bytes on a socket asks whoever feeds it to wait. */
  get limitBytes(): number {
    return this.isSmall ? MOST_BYTES : LEAST_BYTES;
  }
}
