// Where log lines go: opens a file, pipe or standard stream so that a reader that stops never blocks this process.

import { close, constants, fstat, open, type Stats, write } from 'node:fs';
import { open as openHandle } from 'node:fs/promises';
import { Socket } from 'node:net';
import { promisify } from 'node:util';

/** Largest write to a pipe that is never mixed with another process's (PIPE_BUF, pipe(7)). */
export const PIPE_CHUNK_BYTES = 4096;
const FILE_CHUNK_BYTES = 256 * 1024;

export type LogPath = 'stdout' | 'stderr' | (string & {});

/** Called once: with the bytes that were written and the error that stopped it, or null. */
export type WriteDone = (written: number, error: Error | null) => void;

/** One open file, pipe or stream. One write at a time: the queue and its accounting are the caller's. */
export interface LogDestination {
  /** Most bytes that one `write` should carry, a single longer line excepted. */
  readonly chunkBytes: number;
  /** Whether `reopen` makes sense: a path that a rotation can have renamed. */
  readonly rotates: boolean;
  /**
   * Names a file and its length when it was opened, and again after a write that failed. The rest of a line that was cut
   * by an error may follow only in a destination with the same end. Null for pipes and streams: there no rest may follow.
   */
  readonly end: string | null;
  /** Says that the next chunk starts a line: where a file ends in the middle of one, a newline is written before it. */
  startLine(): void;
  /** `chunk` must not change until `done` is called, which `close` may prevent. */
  write(chunk: Buffer, done: WriteDone): void;
  /** Frees the descriptor, after the write under way. `failed` is told when closing says that a file is incomplete. */
  close(failed: (error: Error) => void): void;
}

/** Opens a path or standard stream. Rejects when it cannot be opened now: no such directory, or a FIFO without a reader (ENXIO). */
export type OpenLogDestination = (path: LogPath) => Promise<LogDestination>;

const openDescriptor: (path: string, flags: number, mode: number) => Promise<number> = promisify(open);
const statDescriptor = promisify(fstat);

/**
 * Never waits in `open` or, for pipes, in `write`: O_NONBLOCK lets a FIFO without a reader fail at once, and a full pipe is
 * waited for by the event loop. A blocking write would hold a thread of libuv's pool, and the end of the process with it.
 */
export const openLogDestination: OpenLogDestination = async (path) => {
  if (path === 'stdout' || path === 'stderr') return openStandard(path === 'stdout' ? 1 : 2);
  const flags =
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;
  const descriptor = await openDescriptor(path, flags, 0o640);
  const stat = await statDescriptor(descriptor);
  return stat.isFIFO()
    ? pipeDestination(descriptor)
    : new FileDestination(descriptor, stat, await endsWithinLine(path, stat));
};

/**
 * A pipe is opened a second time, because O_NONBLOCK belongs to the open file description, which other processes share.
 * A socket (systemd's journal, a parent that is Node) cannot be opened again: it is made non-blocking, as Node itself does
 * for `process.stdout`. Files and terminals are written through the descriptor that is there: their offset has to stay shared.
 */
async function openStandard(descriptor: 1 | 2): Promise<LogDestination> {
  const stat = await statDescriptor(descriptor);
  if (stat.isFIFO()) {
    try {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK;
      return pipeDestination(await openDescriptor(`/proc/self/fd/${descriptor}`, flags, 0));
    } catch {
      // Not ours to open again (another owner, no /proc): treated like a socket.
    }
  }
  if (stat.isFIFO() || stat.isSocket()) return pipeDestination(descriptor);
  return new FileDestination(descriptor, stat, null);
}

/** What a terminal says that another process made non-blocking, and some network file systems; `write` tries again after this. */
const BUSY_MS = 100;

/** Writes by the threads of libuv's pool: a file cannot be waited for by the event loop. */
class FileDestination implements LogDestination {
  readonly chunkBytes = FILE_CHUNK_BYTES;
  readonly rotates: boolean;
  end: string | null;
  readonly #descriptor: number;
  #chunk: Buffer | null = null;
  #written = 0;
  #done: WriteDone = () => {};
  #closed: ((error: Error) => void) | null = null;
  readonly #withinLine: boolean;
  #newlineFirst = false;

  /** @param withinLine whether the file ends in the middle of a line; null for a descriptor that was there and stays open */
  constructor(descriptor: number, stat: Stats, withinLine: boolean | null) {
    this.#descriptor = descriptor;
    this.rotates = withinLine !== null;
    this.end = endOf(stat);
    this.#withinLine = withinLine === true;
  }

