// The last numbers of every worker, so that one that dies while no controller runs is still counted.

import type { MetricsMessage, SupervisorToController } from '../model/messages.ts';

export class MetricsLedger {
  readonly #last = new Map<string, MetricsMessage>();
  /** Told to the next controller: the numbers of workers that are gone, and why they went. */
  readonly #untold: SupervisorToController[] = [];

  /** Keeps the newest values with the newest series list. */
  keep(worker: string, frame: MetricsMessage): void {
    const series = frame.series ?? this.#last.get(worker)?.series ?? null;
    this.#last.set(worker, { ...frame, series });
  }

  /** @param told whether a controller heard of the exit; otherwise the next one will */
  exited(worker: string, reason: string, told: boolean): void {
    const frame = this.#last.get(worker);
    this.#last.delete(worker);
    if (told) return;
    if (frame !== undefined) {
      this.#untold.push({ kind: 'worker-said', worker, message: { kind: 'metrics', frame } });
    }
    this.#untold.push({ kind: 'process-exited', role: 'worker', worker, reason });
  }

  /** What a new controller has to hear first. */
  takeUntold(): readonly SupervisorToController[] {
    return this.#untold.splice(0);
  }
}
