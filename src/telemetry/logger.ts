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
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets, bindings: withoutSecrets },
      serializers: { error: (error: Error) => withoutSecrets(pino.stdSerializers.err(error)) },
    },
    stream,
  );
}

type Fields = Record<string, unknown>;

const REDACTED: ReadonlySet<string> = new Set(REDACTED_KEYS);

/** pino's own redaction would look up all of its paths in every line. Copies only what hides something. */
function withoutSecrets<T extends object>(fields: T): Fields {
  const given = fields as Fields;
  let shown = given;
  for (const key in given) {
    const value = given[key];
    const safe = REDACTED.has(key) ? '[redacted]' : isNested(value) ? withoutOwn(value) : value;
    if (safe === value) continue;
    if (shown === given) shown = { ...given };
    shown[key] = safe;
  }
  return shown;
}

/** An error goes through the serializer. */
function isNested(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !(value instanceof Error);
}

function withoutOwn(given: Fields): Fields {
  let shown = given;
  for (const key in given) {
    if (!REDACTED.has(key) || given[key] === undefined) continue;
    if (shown === given) shown = { ...given };
    shown[key] = '[redacted]';
  }
  return shown;
}
