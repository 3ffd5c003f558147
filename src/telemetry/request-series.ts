// The series of one listener and route, bound when a snapshot is applied and looked up by numbers while serving.

import { CODE_CLASSES, codeClassIndex, codeLabel, methodIndex, methodLabel } from './labels.ts';
import type { MetricsBoard } from './metrics-board.ts';

/** Counts answered requests; a method and status that occur for the first time bind their slot then, bounded by the label sets. */
export class RequestSeries {
  readonly #board: MetricsBoard;
  readonly #listener: string;
  readonly #route: string;
  readonly #counters = new Map<number, number>();
  readonly #durations: readonly number[];

  constructor(board: MetricsBoard, listener: string, route: string) {
    this.#board = board;
    this.#listener = listener;
    this.#route = route;
    this.#durations = CODE_CLASSES.map((codeClass) =>
      board.histogram('portico_http_request_duration_seconds', { route, code_class: codeClass }),
    );
  }

  /** One request that ended with `status` after `seconds`. */
  count(method: string, status: number, seconds: number): void {
    const code = status >= 100 && status <= 599 ? status : 0;
    const key = methodIndex(method) * 1000 + code;
    let slot = this.#counters.get(key);
    if (slot === undefined) {
      slot = this.#board.counter('portico_http_requests_total', {
        listener: this.#listener,
        route: this.#route,
        method: methodLabel(method),
        code: codeLabel(status),
      });
      this.#counters.set(key, slot);
    }
    const values = this.#board.values;
    values[slot] = values[slot]! + 1;
    this.#board.observe(this.#durations[codeClassIndex(status)]!, seconds);
  }
}
