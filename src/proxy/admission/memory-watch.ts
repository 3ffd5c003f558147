// The memory ceiling of a worker: whether it is reached, looked at a few times a second.

/** Taken back when the memory has fallen below this share of the ceiling, so that the verdict does not flap. */
const RELIEF_SHARE = 0.95;
/** So far above the ceiling the requests of open connections are refused too. */
const CRITICAL_SHARE = 1.125;
/** A collection of garbage stops the worker for some tens of milliseconds: not more often than this. */
const COLLECT_EVERY_MS = 2000;
/** Nor for less garbage that V8 does not know of; and below the ceiling not before what left it is over. */
const ABANDONED_BYTES = 64 * 1024 * 1024;

/** Memory that V8 frees with its next collection, and has no reason to begin one for. */
export interface Abandoned {
  abandonedBytes: number;
}

export class MemoryWatch {
  /** True while new work is to be refused. */
  over = false;
  /** True while requests of open connections are refused too. */
  critical = false;
  /** Bytes above the ceiling at the last look; 0 when it is not reached. */
  excessBytes = 0;
  readonly #residentBytes: () => number;
  readonly #collect: () => void;
  readonly #now: () => number;
  readonly #abandoned: Abandoned;
  #collectedAtMs = Number.NEGATIVE_INFINITY;
  /** At the last look. */
  #abandonedBytes = 0;
  #bytes = 0;
  /** 0 is no limit. */
  ceilingBytes = 0;

  /**
   * @param residentBytes of this process; may throw
   * @param collect frees what nothing refers to; memory that V8 had no reason yet to free must not refuse anybody
   */
  constructor(
    residentBytes: () => number,
    collect: () => void,
    now: () => number,
    abandoned: Abandoned = { abandonedBytes: 0 },
  ) {
    this.#residentBytes = residentBytes;
    this.#collect = collect;
    this.#now = now;
    this.#abandoned = abandoned;
  }

  /** Looks again, and returns what was seen. */
  look(): number {
    const bytes = this.#measured();
    const ceiling = this.ceilingBytes;
    if (ceiling === 0 || bytes < ceiling * RELIEF_SHARE) this.over = false;
    else if (bytes >= ceiling) this.over = true;
    this.critical = this.over && bytes >= ceiling * CRITICAL_SHARE;
    this.excessBytes = this.over ? Math.max(0, bytes - ceiling) : 0;
    const { abandonedBytes } = this.#abandoned;
    const isCalm = abandonedBytes === this.#abandonedBytes;
    this.#abandonedBytes = abandonedBytes;
    if (this.over || (isCalm && abandonedBytes >= ABANDONED_BYTES)) this.#collectNowAndThen();
    return bytes;
  }

  /** What was seen before where nothing can be seen: asking Linux takes a descriptor, and none may be left. */
  #measured(): number {
    try {
      this.#bytes = this.#residentBytes();
    } catch {
      // The next look is a moment away.
    }
    return this.#bytes;
  }

  #collectNowAndThen(): void {
    const nowMs = this.#now();
    if (nowMs - this.#collectedAtMs < COLLECT_EVERY_MS) return;
    this.#collectedAtMs = nowMs;
    this.#abandoned.abandonedBytes = 0;
    this.#collect();
  }
}
