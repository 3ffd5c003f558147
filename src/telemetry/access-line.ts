// One exchange as one JSON line, written into the buffer that it leaves from.

import { lengthOf } from './any-text.ts';
import type { ClientText } from './client-text.ts';
import type { LineSource } from './line-buffers.ts';
import { asciiOf, LineBytes } from './line-bytes.ts';
import { PIPE_CHUNK_BYTES } from './log-destination.ts';
import { joined, quotedText, RepeatedTexts } from './repeated-texts.ts';

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
  /** Of the connection, from its second line on; null makes its part for each line. */
  readonly clientText: ClientText | null;
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
const LIMIT = {
  name: 128,
  id: 128,
  client: 64,
  short: 32,
  reason: 64,
  host: 256,
  path: 1024,
  agent: 256,
  referer: 256,
};

// Names of fields lie with the values before them, where those are kept: each part is a call.
const START = '{"ts":"';
const ID = asciiOf('Z","id":');
const BYTES_OUT = asciiOf(',"bytes_out":');
const CONNECT = asciiOf(',"t_connect":');
const FIRST_BYTE = asciiOf(',"t_ttfb":');
const TOTAL = asciiOf(',"t_total":');
const SERVED = asciiOf(',"flag":"-","reason":null,"ua":');
const FLAG = asciiOf(',"flag":');
const REASON = asciiOf(',"reason":');
const AGENT = asciiOf(',"ua":');
const END = asciiOf('}\n');
const NO_REFERER_END = asciiOf('null}\n');
const STATUS = ',"status":';
const BYTES_IN = ',"bytes_in":';
const NO_STATUS = asciiOf(`${STATUS}null${BYTES_IN}`);
const STATUSES = Array.from({ length: 600 }, (_, status) => asciiOf(STATUS + status + BYTES_IN));
const NO_RULE = asciiOf(',"route":null,"rule":null');
const ATTEMPTS = ',"attempts":';
const REUSED = ',"reused":true,"t_header":';
const OPENED = ',"reused":false,"t_header":';
const FIRST_REUSED = asciiOf(`${ATTEMPTS}1${REUSED}`);
const FIRST_OPENED = asciiOf(`${ATTEMPTS}1${OPENED}`);

/** How much of a value comes before its query. */
function lengthWithoutQuery(value: string | null): number {
  if (value === null) return 0;
  const query = value.indexOf('?');
  const end = query >= 0 ? query : value.indexOf('#');
  return end < 0 ? lengthOf(value) : end;
}

/** Largest time that `Date` can print. */
const MAX_TIME = 8.64e15;

/** Writes lines; remembers the text of what repeats from line to line. One for each worker. */
export class AccessLines implements LineSource<ExchangeRecord> {
  readonly #withQuery: boolean;
  readonly #line = new LineBytes(Buffer.alloc(0));
  #second = Number.NaN;
  #start: Uint8Array = new Uint8Array(0);
  #listener: string | null = null;
  #protocol = '';
  #listenerText: Uint8Array = new Uint8Array(0);
  // Looked up instead of tested for escapes and quoted again: about 6% of a line.
  readonly #clients = new RepeatedTexts(LIMIT.client, 64, ',"method":');
  readonly #methods = new RepeatedTexts(LIMIT.short, 8, ',"host":');
  readonly #hosts = new RepeatedTexts(LIMIT.host, 8, ',"path":');
  readonly #agents = new RepeatedTexts(LIMIT.agent, 8, ',"referer":');
  // What an object stands for is printed once: 23% of a line or more.
  readonly #rules = new WeakMap<object, Uint8Array>();
  readonly #targets = new WeakMap<object, Uint8Array>();

  /** @param withQuery keep the query of `path`, which may hold secrets. Default false. The referer never keeps its own. */
  constructor(withQuery = false) {
    this.#withQuery = withQuery;
  }

