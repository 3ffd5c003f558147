// Owns who goes on when much waits at once: large pieces of work get a share of each pass of the event loop, in turns.

/** Has more to do than fits into this pass. */
export interface Waiter {
  /** Goes on; whoever still has more to do then waits again. */
  onTurn(): void;
}

export interface PassShareOptions {
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Runs a task after what the event loop has at hand, and before it waits for more (`setImmediate`). */
  readonly defer: (task: () => void) => void;
}

/**
 * So much of a pass is for large pieces, in milliseconds; whatever is small waits for no longer than that. A request takes
 * two or three passes.
 */
const SHARE_MS = 1;
/** Of those that wait so many go on in a pass, however long each takes, and however short. */
const LEAST = 1;
const MOST = 64;
/** Pieces that one may do in its turn, as long as there is time: to stop and start a socket costs two system calls. */
const PIECES_IN_TURN = 4;

/**
 * libuv answers up to 1,024 sockets in one pass, and reads up to 32 times from each that has so much: without turns a
 * thousand bulk transfers, or twenty that never pause, hold up every small request by a tenth of a second.
 */
export class PassShare {
  readonly #options: PassShareOptions;
  /** In the order in which they came; those before `#next` have gone on. */
  readonly #waiting: Waiter[] = [];
  #next = 0;
  /** Of the first large piece in this pass; negative before it. */
  #startedAtMs = -1;
  #pieces = 0;
  #allowance = MOST;
  #scheduled = false;

  constructor(options: PassShareOptions) {
    this.#options = options;
  }

  /**
   * Counts a large piece of work that was just done.
   * @param inTurn how many the same one has done since it waited last
   * @returns whether another may follow at once; else `wait`
   */
  mayGoOn(inTurn: number): boolean {
    const nowMs = this.#options.now();
    this.#pieces += 1;
    if (this.#startedAtMs < 0) {
      this.#startedAtMs = nowMs;
      this.#schedule();
    }
    if (nowMs - this.#startedAtMs >= SHARE_MS) return false;
    return inTurn < PIECES_IN_TURN || this.#next === this.#waiting.length;
  }

  /** Others wait already, or this pass has had its large pieces: whoever would begin another one does better to wait. */
  get isUsedUp(): boolean {
    if (this.#next < this.#waiting.length) return true;
    return this.#startedAtMs >= 0 && this.#options.now() - this.#startedAtMs >= SHARE_MS;
  }

  wait(waiter: Waiter): void {
    this.#waiting.push(waiter);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.defer(this.#onPass);
  }

  /** The pass is over: as many go on in the next one as have a chance to be done in its share. */
  readonly #onPass = (): void => {
    this.#scheduled = false;
    const nowMs = this.#options.now();
    if (this.#pieces > 1) {
      const eachMs = (nowMs - this.#startedAtMs) / (this.#pieces - 1);
      const turns = Math.floor(SHARE_MS / (eachMs * PIECES_IN_TURN));
      this.#allowance = Math.min(MOST, Math.max(LEAST, turns));
    }
    this.#pieces = 0;
    this.#startedAtMs = -1;
    const until = Math.min(this.#waiting.length, this.#next + this.#allowance);
    const endsAtMs = nowMs + SHARE_MS;
    while (this.#next < until) {
      const waiter = this.#waiting[this.#next]!;
      this.#next += 1;
      // Some go on at once, and not when there is something to read.
      waiter.onTurn();
      if (this.#options.now() >= endsAtMs) break;
    }
    if (this.#next === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#next = 0;
      return;
    }
    if (this.#next >= MOST) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    this.#schedule();
  };
}
