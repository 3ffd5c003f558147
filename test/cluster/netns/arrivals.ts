// Every request and session as the pods saw it, by service, entry node and pod, on this process' clock.

import process from 'node:process';

export interface Arrival {
  /** `performance.now()` of this process. */
  readonly atMs: number;
  readonly service: string;
  /** The node that it came in by. */
  readonly entry: string;
  readonly pod: string;
  readonly what: string;
  /** The balancer that sent it: `portico`, or a peer's name. */
  readonly by: string;
}

/** From CLOCK_MONOTONIC, which all processes share, to `performance.now()` of this one. */
const OFFSET_MS = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now();

export function fromMonotonic(monotonicMs: number): number {
  return monotonicMs - OFFSET_MS;
}

export class ArrivalLog {
  readonly #arrivals: Arrival[] = [];
  probes = 0;

  add(arrival: Arrival): void {
    this.#arrivals.push(arrival);
  }

  get total(): number {
    return this.#arrivals.length;
  }

  since(service: string, entry: string, atMs: number, by = 'portico'): readonly Arrival[] {
    return this.#arrivals.filter(
      (a) => a.service === service && a.entry === entry && a.atMs >= atMs && a.by === by,
    );
  }
}
