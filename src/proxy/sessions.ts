// The sessions of a listener: they drain, end and let go of memory together.

import type { FailureCode } from '../model/failures.ts';
import type { ListenerMeters } from './meters.ts';
import { type Placed, Roster } from './roster.ts';

export interface ListenerSession extends Placed {
  /** The listener has stopped accepting, and ends in `deadlineMs` (Infinity: not by itself): clients are told. */
  drain(deadlineMs: number): void;
  /** Closes a connection that has waited for a request for so long, and says whether it did. */
  closeIfIdle(forMs: number): boolean;
  /** Bytes that wait for the client to read them. */
  readonly queuedBytes: number;
  /** Ends it now, whatever it does; `code` is why the request in progress failed. */
  shutdown(code: FailureCode): void;
}

/** Under pressure a connection is let go when it has waited so long: those in use come back within it. */
const IDLE_UNDER_PRESSURE_MS = 1000;
/** What a client must leave unread to be cut under pressure. */
const STUCK_BYTES = 16 * 1024;
/** Connections that are ended in one go, so that relief is no stall of its own. */
const RELIEVED_AT_ONCE = 500;

export class Sessions {
  readonly #meters: ListenerMeters;
  readonly #all = new Roster<ListenerSession>();

  constructor(meters: ListenerMeters) {
    this.#meters = meters;
  }

  add(session: ListenerSession): void {
    this.#all.add(session);
  }

  /** False when it was not among them. */
  delete(session: ListenerSession): boolean {
    return this.#all.delete(session);
  }

  drain(deadlineMs: number): void {
    for (const session of this.#all) session.drain(deadlineMs);
  }

  /** Closes those that wait for a request. */
  closeIdle(): void {
    for (const session of this.#all) session.closeIfIdle(0);
  }

  /** Ends every one now. */
  shutdown(): void {
    for (const session of this.#all) session.shutdown('client-aborted');
  }

  /**
   * Lets go of memory: connections that wait for a request, and where that was not enough those whose clients leave
   * the most unread.
   * @param excessBytes how much too much there is
   * @param stuckToo the first step was made before
   * @returns the bytes that were held for the clients that were cut
   */
  relieve(excessBytes: number, stuckToo: boolean): number {
    let ended = 0;
    for (const session of this.#all) {
      if (ended >= RELIEVED_AT_ONCE) break;
      if (!session.closeIfIdle(IDLE_UNDER_PRESSURE_MS)) continue;
      this.#meters.ended('memory-limit');
      ended += 1;
    }
    return stuckToo ? this.#cutStuck(excessBytes) : 0;
  }

  #cutStuck(excessBytes: number): number {
    const stuck = [...this.#all].filter((session) => session.queuedBytes >= STUCK_BYTES);
    stuck.sort((left, right) => right.queuedBytes - left.queuedBytes);
    let freed = 0;
    for (const session of stuck.slice(0, RELIEVED_AT_ONCE)) {
      if (freed >= excessBytes) break;
      freed += session.queuedBytes;
      this.#meters.ended('memory-limit');
      session.shutdown('memory-limit');
    }
    return freed;
  }
}
