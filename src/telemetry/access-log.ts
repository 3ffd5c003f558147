// Writes log lines without ever making the caller wait: a bounded queue, one write at a time, and a count of what was lost.

import { LineBuffers, type LineSource } from './line-buffers.ts';
import {
  type LogDestination,
  type LogPath,
  type OpenLogDestination,
  openLogDestination,
  PIPE_CHUNK_BYTES,
} from './log-destination.ts';

/**
 * `buffer-full`: the reader or disk is too slow; `write-error`: it cannot be written or opened (full disk, no reader);
 * `closed`: still queued when the deadline of `close` came.
 */
export const LOST_REASONS = ['buffer-full', 'write-error', 'closed'] as const;
export type LostReason = (typeof LOST_REASONS)[number];

export interface AccessLogOptions {
  /** `stdout`, `stderr`, `off` or an absolute path (a file, or a FIFO that exists). */
  readonly path: LogPath | 'off';
  /** Bytes held back before lines are dropped. Default 4 MiB. Their buffers take up to a sixtieth and 1 MiB more. */
  readonly bufferBytes?: number;
  /** Told at once, synchronously, of every line that will not be written. */
  readonly lost: (reason: LostReason, lines: number) => void;
  /** Told of an error of the destination, once until it works again. */
  readonly failed?: (error: Error) => void;
  readonly open?: OpenLogDestination;
  /** Longest time that a line waits for others; 0 writes each at once, where nothing is being written. Default 100 ms. */
  readonly flushMs?: number;
  /** Pause before a destination that failed is opened again. Default 1 s. */
  readonly retryMs?: number;
}

export interface AccessLog {
  /** Queues one line, its newline included. Never throws, never waits. */
  line(text: string): void;
  /** Queues the line that `source` makes of `value`, at most `PIPE_CHUNK_BYTES` long. Never throws, never waits. */
  lineOf<T>(source: LineSource<T>, value: T): void;
  /** Opens the path anew, after a rotation has renamed the file. Keeps the old file when that fails. Nothing for streams and pipes. */
  reopen(): Promise<void>;
  /** Writes what is queued for at most `deadlineMs`, counts the rest as lost. Lines after it are lost, too. */
  close(deadlineMs: number): Promise<void>;
}

