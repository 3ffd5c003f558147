// What bodies in many small pieces may cost a worker: a share of each tick, for all its connections together.

import { TICK_MS } from '../deadlines.ts';

/** About a tenth of a microsecond each: a fifteenth of the time. */
export const PIECES_PER_TICK = 32_768;

export class PieceBudget {
  #tick = -1;
  #left = 0;

  /** Whether so many pieces more may be read in this tick; if so, they are taken. */
  take(pieces: number, nowMs: number): boolean {
    this.#fill(nowMs);
    if (this.#left < pieces) return false;
    this.#left -= pieces;
    return true;
  }

  /** Pays for what has been read already. @returns what this tick has no room for */
  pay(pieces: number, nowMs: number): number {
    this.#fill(nowMs);
    const paid = Math.min(pieces, this.#left);
    this.#left -= paid;
    return pieces - paid;
  }

  #fill(nowMs: number): void {
    const tick = Math.floor(nowMs / TICK_MS);
    if (tick === this.#tick) return;
    this.#tick = tick;
    this.#left = PIECES_PER_TICK;
  }
}
