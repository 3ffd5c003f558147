// A coarse timer shared by all connections of a worker: one interval instead of a timer for each request.

import type { PassShare, Waiter } from './wire/pass-share.ts';

/** Anything that must act when its time has come. Times are on the worker's monotonic clock, milliseconds. */
export interface Deadline {
  /** When `onDeadline` is due; Infinity is never. Changed only through `Deadlines.set`. */
  dueAtMs: number;
  /** Tick under which the deadline is filed, or -1, and where in its list; owned by `Deadlines`. */
  filedTick: number;
  filedPlace: number;
  onDeadline(nowMs: number): void;
}

/** How late a deadline may fire. Timeouts of a proxy are seconds; a tenth of one is noise to them. */
export const TICK_MS = 50;
/** Thousands that end together, as connections do that were opened together, take so long of a pass and then their turn. */
const RUN_MS = 1;

/**
 * Moving a deadline to a later time only changes a number: the deadline stays filed under its old tick and is
 * filed anew when that tick comes. So the hot path, which only ever pushes deadlines out, pays two stores. Lists, not sets,
 * for the reason that `Roster` gives.
 */
export class Deadlines implements Waiter {
  readonly #byTick = new Map<number, Deadline[]>();
  readonly #now: () => number;
  readonly #share: Pick<PassShare, 'wait'> | null;
  #lastTick: number;
  /** Those of the last tick that has come, as long as not all were looked at, and which is next. */
  #due: readonly Deadline[] | null = null;
  #next = 0;
  #waits = false;
  #timer: NodeJS.Timeout | null = null;

  /** @param share null runs everything that is due in one go */
  constructor(now: () => number, share: Pick<PassShare, 'wait'> | null = null) {
    this.#now = now;
    this.#share = share;
    this.#lastTick = Math.floor(now() / TICK_MS);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.run(), TICK_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#byTick.clear();
    this.#due = null;
  }

  set(deadline: Deadline, dueAtMs: number): void {
    deadline.dueAtMs = dueAtMs;
    if (dueAtMs === Number.POSITIVE_INFINITY) return;
    const tick = Math.max(Math.ceil(dueAtMs / TICK_MS), this.#lastTick + 1);
    if (deadline.filedTick !== -1) {
      if (deadline.filedTick <= tick) return;
      this.#unfile(deadline);
    }
    this.#file(deadline, tick);
  }

  /** Forgets the deadline wholly; must be called when its owner ends. */
  clear(deadline: Deadline): void {
    deadline.dueAtMs = Number.POSITIVE_INFINITY;
    if (deadline.filedTick !== -1) this.#unfile(deadline);
  }

  /** Runs what is due; called by the interval, and by tests. */
  run(): void {
    if (!this.#waits) this.onTurn();
  }

  onTurn(): void {
    const nowMs = this.#now();
    const untilTick = Math.floor(nowMs / TICK_MS);
    this.#waits = false;
    for (;;) {
      if (this.#due !== null && !this.#runDue(this.#due, nowMs)) {
        this.#waits = true;
        this.#share!.wait(this);
        return;
      }
      this.#due = null;
      if (this.#lastTick >= untilTick) return;
      this.#lastTick += 1;
      const filed = this.#byTick.get(this.#lastTick);
      if (filed === undefined) continue;
      this.#byTick.delete(this.#lastTick);
      this.#due = filed;
      this.#next = 0;
    }
  }

  /** @returns false when some are left because they take too long */
  #runDue(due: readonly Deadline[], nowMs: number): boolean {
    while (this.#next < due.length) {
      const deadline = due[this.#next]!;
      this.#next += 1;
      // Cleared or moved by another meanwhile.
      if (deadline.filedTick !== this.#lastTick) continue;
      deadline.filedTick = -1;
      if (deadline.dueAtMs > nowMs) {
        if (deadline.dueAtMs !== Number.POSITIVE_INFINITY) this.set(deadline, deadline.dueAtMs);
        continue;
      }
      deadline.dueAtMs = Number.POSITIVE_INFINITY;
      deadline.onDeadline(nowMs);
      if (this.#share !== null && this.#next < due.length && this.#now() - nowMs >= RUN_MS) return false;
    }
    return true;
  }

  #file(deadline: Deadline, tick: number): void {
    let filed = this.#byTick.get(tick);
    if (filed === undefined) {
      filed = [];
      this.#byTick.set(tick, filed);
    }
    deadline.filedTick = tick;
    deadline.filedPlace = filed.length;
    filed.push(deadline);
  }

  #unfile(deadline: Deadline): void {
    const filed = this.#byTick.get(deadline.filedTick);
    // What is due already is passed over in its turn.
    if (filed !== undefined) {
      const last = filed.pop()!;
      if (last !== deadline) {
        filed[deadline.filedPlace] = last;
        last.filedPlace = deadline.filedPlace;
      }
      if (filed.length === 0) this.#byTick.delete(deadline.filedTick);
    }
    deadline.filedTick = -1;
  }
}
