// The worker's series, bound to slots when a snapshot is applied so that a request only adds numbers.

import type { ConnectionFailure } from '../http2/failures.ts';
import type { FailureCode } from '../model/failures.ts';
import { CODE_CLASSES, codeClassIndex } from '../telemetry/labels.ts';
import type { MetricsBoard } from '../telemetry/metrics-board.ts';
import { RequestSeries } from '../telemetry/request-series.ts';

type ReasonCounter =
  | 'portico_connections_ended_total'
  | 'portico_connections_refused_total'
  | 'portico_failures_total';

/** What one listener counts. */
export class ListenerMeters {
  readonly #board: MetricsBoard;
  readonly #listener: string;
  readonly #active: number;
  readonly #total: number;
  readonly #received: number;
  readonly #sent: number;
  readonly #requests: number;
  readonly #routes = new Map<string, RequestSeries>();
  readonly #tcpResults = new Map<string, number>();
  readonly #protocols = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #ends = new Map<string, number>();
  readonly #refusals = new Map<string, number>();

  constructor(board: MetricsBoard, listener: string, protocol: string) {
    this.#board = board;
    this.#listener = listener;
    this.#active = board.gauge('portico_connections_active', { listener, protocol });
    this.#total = board.counter('portico_connections_total', { listener, protocol });
    this.#requests = board.gauge('portico_requests_active', { listener });
    this.#received = board.counter('portico_bytes_received_total', { listener });
    this.#sent = board.counter('portico_bytes_sent_total', { listener });
  }

  opened(): void {
    const { values } = this.#board;
    values[this.#active]! += 1;
    values[this.#total]! += 1;
  }

  closed(received: number, sent: number): void {
    this.#board.values[this.#active]! -= 1;
    this.bytes(received, sent);
  }

  bytes(received: number, sent: number): void {
    const { values } = this.#board;
    values[this.#received]! += received;
    values[this.#sent]! += sent;
  }

  /** Counts an answered request by its protocol. */
  answered(protocol: string): void {
    let slot = this.#protocols.get(protocol);
    if (slot === undefined) {
      slot = this.#board.counter('portico_protocol_requests_total', { listener: this.#listener, protocol });
      this.#protocols.set(protocol, slot);
    }
    this.#add(slot);
  }

  /** An HTTP/2 connection was given up. */
  http2Failed(reason: ConnectionFailure): void {
    this.#add(
      this.#board.counter('portico_http2_connection_failures_total', { listener: this.#listener, reason }),
    );
  }

  /** Moves the gauge of requests in flight. */
  requests(change: 1 | -1): void {
    this.#board.values[this.#requests]! += change;
  }

  /** A limit ended a connection that was open. */
  ended(reason: string): void {
    this.#count('portico_connections_ended_total', this.#ends, reason);
  }

  refused(reason: string): void {
    this.#count('portico_connections_refused_total', this.#refusals, reason);
  }

  handshaken(version: string, resumed: boolean): void {
    const labels = { listener: this.#listener, version, resumed: String(resumed) };
    this.#add(this.#board.counter('portico_tls_handshakes_total', labels));
  }

  failed(reason: FailureCode): void {
    this.#count('portico_failures_total', this.#failures, reason);
  }

  tcpEnded(result: string): void {
    let slot = this.#tcpResults.get(result);
    if (slot === undefined) {
      slot = this.#board.counter('portico_tcp_connections_total', { listener: this.#listener, result });
      this.#tcpResults.set(result, slot);
    }
    this.#add(slot);
  }

  /** The request series of a route; `-` stands for requests that no route took. */
  route(name: string): RequestSeries {
    let series = this.#routes.get(name);
    if (series === undefined) {
      series = new RequestSeries(this.#board, this.#listener, name);
      this.#routes.set(name, series);
    }
    return series;
  }

  /** @param slots that were bound before, by reason: floods end at limits thousands of times a second */
  #count(name: ReasonCounter, slots: Map<string, number>, reason: string): void {
    let slot = slots.get(reason);
    if (slot === undefined) {
      slot = this.#board.counter(name, { listener: this.#listener, reason });
      slots.set(reason, slot);
    }
    this.#add(slot);
  }

  #add(slot: number): void {
    this.#board.values[slot]! += 1;
  }
}

/** What one pool counts. */
export class PoolMeters {
  readonly #board: MetricsBoard;
  readonly #pool: string;
  readonly #connect: number;
  readonly #response: number;
  readonly #reuses: number;
  readonly #ejections: number;
  readonly #ejected: number;
  readonly #active: number;
  readonly #idle: number;
  readonly #pending: number;
  readonly #classes: readonly number[];

  constructor(board: MetricsBoard, pool: string) {
    this.#board = board;
    this.#pool = pool;
    this.#connect = board.histogram('portico_upstream_connect_duration_seconds', { pool });
    this.#response = board.histogram('portico_upstream_response_duration_seconds', { pool });
    this.#reuses = board.counter('portico_upstream_connection_reuses_total', { pool });
    this.#ejections = board.counter('portico_ejections_total', { pool });
    this.#ejected = board.gauge('portico_ejected', { pool });
    this.#active = board.gauge('portico_upstream_connections', { pool, state: 'active' });
    this.#idle = board.gauge('portico_upstream_connections', { pool, state: 'idle' });
    this.#pending = board.gauge('portico_upstream_pending', { pool });
    this.#classes = CODE_CLASSES.map((codeClass) =>
      board.counter('portico_upstream_requests_total', { pool, code_class: codeClass }),
    );
  }

  /** Moves the connection gauges: +1, 0 or -1 each. */
  connections(active: number, idle: number): void {
    const { values } = this.#board;
    values[this.#active]! += active;
    values[this.#idle]! += idle;
  }

  /** Moves the gauge of those that wait for a connection. */
  pending(change: 1 | -1): void {
    this.#board.values[this.#pending]! += change;
  }

  connected(tookMs: number): void {
    this.#board.observe(this.#connect, tookMs / 1000);
  }

  connectFailed(reason: FailureCode): void {
    const slot = this.#board.counter('portico_upstream_connect_failures_total', { pool: this.#pool, reason });
    this.#board.values[slot]! += 1;
  }

  reused(): void {
    this.#board.values[this.#reuses]! += 1;
  }

  answered(status: number, tookMs: number): void {
    this.#board.values[this.#classes[codeClassIndex(status)]!]! += 1;
    this.#board.observe(this.#response, tookMs / 1000);
  }

  retried(reason: FailureCode | 'status' | 'connect-slow' | 'path-silent'): void {
    const slot = this.#board.counter('portico_retries_total', { pool: this.#pool, reason });
    this.#board.values[slot]! += 1;
  }

  retryBudgetExhausted(): void {
    const slot = this.#board.counter('portico_retry_budget_exhausted_total', { pool: this.#pool });
    this.#board.values[slot]! += 1;
  }

  ejected(now: number): void {
    const { values } = this.#board;
    values[this.#ejections]! += 1;
    values[this.#ejected] = now;
  }

  returned(now: number): void {
    this.#board.values[this.#ejected] = now;
  }
}
