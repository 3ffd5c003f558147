// Where a process writes its own log: standard error, without ever waiting for it or failing by it.

import { createAccessLog, LOST_REASONS, type LostReason } from './access-log.ts';

/** Lines that may wait for a reader, bytes: thousands of them. */
const BUFFER_BYTES = 256 * 1024;
/** At once: what the kernel takes has left before this process tells anybody anything else. */
const FLUSH_MS = 0;
/** The last words of a process get this long to be written. */
const CLOSE_MS = 500;
const OTHER_THAN_ASCII = /[^\n\x20-\x7e]/g;

export interface ProcessLog {
  readonly destination: { write(line: string): void };
  /** Says something in plain words, which are no line of the log. */
  report(text: string): void;
  /** Lines that were not written, since the start: a full disk, a pipe that nobody reads. */
  readonly lost: Readonly<Record<LostReason, number>>;
  /** Writes what is queued, for half a second at most; lines after it are lost. Never rejects. */
  close(): Promise<void>;
}

/**
 * A synchronous write would be simpler, but it ends the process when the disk is full, and stops it for good when the
 * pipe is: the supervisor holds the listening sockets of all.
 */
export function createProcessLog(): ProcessLog {
  const lost = Object.fromEntries(LOST_REASONS.map((reason) => [reason, 0])) as Record<LostReason, number>;
  const lines = createAccessLog({
    path: 'stderr',
    bufferBytes: BUFFER_BYTES,
    flushMs: FLUSH_MS,
    lost: (reason, count) => {
      lost[reason] += count;
    },
  });
  return {
    destination: { write: (line) => lines.line(asciiJson(line)) },
    // The writer takes a character for a byte.
    report: (text) => lines.line(Buffer.from(text, 'utf8').latin1Slice()),
    lost,
    close: () => lines.close(CLOSE_MS),
  };
}

/** The same JSON: what others have made up (a host, a name in a certificate) neither breaks a line nor steers a terminal. */
function asciiJson(line: string): string {
  return line.replace(OTHER_THAN_ASCII, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