/** Makes the writer and opens its destination in the background; lines can be given at once. */
export function createAccessLog(options: AccessLogOptions): AccessLog {
  if (options.path === 'off') {
    return {
      line: () => {},
      lineOf: () => {},
      reopen: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }
  return new LineWriter(options);
}

/**
 * Enough queued bytes to write at once instead of waiting for `flushMs`. A write goes through a thread of libuv's pool, which costs
 * as much as the copy of 100 KiB.
 */
const EAGER_BYTES = 128 * 1024;

class LineWriter implements AccessLog {
  readonly #path: LogPath;
  readonly #limit: number;
  readonly #lost: AccessLogOptions['lost'];
  readonly #failed: (error: Error) => void;
  readonly #openDestination: OpenLogDestination;
  readonly #flushMs: number;
  readonly #retryMs: number;

  /** Lines stay here until they are written, those of the write under way included. */
  readonly #lines = new LineBuffers();
  /** Bytes that are to be written without waiting for more. */
  #due = 0;
  #writing = false;
  #destination: LogDestination | null = null;
  /** Where the destination that failed last ended. */
  #failedEnd: string | null = null;
  #broken = false;
  #closed = false;
  /** Closed and no longer writing. */
  #ended = false;
  #eager = false;
  #flushTimer: NodeJS.Timeout | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  /** Serialises opening and reopening. */
  #opening: Promise<void> = Promise.resolve();
  #reopenWanted = false;
  #drained: (() => void) | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: AccessLogOptions) {
    this.#path = options.path;
    this.#limit = options.bufferBytes ?? 4 * 1024 * 1024;
    this.#lost = options.lost;
    this.#failed = options.failed ?? (() => {});
    this.#openDestination = options.open ?? openLogDestination;
    this.#flushMs = options.flushMs ?? 100;
    this.#retryMs = options.retryMs ?? 1000;
    this.#opening = this.#connect();
  }

  line(text: string): void {
    if (!this.#hasRoom(text.length)) return;
    this.#lines.add(text);
    if (!this.#writing && !this.#eager) this.#schedule();
  }

  lineOf<T>(source: LineSource<T>, value: T): void {
    if (!this.#hasRoom(PIPE_CHUNK_BYTES)) return;
    this.#lines.addOf(source, value, PIPE_CHUNK_BYTES);
    if (!this.#writing && !this.#eager) this.#schedule();
  }

  /** For one more line, which is lost otherwise. */
  #hasRoom(bytes: number): boolean {
    if (!this.#closed && this.#lines.size + bytes <= this.#limit) return true;
    this.#lost(this.#closed ? 'closed' : this.#broken ? 'write-error' : 'buffer-full', 1);
    return false;
  }

  /** Soon when there is much to write, otherwise after `flushMs`: many small writes would cost more than the lines. */
  #schedule(): void {
    if (this.#destination === null) return;
    if (this.#flushMs === 0) {
      this.#flush();
    } else if (this.#lines.size >= EAGER_BYTES) {
      this.#eager = true;
      setImmediate(this.#flush);
    } else if (this.#flushTimer === null && this.#lines.size > 0) {
      this.#flushTimer = setTimeout(this.#flush, this.#flushMs);
      this.#flushTimer.unref();
    }
  }

  reopen(): Promise<void> {
    if (this.#closed || this.#destination?.rotates === false) return Promise.resolve();
    this.#opening = this.#opening.then(() => this.#connect());
    return this.#opening;
  }

  async close(deadlineMs: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#lines.size > 0) {
      const drained = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      const deadline = setTimeout(() => this.#drained?.(), deadlineMs);
      this.#pump();
      await drained;
      this.#drained = null;
      clearTimeout(deadline);
    }
    this.#ended = true;
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    const left = this.#lines.countLines();
    if (left > 0) this.#lost('closed', left);
    this.#lines.clear();
    this.#release();
    // A stuck write may never end: what waits for it closes what it has opened.
    this.#onIdle?.();
  }

  #release(): void {
    this.#destination?.close(this.#failed);
    this.#destination = null;
  }

  /** Opens the path and swaps it in, between two writes. */
  async #connect(): Promise<void> {
    if (this.#ended) return;
    let destination: LogDestination;
    try {
      destination = await this.#openDestination(this.#path);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    await this.#idle();
    this.#reopenWanted = false;
    if (this.#ended) {
      destination.close(this.#failed);
      return;
    }
    this.#release();
    this.#destination = destination;
    // The rest of a line that an error cut may only follow its beginning; anywhere else the line starts again.
    if (destination.end === null || destination.end !== this.#failedEnd) this.#lines.uncut();
    if (!this.#lines.isCut) destination.startLine();
    this.#flush();
  }

  /** Waits until no write is under way and keeps the next from starting. */
  #idle(): Promise<void> {
    if (!this.#writing) return Promise.resolve();
    this.#reopenWanted = true;
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  readonly #flush = (): void => {
    this.#eager = false;
    this.#due = this.#lines.size;
    this.#pump();
  };

  #pump(): void {
    if (this.#flushTimer !== null) {
      clearTimeout(this.#flushTimer);
      this.#flushTimer = null;
    }
    const destination = this.#destination;
    if (this.#writing || this.#reopenWanted || destination === null) return;
    const chunk = this.#lines.oldest(destination.chunkBytes);
    if (chunk === null) {
      this.#drained?.();
      return;
    }
    this.#writing = true;
    destination.write(chunk, this.#written);
  }

  readonly #written = (bytes: number, error: Error | null): void => {
    this.#writing = false;
    if (!this.#ended) {
      this.#lines.written(bytes);
      this.#due = Math.max(0, this.#due - bytes);
      if (error === null) this.#broken = false;
      else {
        this.#failedEnd = this.#destination?.end ?? null;
        this.#release();
        this.#fail(error);
      }
    }
    if (this.#onIdle !== null) {
      this.#onIdle();
      this.#onIdle = null;
      return;
    }
    if (this.#closed || this.#due > 0 || this.#lines.size >= (this.#destination?.chunkBytes ?? 0))
      this.#pump();
    else this.#schedule();
  };

  #fail(error: Error): void {
    if (!this.#broken) this.#failed(error);
    this.#broken = true;
    if (this.#ended || this.#destination !== null || this.#retryTimer !== null) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      this.#opening = this.#opening.then(() => (this.#destination === null ? this.#connect() : undefined));
    }, this.#retryMs);
    this.#retryTimer.unref();
  }
}
