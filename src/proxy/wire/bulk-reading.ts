// Which of the two read buffers a socket gets: the large one while what it brings leaves at once.

import type { ReadMemory } from './read-memory.ts';
import type { TcpSocket } from './tcp-socket.ts';

/** So many bytes in a row that did not have to wait. */
const PROVEN_BYTES = 256 * 1024;
/** Each change leaves a record of some fifty bytes in Node, until the socket is closed; then its reads stay small. */
const CHANGES_AT_MOST = 32;

/** Of one socket. */
export class BulkReading {
  /** Its reads are large. */
  isLarge = false;
  readonly #socket: TcpSocket;
  readonly #memory: ReadMemory;
  #passedBytes = 0;
  #changes = 0;

  constructor(socket: TcpSocket, memory: ReadMemory) {
    this.#socket = socket;
    this.#memory = memory;
  }

  /**
   * Called after each large read.
   * @param passedOn of its `length` bytes, as many have left from where they were read
   */
  took(length: number, passedOn: number): void {
    // Heads and framing are made anew: what leaves is not what came to the byte.
    const passed = 2 * passedOn > length;
    this.#passedBytes = passed ? this.#passedBytes + length : 0;
    // What peers do not take waits in this process, and where that is much already, it is to be little of each.
    const large = this.#passedBytes >= PROVEN_BYTES && this.#socket.backlog.isSmall;
    if (large === this.isLarge || (large && this.#changes >= CHANGES_AT_MOST)) return;
    this.isLarge = large;
    this.#changes += 1;
    this.#socket.readInto(large ? this.#memory.bulk : this.#memory.first);
  }
}
