// Log lines that wait to be written: whole lines, oldest first, in a few buffers that are used again and again.

/** Enough for 250 to 500 access lines: one write each, and no copy between the line and the system call. */
const BUFFER_BYTES = 256 * 1024;
/** Free buffers that are kept; those that a burst needed beyond them are left to the garbage collector. */
const SPARES_AT_MOST = 2;
const LINE_FEED = 10;

const NOTHING = Buffer.alloc(0);

interface Filled {
  readonly bytes: Buffer;
  readonly end: number;
}

/** Makes lines of values. */
export interface LineSource<T> {
  /** Writes a line with its newline into `bytes` from `start` on; returns where it ends. Must not throw. */
  write(value: T, bytes: Buffer, start: number): number;
}

/** A queue of bytes. A line never spans two buffers, and a buffer is free again when its last line is written. */
export class LineBuffers {
  /** Full buffers before the one that is filled. */
  readonly #full: Filled[] = [];
  readonly #spares: Buffer[] = [];
  #last: Buffer = NOTHING;
  #lastEnd = 0;
  /** Bytes of the oldest buffer that are written. */
  #head = 0;
  #size = 0;

  /** Bytes that are not written yet. */
  get size(): number {
    return this.#size;
  }

  /** Appends lines of latin1 characters, the last newline included; what a buffer cannot hold gets one of its own. */
  add(text: string): void {
    if (this.#lastEnd + text.length > this.#last.length) this.#turnOver(text.length);
    // Also while the bytes before `#lastEnd` are being written: no other thread looks beyond them.
    this.#lastEnd += this.#last.write(text, this.#lastEnd, 'latin1');
    this.#size += text.length;
  }

  /**
   * Appends a line that its source writes in place.
   * @param room bytes that it takes at most
   */
  addOf<T>(source: LineSource<T>, value: T, room: number): void {
    if (this.#lastEnd + room > this.#last.length) this.#turnOver(room);
    const end = source.write(value, this.#last, this.#lastEnd);
    this.#size += end - this.#lastEnd;
    this.#lastEnd = end;
  }

  #turnOver(needed: number): void {
    if (this.#lastEnd > 0) this.#full.push({ bytes: this.#last, end: this.#lastEnd });
    this.#last =
      (needed <= BUFFER_BYTES ? this.#spares.pop() : undefined) ??
      Buffer.allocUnsafeSlow(Math.max(needed, BUFFER_BYTES));
    this.#lastEnd = 0;
  }

  /**
   * The oldest bytes, at most `limit` of them, that end with a line; a longer line comes alone. Null when there are none.
   * They stay queued, and are valid, until `written` is told of them.
   */
  oldest(limit: number): Buffer | null {
    if (this.#size === 0) return null;
    const { bytes, end } = this.#oldestBuffer();
    return bytes.subarray(this.#head, end - this.#head <= limit ? end : this.#cut(bytes, end, limit));
  }

  /** The end of the last line within `limit` bytes, or of the first line. Beyond `end` are older bytes. */
  #cut(bytes: Buffer, end: number, limit: number): number {
    const last = bytes.lastIndexOf(LINE_FEED, this.#head + limit - 1);
    if (last >= this.#head) return last + 1;
    const first = bytes.indexOf(LINE_FEED, this.#head);
    return first < 0 ? end : Math.min(first + 1, end);
  }

  /** Takes off the first `count` bytes of what `oldest` gave: they are written. */
  written(count: number): void {
    this.#size -= count;
    this.#head += count;
    if (this.#head < this.#oldestBuffer().end) return;
    this.#head = 0;
    const done = this.#full.shift();
    if (done === undefined) {
      this.#lastEnd = 0;
      if (this.#last.length > BUFFER_BYTES) this.#last = NOTHING;
    } else if (this.#spares.length < SPARES_AT_MOST && done.bytes.length === BUFFER_BYTES) {
      this.#spares.push(done.bytes);
    }
  }

  /** Whether the first line is written in part. */
  get isCut(): boolean {
    return this.#head > 0 && this.#oldestBuffer().bytes[this.#head - 1] !== LINE_FEED;
  }

  /** Puts the written part of the first line back, so that it is written from its beginning. */
  uncut(): void {
    if (!this.isCut) return;
    const start = this.#oldestBuffer().bytes.lastIndexOf(LINE_FEED, this.#head - 1) + 1;
    this.#size += this.#head - start;
    this.#head = start;
  }

  /** Counts the lines that are not written, one that is written in part included. */
  countLines(): number {
    let lines = 0;
    let from = this.#head;
    for (const { bytes, end } of [...this.#full, { bytes: this.#last, end: this.#lastEnd }]) {
      for (
        let at = bytes.indexOf(LINE_FEED, from);
        at >= 0 && at < end;
        at = bytes.indexOf(LINE_FEED, at + 1)
      ) {
        lines += 1;
      }
      from = 0;
    }
    return lines;
  }

  /** Forgets everything, the buffers too: a write that is still under way keeps its own. */
  clear(): void {
    this.#full.length = 0;
    this.#spares.length = 0;
    this.#last = NOTHING;
    this.#lastEnd = 0;
    this.#head = 0;
    this.#size = 0;
  }

  #oldestBuffer(): Filled {
    return this.#full[0] ?? { bytes: this.#last, end: this.#lastEnd };
  }
}
