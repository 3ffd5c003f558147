// Writes log lines without ever making the caller wait: a bounded queue, one write at a time, and a count of what was lost.

import {
  type LogDestination,
  type LogPath,
  type OpenLogDestination,
  openLogDestination,
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
  /** Characters held back before lines are dropped. Default 4 MiB. */
  readonly bufferBytes?: number;
  /** Told at once, synchronously, of every line that will not be written. */
  readonly lost: (reason: LostReason, lines: number) => void;
  /** Told of an error of the destination, once until it works again. */
  readonly failed?: (error: Error) => void;
  readonly open?: OpenLogDestination;
  /** Longest time that a line waits for others. Default 100 ms. */
  readonly flushMs?: number;
  /** Pause before a destination that failed is opened again. Default 1 s. */
  readonly retryMs?: number;
}

export interface AccessLog {
  /** Queues one line, its newline included. Never throws, never waits. */
  line(text: string): void;
  /** Opens the path anew, after a rotation has renamed the file. Keeps the old file when that fails. Nothing for streams and pipes. */
  reopen(): Promise<void>;
  /** Writes what is queued for at most `deadlineMs`, counts the rest as lost. Lines after it are lost, too. */
  close(deadlineMs: number): Promise<void>;
}

/** Makes the writer and opens its destination in the background; lines can be given at once. */
export function createAccessLog(options: AccessLogOptions): AccessLog {
  if (options.path === 'off') {
    return { line: () => {}, reopen: () => Promise.resolve(), close: () => Promise.resolve() };
  }
  return new LineWriter(options);
}

/** Enough queued text to write at once instead of waiting for `flushMs`. */
const EAGER_BYTES = 32 * 1024;
/** Lines are gathered into chunks that fit every destination, so that none is ever cut at a pipe. */
const CHUNK_BYTES = 4096;

class LineWriter implements AccessLog {
  readonly #path: LogPath;
  readonly #limit: number;
  readonly #lost: AccessLogOptions['lost'];
  readonly #failed: (error: Error) => void;
  readonly #openDestination: OpenLogDestination;
  readonly #flushMs: number;
  readonly #retryMs: number;

  #chunks: string[] = [];
  #first = 0;
  #open = '';
  /** Characters queued, those of the write under way included. */
  #queued = 0;
  #inFlight: Buffer | null = null;
  #writing = false;
  #destination: LogDestination | null = null;
  #broken = false;
  #closed = false;
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
    if (this.#closed || this.#queued + text.length > this.#limit) {
      this.#lost(this.#closed ? 'closed' : this.#broken ? 'write-error' : 'buffer-full', 1);
      return;
    }
    this.#queued += text.length;
    if (this.#open.length + text.length > CHUNK_BYTES && this.#open !== '') {
      this.#chunks.push(this.#open);
      this.#open = text;
    } else {
      this.#open += text;
    }
    if (!this.#writing && !this.#eager) this.#schedule();
  }

  /** Soon when there is much to write, otherwise after `flushMs`: many small writes would cost more than the lines. */
  #schedule(): void {
    if (this.#queued >= EAGER_BYTES) {
      this.#eager = true;
      setImmediate(this.#pump);
    } else if (this.#flushTimer === null && this.#queued > 0) {
      this.#flushTimer = setTimeout(this.#pump, this.#flushMs);
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
    if (this.#queued > 0) {
      const drained = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      const deadline = setTimeout(() => this.#drained?.(), deadlineMs);
      this.#pump();
      await drained;
      this.#drained = null;
      clearTimeout(deadline);
    }
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    const left = this.#countQueued();
    if (left > 0) this.#lost('closed', left);
    this.#chunks = [];
    this.#open = '';
    this.#destination?.close();
    this.#destination = null;
  }

  /** Opens the path and swaps it in, between two writes. */
  async #connect(): Promise<void> {
    let destination: LogDestination;
    try {
      destination = await this.#openDestination(this.#path);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (this.#closed && this.#drained === null) {
      destination.close();
      return;
    }
    await this.#idle();
    this.#destination?.close();
    this.#destination = destination;
    this.#reopenWanted = false;
    this.#pump();
  }

  /** Waits until no write is under way and keeps the next from starting. */
  #idle(): Promise<void> {
    if (!this.#writing) return Promise.resolve();
    this.#reopenWanted = true;
    return new Promise((resolve) => {
      const previous = this.#onIdle;
      this.#onIdle = () => {
        previous?.();
        resolve();
      };
    });
  }
  readonly #pump = (): void => {
    this.#eager = false;
    if (this.#flushTimer !== null) {
      clearTimeout(this.#flushTimer);
      this.#flushTimer = null;
    }
    const destination = this.#destination;
    if (this.#writing || this.#reopenWanted || destination === null) return;
    this.#inFlight ??= this.#take(destination.chunkBytes);
    if (this.#inFlight === null) {
      this.#drained?.();
      return;
    }
    this.#writing = true;
    destination.write(this.#inFlight, this.#written);
  };

  readonly #written = (bytes: number, error: Error | null): void => {
    this.#writing = false;
    this.#queued -= bytes;
    const chunk = this.#inFlight;
    this.#inFlight = chunk === null || bytes >= chunk.length ? null : chunk.subarray(bytes);
    const idle = this.#onIdle;
    this.#onIdle = null;
    if (error !== null) {
      this.#destination?.close();
      this.#destination = null;
      this.#fail(error);
    } else {
      this.#broken = false;
    }
    if (idle !== null) {
      idle();
      return;
    }
    if (this.#closed || this.#chunks.length - this.#first > 1 || this.#inFlight !== null) this.#pump();
    else if (this.#queued > 0) this.#schedule();
  };

  #fail(error: Error): void {
    if (!this.#broken) this.#failed(error);
    this.#broken = true;
    if (this.#destination !== null || this.#retryTimer !== null) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      this.#opening = this.#opening.then(() => (this.#destination === null ? this.#connect() : undefined));
    }, this.#retryMs);
    this.#retryTimer.unref();
  }

  /** The oldest chunks, joined up to `bytes`. */
  #take(bytes: number): Buffer | null {
    let text = '';
    while (this.#first < this.#chunks.length) {
      const chunk = this.#chunks[this.#first]!;
      if (text !== '' && text.length + chunk.length > bytes) break;
      text += chunk;
      this.#first += 1;
    }
    if (this.#first === this.#chunks.length) {
      this.#chunks = [];
      this.#first = 0;
      if (this.#open !== '' && (text === '' || text.length + this.#open.length <= bytes)) {
        text += this.#open;
        this.#open = '';
      }
    } else if (this.#first > 1024) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
    return text === '' ? null : Buffer.from(text, 'latin1');
  }

  #countQueued(): number {
    const waiting = this.#inFlight === null ? '' : this.#inFlight.toString('latin1');
    const rest = [waiting, ...this.#chunks.slice(this.#first), this.#open].join('');
    return rest === '' ? 0 : rest.split('\n').length - (rest.endsWith('\n') ? 1 : 0);
  }
}
