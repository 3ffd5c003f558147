// One exchange as one JSON line, by plain concatenation: no object is serialised while serving.

import { milliseconds, plainNumber, quoted, RepeatedTexts, TextOf } from './line-text.ts';
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
  /** The object that `route` and `rule` always belong to: their text is made once for it. Null makes it for each line. */
  readonly ruleKey: object | null;
  /** The same for `pool`, `target` and `node`. */
  readonly targetKey: object | null;
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

function withoutQuery(value: string | null): string | null {
  if (value === null) return null;
  const query = value.indexOf('?');
  const end = query >= 0 ? query : value.indexOf('#');
  return end < 0 ? value : value.slice(0, end);
}

/** Largest time that `Date` can print. */
const MAX_TIME = 8.64e15;

/** Builds lines; remembers the text of what repeats from line to line. One for each worker. */
export class AccessLineBuilder {
  readonly #withQuery: boolean;
  #second = Number.NaN;
  #prefix = '';
  #listener: string | null = null;
  #protocol = '';
  #listenerText = '';
  // Looked up instead of tested for escapes and quoted again: about 6% of a line.
  readonly #clients = new RepeatedTexts(LIMIT.client, 64);
  readonly #hosts = new RepeatedTexts(LIMIT.host, 8);
  readonly #agents = new RepeatedTexts(LIMIT.agent, 8);
  // What an object stands for is printed once: 23% of a line or more.
  readonly #rules = new TextOf();
  readonly #targets = new TextOf();

  /** @param withQuery keep the query of `path`, which may hold secrets. Default false. The referer never keeps its own. */
  constructor(withQuery = false) {
    this.#withQuery = withQuery;
  }

  /** One line with its newline: ASCII, at most `MAX_LINE_BYTES` long, fields cut where needed. Never throws. */
  line(record: ExchangeRecord): string {
    const { path, flag, reason, referer } = record;
    return (
      `{"ts":"${this.#timestamp(record.startedAtMs)}","id":${quoted(record.id, LIMIT.id)}` +
      `${this.#ofListener(record)}${this.#clients.of(record.client)},"method":${quoted(record.method, LIMIT.short)}` +
      `,"host":${this.#hosts.of(record.host)}` +
      `,"path":${quoted(this.#withQuery ? path : withoutQuery(path), LIMIT.path)}` +
      `,"status":${plainNumber(record.status)},"bytes_in":${plainNumber(record.bytesIn)}` +
      `,"bytes_out":${plainNumber(record.bytesOut)}${this.#ofRule(record)}${this.#ofTarget(record)}` +
      `,"attempts":${plainNumber(record.attempts)},"reused":${record.reused}` +
      `,"t_header":${milliseconds(record.headerMs)},"t_connect":${milliseconds(record.connectMs)}` +
      `,"t_ttfb":${milliseconds(record.firstByteMs)},"t_total":${milliseconds(record.totalMs)}` +
      (flag === '-' && reason === null
        ? ',"flag":"-","reason":null'
        : `,"flag":${quoted(flag, LIMIT.short)},"reason":${quoted(reason, LIMIT.short)}`) +
      `,"ua":${this.#agents.of(record.userAgent)}` +
      (referer === null
        ? ',"referer":null}\n'
        : `,"referer":${quoted(withoutQuery(referer), LIMIT.referer)}}\n`)
    );
  }

  /** A worker has few listeners, and most lines in a row are of the same: about 22% of a line. */
  #ofListener({ listener, protocol }: ExchangeRecord): string {
    if (listener !== this.#listener || protocol !== this.#protocol) {
      this.#listener = listener;
      this.#protocol = protocol;
      this.#listenerText = `,"listener":${quoted(listener, LIMIT.name)},"proto":${quoted(protocol, LIMIT.short)},"client":`;
    }
    return this.#listenerText;
  }

  #ofRule({ route, rule, ruleKey }: ExchangeRecord): string {
    const kept = ruleKey === null ? undefined : this.#rules.get(ruleKey);
    if (kept !== undefined) return kept;
    const made = `,"route":${quoted(route, LIMIT.name)},"rule":${quoted(rule, LIMIT.name)}`;
    return ruleKey === null ? made : this.#rules.keep(ruleKey, made);
  }

  #ofTarget({ pool, target, node, targetKey }: ExchangeRecord): string {
    const kept = targetKey === null ? undefined : this.#targets.get(targetKey);
    if (kept !== undefined) return kept;
    const made =
      `,"pool":${quoted(pool, LIMIT.name)},"target":${quoted(target, LIMIT.name)}` +
      `,"node":${quoted(node, LIMIT.host)}`;
    return targetKey === null ? made : this.#targets.keep(targetKey, made);
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