  /**
   * Writes one line with its newline: ASCII, at most `MAX_LINE_BYTES` long, fields cut where needed. Never throws.
   * @param bytes with `MAX_LINE_BYTES` of room from `start` on
   * @returns where it ends
   */
  write(record: ExchangeRecord, bytes: Buffer, start: number): number {
    const line = this.#line;
    line.bytes = bytes;
    line.end = start;
    this.#time(line, record.startedAtMs);
    line.part(ID);
    line.quoted(record.id, LIMIT.id);
    this.#client(line, record);
    const { path } = record;
    if (this.#withQuery) line.quoted(path, LIMIT.path);
    else line.quoted(path, LIMIT.path, lengthWithoutQuery(path));
    this.#result(line, record);
    line.part(this.#ofRule(record));
    line.part(this.#ofTarget(record));
    this.#times(line, record);
    this.#ending(line, record);
    return line.end;
  }

  /** A connection mostly says the same: one part in the place of four. */
  #client(line: LineBytes, record: ExchangeRecord): void {
    const { clientText, client, method, host } = record;
    const kept = clientText?.of(record) ?? null;
    if (kept !== null) return line.part(kept);
    const start = line.end;
    line.part(this.#ofListener(record));
    line.part(this.#clients.of(client));
    line.part(this.#methods.of(method));
    line.part(this.#hosts.of(host));
    clientText?.keep(record, line.bytes, start, line.end);
  }

  #result(line: LineBytes, { status, bytesIn, bytesOut }: ExchangeRecord): void {
    const text = status === null ? NO_STATUS : STATUSES[status];
    if (text === undefined) line.unusual(STATUS, status, BYTES_IN);
    else line.part(text);
    line.number(bytesIn);
    line.part(BYTES_OUT);
    line.number(bytesOut);
  }

  #times(line: LineBytes, record: ExchangeRecord): void {
    if (record.attempts === 1) line.part(record.reused ? FIRST_REUSED : FIRST_OPENED);
    else line.unusual(ATTEMPTS, record.attempts, record.reused ? REUSED : OPENED);
    line.milliseconds(record.headerMs);
    line.part(CONNECT);
    line.milliseconds(record.connectMs);
    line.part(FIRST_BYTE);
    line.milliseconds(record.firstByteMs);
    line.part(TOTAL);
    line.milliseconds(record.totalMs);
  }

  #ending(line: LineBytes, { flag, reason, userAgent, referer }: ExchangeRecord): void {
    if (flag === '-' && reason === null) {
      line.part(SERVED);
    } else {
      line.part(FLAG);
      line.quoted(flag, LIMIT.short);
      line.part(REASON);
      line.quoted(reason, LIMIT.reason);
      line.part(AGENT);
    }
    line.part(this.#agents.of(userAgent));
    if (referer === null) return line.part(NO_REFERER_END);
    line.quoted(referer, LIMIT.referer, lengthWithoutQuery(referer));
    line.part(END);
  }

  /** A worker has few listeners, and most lines in a row are of the same: about 22% of a line. */
  #ofListener({ listener, protocol }: ExchangeRecord): Uint8Array {
    if (listener !== this.#listener || protocol !== this.#protocol) {
      this.#listener = listener;
      this.#protocol = protocol;
      this.#listenerText = joined(
        ...[',"listener":', quotedText(listener, LIMIT.name), ',"proto":'],
        ...[quotedText(protocol, LIMIT.short), ',"client":'],
      );
    }
    return this.#listenerText;
  }

  #ofRule({ route, rule, ruleKey }: ExchangeRecord): Uint8Array {
    if (route === null && rule === null) return NO_RULE;
    const kept = ruleKey === null ? undefined : this.#rules.get(ruleKey);
    if (kept !== undefined) return kept;
    const made = joined(',"route":', quotedText(route, LIMIT.name), ',"rule":', quotedText(rule, LIMIT.name));
    if (ruleKey !== null) this.#rules.set(ruleKey, made);
    return made;
  }

  #ofTarget({ pool, target, node, targetKey }: ExchangeRecord): Uint8Array {
    const kept = targetKey === null ? undefined : this.#targets.get(targetKey);
    if (kept !== undefined) return kept;
    const made = joined(
      ...[',"pool":', quotedText(pool, LIMIT.name), ',"target":', quotedText(target, LIMIT.name)],
      ...[',"node":', quotedText(node, LIMIT.host)],
    );
    if (targetKey !== null) this.#targets.set(targetKey, made);
    return made;
  }

  /** RFC 3339 in UTC with milliseconds, without its Z. */
  #time(line: LineBytes, atMs: number): void {
    const time = Number.isFinite(atMs) && Math.abs(atMs) <= MAX_TIME ? Math.floor(atMs) : 0;
    const second = Math.floor(time / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#start = asciiOf(START + new Date(second * 1000).toISOString().slice(0, -4));
    }
    line.part(this.#start);
    line.threeDigits(time - second * 1000);
  }
}