  startLine(): void {
    this.#newlineFirst = this.#withinLine;
  }

  write(chunk: Buffer, done: WriteDone): void {
    this.#chunk = chunk;
    this.#written = 0;
    this.#done = done;
    if (this.#newlineFirst) write(this.#descriptor, NEWLINE, 0, 1, null, this.#wroteNewline);
    else this.#writeRest();
  }

  /** When it fails, the destination that is opened next looks again. */
  readonly #wroteNewline = (error: Error | null): void => {
    this.#newlineFirst = false;
    if (error === null) this.#writeRest();
    else this.#fail(error);
  };

  /** A short write goes on at once: a rotation must not come between two parts of a line. */
  readonly #writeRest = (): void => {
    const chunk = this.#chunk!;
    if (this.#closed !== null) this.#finish(null);
    else write(this.#descriptor, chunk, this.#written, chunk.length - this.#written, null, this.#wrote);
  };

  readonly #wrote = (error: NodeJS.ErrnoException | null, count: number): void => {
    const chunk = this.#chunk!;
    if (error === null) this.#written += count;
    if (this.#closed !== null) this.#finish(error);
    else if (error?.code === 'EAGAIN' || error?.code === 'EBUSY')
      setTimeout(this.#writeRest, BUSY_MS).unref();
    else if (error !== null || count === 0) this.#fail(error ?? new Error('nothing was written'));
    else if (this.#written < chunk.length) this.#writeRest();
    else this.#finish(null);
  };

  /** Looks how long the file is now, which tells later whether the rest of a line still belongs there. */
  #fail(error: Error): void {
    fstat(this.#descriptor, (unknown, stat) => {
      this.end = unknown === null ? endOf(stat) : null;
      this.#finish(error);
    });
  }

  #finish(error: Error | null): void {
    this.#chunk = null;
    if (this.#closed !== null) this.#release(this.#closed);
    this.#done(this.#written, error);
  }

  close(failed: (error: Error) => void): void {
    if (this.#closed !== null) return;
    this.#closed = failed;
    // While a write is under way its number must not be given to something else.
    if (this.#chunk === null) this.#release(failed);
  }

  #release(failed: (error: Error) => void): void {
    if (!this.rotates) return;
    // Some file systems tell only here that what they had taken is not on the disk.
    close(this.#descriptor, (error) => {
      if (error !== null && error !== undefined) failed(error);
    });
  }
}

const NEWLINE = Buffer.from('\n');

/**
 * Whether somebody, who was killed or whose disk was full, has left a part of a line at the end. While another process is
 * writing it may seem so, and an empty line comes into the file.
 */
async function endsWithinLine(path: string, stat: Stats): Promise<boolean> {
  if (!stat.isFile() || stat.size === 0) return false;
  try {
    await using file = await openHandle(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, stat.size - 1);
    return bytesRead === 1 && buffer[0] !== NEWLINE[0];
  } catch {
    // It may be allowed to be written only: then its end cannot be known, and is as good as always.
    return false;
  }
}

function endOf(stat: Stats): string | null {
  return stat.isFile() ? `${stat.dev}:${stat.ino}:${stat.size}` : null;
}

/**
 * Closing leaves 0 to 2 open, as libuv does, so that their numbers are never given to something else. An error counts a
 * chunk as not written: up to `PIPE_CHUNK_BYTES` a pipe takes all or nothing, and who reads a socket is gone with the part.
 */
function pipeDestination(descriptor: number): LogDestination {
  const socket = new Socket({ fd: descriptor, readable: false, writable: true });
  let pending: WriteDone | null = null;
  const finish = (written: number, error: Error | null): void => {
    const done = pending;
    pending = null;
    done?.(written, error);
  };
  socket.unref();
  // A write that fails is told twice, to its callback and here: the second finds nothing pending.
  socket.on('error', (error) => finish(0, error));
  return {
    chunkBytes: PIPE_CHUNK_BYTES,
    rotates: false,
    end: null,
    startLine() {},
    write(chunk, done) {
      pending = done;
      socket.write(chunk, (error) => {
        if (error === null || error === undefined) finish(chunk.length, null);
        else finish(0, error);
      });
    },
    close() {
      pending = null;
      socket.destroy();
    },
  };
}
