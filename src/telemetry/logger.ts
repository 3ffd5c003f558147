// The logger of a process: JSON lines with level, role and process id, and without credentials.

import { type DestinationStream, type Logger, pino } from 'pino';

/** Keys whose values never reach the log, at the top and one level down. */
export const REDACTED_KEYS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'password',
  'token',
  'secret',
  'key',
  'secrets',
] as const;

export interface LoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly role: 'supervisor' | 'controller' | 'worker' | 'cli' | 'demo';
  readonly pid: number;
  /**
   * `stdout` and `stderr` are written synchronously, so that the last words of a process are not lost. A worker passes the
   * writer of `createAccessLog` as `{ write: (line) => log.line(line) }`, which never waits for a blocked pipe.
   */
  readonly destination: 'stdout' | 'stderr' | DestinationStream;
}

/** Makes the logger; fields `time` (RFC 3339), `level` (word), `role`, `pid`, `message`, then those of the call. */
export function createLogger(options: LoggerOptions): Logger {
  const { destination } = options;
  const stream =
    typeof destination === 'string'
      ? pino.destination({ dest: destination === 'stdout' ? 1 : 2, sync: true })
      : destination;
  return pino(
    {
      level: options.level,
      base: { role: options.role, pid: options.pid },
      messageKey: 'message',
      errorKey: 'error',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: REDACTED_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`]),
        censor: '[redacted]',
      },
    },
    stream,
  );
}
