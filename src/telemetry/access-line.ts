// One exchange as one JSON line, by plain concatenation: no object is serialised while serving.

import { PIPE_CHUNK_BYTES } from './log-destination.ts';

/** What a worker knows of an exchange (or a tcp connection) when it ends. Null where it does not apply. Times in milliseconds. */
export interface ExchangeRecord {
  /** Wall clock at the first byte, epoch milliseconds. */
  readonly startedAtMs: number;
  readonly id: string | null;
  readonly listener: string;
  /** `HTTP/1.1`, `HTTP/1.0`, `tcp`. */
  readonly protocol: string;
  readonly client: string;
  readonly method: string | null;
  readonly host: string | null;
  /** As the client sent it; the query is cut off here. */
  readonly path: string | null;
  /** Status sent, 499 for a client that left first, null for tcp. */
  readonly status: number | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly route: string | null;
  readonly rule: string | null;
  readonly pool: string | null;
  readonly target: string | null;
  readonly node: string | null;
  readonly attempts: number;
  /** The last attempt went out on a connection that was already open. */
  readonly reused: boolean;
  /** First byte to the end of the request head. */
  readonly headerMs: number | null;
  /** Opening the upstream connection of the last attempt; 0 when reused. */
  readonly connectMs: number | null;
  /** First byte of the request to the first byte of the target's answer. */
  readonly firstByteMs: number | null;
  /** First byte of the request to the last byte of the answer. */
  readonly totalMs: number;
  /** Two letters of telemetry/flags.ts, `-` when nothing failed. */
  readonly flag: string;
  /** Code of model/failures.ts, null when nothing failed. */
  readonly reason: string | null;
  readonly userAgent: string | null;
  readonly referer: string | null;
}

/** The fields of a line in their order. */
export const ACCESS_FIELDS = [
  'ts',
  'id',
  'listener',
  'proto',
  'client',
  'method',
  'host',
  'path',
  'status',
  'bytes_in',
  'bytes_out',
  'route',
  'rule',
  'pool',
  'target',
  'node',
  'attempts',
  'reused',
  't_header',
  't_connect',
  't_ttfb',
  't_total',
  'flag',
  'reason',
  'ua',
  'referer',
] as const;

/** No line is longer, so that one write to a pipe carries it whole. */
export const MAX_LINE_BYTES = PIPE_CHUNK_BYTES;

/** Longest text of a field after escaping; together with the keys and numbers they stay below `MAX_LINE_BYTES`. */
const LIMIT = { name: 128, id: 128, client: 64, short: 32, host: 256, path: 1024, agent: 256, referer: 256 };

/** Printable ASCII without the quote and the backslash needs no escape. */
const NEEDS_ESCAPE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

/** Pure ASCII, since control bytes and C1 codes in a header must not reach the terminal of whoever reads the log. */
function text(value: string | null, limit: number): string {
  if (value === null) return 'null';
  if (value.length <= limit && !NEEDS_ESCAPE.test(value)) return `"${value}"`;
  return `"${escapeWithin(value, limit)}"`;
}

function escapeWithin(value: string, limit: number): string {
  let escaped = '';
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index);
    const unit =
      code === 0x22 || code === 0x5c
        ? `\\${value[index]}`
        : code >= 0x20 && code < 0x7f
          ? value[index]!
          : `\\u${code.toString(16).padStart(4, '0')}`;
    if (escaped.length + unit.length > limit) return escaped;
    escaped += unit;
  }
  return escaped;
}

function withoutQuery(value: string | null): string | null {
  if (value === null) return null;
  const query = value.indexOf('?');
  const end = query >= 0 ? query : value.indexOf('#');
  return end < 0 ? value : value.slice(0, end);
}

/** Three decimals; what is not finite cannot stand in JSON. */
function milliseconds(value: number | null): string {
  return value === null ? 'null' : number(Math.round(value * 1000) / 1000);
}

function number(value: number | null): string {
  return value === null || !Number.isFinite(value) ? 'null' : String(value);
}

/** Largest time that `Date` can print. */
const MAX_TIME = 8.64e15;

/** Builds lines; remembers the text of the current second. One for each worker. */
export class AccessLineBuilder {
  readonly #withQuery: boolean;
  #second = Number.NaN;
  #prefix = '';

  /** @param withQuery keep the query of `path`, which may hold secrets. Default false. The referer never keeps its own. */
  constructor(withQuery = false) {
    this.#withQuery = withQuery;
  }

  /** One line with its newline: ASCII, at most `MAX_LINE_BYTES` long, fields cut where needed. Never throws. */
  line(record: ExchangeRecord): string {
    return (
      `{"ts":"${this.#timestamp(record.startedAtMs)}","id":${text(record.id, LIMIT.id)}` +
      `,"listener":${text(record.listener, LIMIT.name)},"proto":${text(record.protocol, LIMIT.short)}` +
      `,"client":${text(record.client, LIMIT.client)},"method":${text(record.method, LIMIT.short)}` +
      `,"host":${text(record.host, LIMIT.host)}` +
      `,"path":${text(this.#withQuery ? record.path : withoutQuery(record.path), LIMIT.path)}` +
      `,"status":${number(record.status)},"bytes_in":${number(record.bytesIn)},"bytes_out":${number(record.bytesOut)}` +
      `,"route":${text(record.route, LIMIT.name)},"rule":${text(record.rule, LIMIT.name)}` +
      `,"pool":${text(record.pool, LIMIT.name)},"target":${text(record.target, LIMIT.name)}` +
      `,"node":${text(record.node, LIMIT.host)},"attempts":${number(record.attempts)},"reused":${record.reused}` +
      `,"t_header":${milliseconds(record.headerMs)},"t_connect":${milliseconds(record.connectMs)}` +
      `,"t_ttfb":${milliseconds(record.firstByteMs)},"t_total":${milliseconds(record.totalMs)}` +
      `,"flag":${text(record.flag, LIMIT.short)},"reason":${text(record.reason, LIMIT.short)}` +
      `,"ua":${text(record.userAgent, LIMIT.agent)},"referer":${text(withoutQuery(record.referer), LIMIT.referer)}}\n`
    );
  }

  /** RFC 3339 in UTC with milliseconds. */
  #timestamp(atMs: number): string {
    const time = Number.isFinite(atMs) && Math.abs(atMs) <= MAX_TIME ? Math.floor(atMs) : 0;
    const second = Math.floor(time / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = new Date(second * 1000).toISOString().slice(0, -4);
    }
    const rest = time - second * 1000;
    return `${this.#prefix}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
  }
}
