// The memory ceiling of a worker: whether it is reached, looked at a few times a second.

/** Taken back when the memory has fallen below this share of the ceiling, so that the verdict does not flap. */
const RELIEF_SHARE = 0.95;
/** So far above the ceiling the requests of open connections are refused too. */
const CRITICAL_SHARE = 1.125;
/** A collection of garbage stops the worker for some tens of milliseconds: not more often than this. */
const COLLECT_EVERY_MS = 2000;

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
  #collectedAtMs = Number.NEGATIVE_INFINITY;
  /** 0 is no limit. */
  ceilingBytes = 0;

  /**
   * @param residentBytes of this process
   * @param collect frees what nothing refers to; memory that V8 had no reason yet to free must not refuse anybody
   */
  constructor(residentBytes: () => number, collect: () => void, now: () => number) {
    this.#residentBytes = residentBytes;
    this.#collect = collect;
    this.#now = now;
  }

  /** Looks again, and returns what was seen. */
  look(): number {
    const bytes = this.#residentBytes();
    const ceiling = this.ceilingBytes;
    if (ceiling === 0 || bytes < ceiling * RELIEF_SHARE) {
      this.over = false;
      this.critical = false;
      this.excessBytes = 0;
      return bytes;
    }
    if (bytes >= ceiling) this.over = true;
    this.critical = bytes >= ceiling * CRITICAL_SHARE;
    this.excessBytes = Math.max(0, bytes - ceiling);
    const nowMs = this.#now();
    if (this.over && nowMs - this.#collectedAtMs >= COLLECT_EVERY_MS) {
      this.#collectedAtMs = nowMs;
      this.#collect();
    }
    return bytes;
  }
}
