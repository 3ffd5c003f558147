// Connections that wait for a target to take another start: first come, first served, and none for too long.

import type { Deadline, Deadlines } from '../deadlines.ts';

/** Somebody who waits. */
export interface Starter {
  /** Tries once more; false when there is still no target that takes a start. */
  tryStart(): boolean;
  /** It has waited for too long. */
  giveUp(): void;
}

/** Between two looks when every target may start only later, in milliseconds: as fine as deadlines are. */
const LOOK_MS = 50;

/** One for each version of a pool. */
export class StartQueue implements Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  readonly #waitMs: number;
  readonly #deadlines: Deadlines;
  readonly #now: () => number;
  /** In the order of their arrival: the first is the first that has waited for too long, too. */
  readonly #waiting = new Map<Starter, number>();

  /** @param waitMs how long anybody waits */
  constructor(waitMs: number, deadlines: Deadlines, now: () => number) {
    this.#waitMs = waitMs;
    this.#deadlines = deadlines;
    this.#now = now;
  }

  /** Nobody may overtake those who wait. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  add(starter: Starter): void {
    const nowMs = this.#now();
    this.#waiting.set(starter, nowMs + this.#waitMs);
    if (this.#waiting.size === 1) this.#deadlines.set(this, nowMs + LOOK_MS);
  }

  /** Its client has left, or it has been served. */
  remove(starter: Starter): void {
    this.#waiting.delete(starter);
  }

  onDeadline(nowMs: number): void {
    for (const [starter, untilMs] of this.#waiting) {
      if (starter.tryStart()) {
        this.#waiting.delete(starter);
        continue;
      }
      if (nowMs < untilMs) break;
      this.#waiting.delete(starter);
      starter.giveUp();
    }
    if (this.#waiting.size > 0) this.#deadlines.set(this, nowMs + LOOK_MS);
  }
}
