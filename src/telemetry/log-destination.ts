// Where log lines go: opens a file, pipe or standard stream so that a reader that stops never blocks this process.

import { constants, fstat, open } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { pino } from 'pino';

/** Largest write to a pipe that is never mixed with another process's (PIPE_BUF, pipe(7)). */
export const PIPE_CHUNK_BYTES = 4096;
const FILE_CHUNK_BYTES = 256 * 1024;

export type LogPath = 'stdout' | 'stderr' | (string & {});

/** One open file, pipe or stream. One write at a time: the queue and its accounting are the caller's. */
export interface LogDestination {
  /** Most bytes that one `write` may carry. */
  readonly chunkBytes: number;
  /** Whether `reopen` makes sense: a path that a rotation can have renamed. */
  readonly rotates: boolean;
  /** Calls `done` once: with the bytes that were written and the error that stopped it, or null. */
  write(chunk: Buffer, done: (written: number, error: Error | null) => void): void;
  /** Frees the descriptor; while a write is under way it is left to the end of the process, since its number could be given away under the write. */
  close(): void;
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
  return stat.isFIFO() ? pipeDestination(descriptor) : fileDestination(descriptor, true);
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
  return fileDestination(descriptor, false);
}

function fileDestination(descriptor: number, owned: boolean): LogDestination {
  const sink = pino.destination({
    dest: descriptor,
    sync: false,
    maxWrite: 2 * FILE_CHUNK_BYTES,
    contentMode: 'buffer',
  });
  let written = 0;
  let pending: ((written: number, error: Error | null) => void) | null = null;
  let failed = false;
  const finish = (error: Error | null): void => {
    const done = pending;
    pending = null;
    done?.(written, error);
  };
  sink.on('write', (bytes: number) => {
    written += bytes;
  });
  sink.on('drain', () => finish(null));
  // Pino's own listener emits an error a second time: the second finds nothing pending.
  sink.on('error', (error: Error) => {
    failed = true;
    finish(error);
  });
  return {
    chunkBytes: FILE_CHUNK_BYTES,
    rotates: owned,
    write(chunk, done) {
      written = 0;
      pending = done;
      // The declared type knows only strings, which would be encoded and copied three times more.
      sink.write(chunk as unknown as string);
    },
    close() {
      // Destroyed after an error, too: at the end of the process pino would otherwise try the rest again, for ever.
      if (pending === null && (owned || failed)) sink.destroy();
    },
  };
}

/** Closing leaves 0 to 2 open, as libuv does, so that their numbers are never given to something else. */
function pipeDestination(descriptor: number): LogDestination {
  const socket = new Socket({ fd: descriptor, readable: false, writable: true });
  let pending: ((written: number, error: Error | null) => void) | null = null;
  const finish = (written: number, error: Error | null): void => {
    const done = pending;
    pending = null;
    done?.(written, error);
  };
  socket.unref();
  socket.on('error', (error) => finish(0, error));
  return {
    chunkBytes: PIPE_CHUNK_BYTES,
    rotates: false,
    write(chunk, done) {
      pending = done;
      socket.write(chunk, (error) => {
        if (error === null || error === undefined) finish(chunk.length, null);
      });
    },
    close() {
      socket.destroy();
    },
  };
}
