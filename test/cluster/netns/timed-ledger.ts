// A ledger that also knows when each success was, for questions about a stretch of the run.

import { Ledger } from '../clients.ts';

interface Sample {
  readonly atMs: number;
  readonly client: string;
  readonly durationMs: number;
}

export class TimedLedger extends Ledger {
  readonly #samples: Sample[] = [];

  override succeeded(client: string, durationMs: number): void {
    this.#samples.push({ atMs: performance.now(), client, durationMs });
    super.succeeded(client, durationMs);
  }

  /** Durations of the clients' successes that ended in the time. */
  between(fromMs: number, untilMs: number, counts: (client: string) => boolean): readonly number[] {
    return this.#samples
      .filter((sample) => sample.atMs >= fromMs && sample.atMs < untilMs && counts(sample.client))
      .map((sample) => sample.durationMs);
  }

  /** When the last success began that took longer than `limitMs`; null when none did. */
  lastSlowSince(fromMs: number, limitMs: number, counts: (client: string) => boolean): number | null {
    const slow = this.#samples.filter(
      (sample) => sample.atMs >= fromMs && sample.durationMs > limitMs && counts(sample.client),
    );
    return slow.length === 0 ? null : Math.max(...slow.map((sample) => sample.atMs - sample.durationMs));
  }
}
