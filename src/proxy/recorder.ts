// What is left of an exchange or connection when it ends: counters, durations and one line of the access log.

import { FieldId } from '../http1/field-id.ts';
import type { FailureCode } from '../model/failures.ts';
import { AccessLines, type ExchangeRecord } from '../telemetry/access-line.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import { flagOf } from '../telemetry/flags.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import type { ListenerMeters } from './meters.ts';

/** A request that could not be read far enough to become an exchange. */
export interface RefusedRequest {
  readonly listener: string;
  readonly protocol: string;
  readonly client: string;
  readonly status: number;
  readonly code: FailureCode;
  /** The codec's own reason. */
  readonly detail: string;
  readonly totalMs: number;
}

/** What a record takes from the client's side. */
export interface RecordedSession {
  readonly listenerName: string;
  readonly protocol: string;
  readonly client: { readonly address: string };
  readonly meters: ListenerMeters;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

export class Recorder {
  readonly #lines = new AccessLines();
  /** Filled anew for each exchange. */
  readonly #line: Writable<ExchangeRecord> = {
    ...NOTHING,
    startedAtMs: 0,
    listener: '',
    protocol: '',
    client: '',
    totalMs: 0,
    flag: '-',
    reason: null,
  };
  readonly #wallClock: () => number;
  #log: AccessLog | null = null;

  constructor(wallClock: () => number) {
    this.#wallClock = wallClock;
  }

  /** Null writes nothing. */
  set log(log: AccessLog | null) {
    this.#log = log;
  }

  record(exchange: ExchangeFacts, session: RecordedSession, nowMs: number): void {
    const { match, view, failure, status } = exchange;
    const { head } = view;
    const rule = match.rule;
    const totalMs = nowMs - exchange.startedAtMs;
    session.meters.answered(session.protocol);
    session.meters.route(rule === null ? '-' : rule.route.name).count(head.method, status, totalMs / 1000);
    if (failure !== null) session.meters.failed(failure);
    if (this.#log === null) return;
    const { pool, target } = exchange;
    const line = this.#line;
    line.startedAtMs = this.#wallClock() - totalMs;
    line.id = exchange.requestId;
    line.listener = session.listenerName;
    line.protocol = session.protocol;
    line.client = session.client.address;
    line.method = head.method;
    line.host = head.host;
    line.path = head.path;
    line.status = status;
    line.bytesIn = exchange.bytesIn;
    line.bytesOut = exchange.bytesOut;
    line.route = rule === null ? null : rule.route.name;
    line.rule = rule === null ? null : rule.label;
    line.pool = pool === null ? null : pool.name;
    line.target = target === null ? null : target.identity;
    line.node = target === null ? null : target.node;
    line.attempts = exchange.attempts;
    line.reused = exchange.reused;
    line.headerMs = exchange.headAtMs - exchange.startedAtMs;
    line.connectMs = exchange.attempts === 0 ? null : exchange.connectMs;
    line.firstByteMs = exchange.firstByteAtMs === 0 ? null : exchange.firstByteAtMs - exchange.startedAtMs;
    line.totalMs = totalMs;
    line.flag = flagOf(failure);
    line.reason = failure;
    line.userAgent = head.has(FieldId.UserAgent) ? head.valueOf(FieldId.UserAgent) : null;
    line.referer = head.has(FieldId.Referer) ? head.valueOf(FieldId.Referer) : null;
    // A compiled rule never changes its names, and a target belongs to one pool for life.
    line.ruleKey = rule;
    line.targetKey = target;
    line.clientText = exchange.clientText;
    this.#log.lineOf(this.#lines, line);
    exchange.onLine();
  }

  refused(request: RefusedRequest, meters: ListenerMeters): void {
    meters.answered(request.protocol);
    meters.route('-').count('OTHER', request.status, request.totalMs / 1000);
    meters.failed(request.code);
    this.connection({
      ...NOTHING,
      startedAtMs: this.#wallClock() - request.totalMs,
      listener: request.listener,
      protocol: request.protocol,
      client: request.client,
      status: request.status,
      totalMs: request.totalMs,
      flag: flagOf(request.code),
      reason: request.detail === '' ? request.code : request.detail,
    });
  }

  /** A line for something that is not an exchange: a tcp connection, or a request that was refused. */
  connection(record: ExchangeRecord): void {
    this.#log?.lineOf(this.#lines, record);
  }
}

/** A record with nothing in it, to be filled by what a connection has. */
export const NOTHING = {
  id: null,
  method: null,
  host: null,
  path: null,
  status: null,
  bytesIn: 0,
  bytesOut: 0,
  route: null,
  rule: null,
  pool: null,
  target: null,
  node: null,
  attempts: 0,
  reused: false,
  headerMs: null,
  connectMs: null,
  firstByteMs: null,
  userAgent: null,
  referer: null,
  ruleKey: null,
  targetKey: null,
  clientText: null,
} as const;
