// Owns what the results of one probe add up to: health as damped, and how many of the last ones failed.

import { type Damped, dampen } from './dampener.ts';
import type { ProbeFailure, ProbeResult } from './probe-result.ts';

/** What is known of one probe; replaced when a result says anything new, never changed. */
export interface ProbeStatus {
  /** Damped. */
  readonly healthy: boolean;
  /** Of the last result; null is success. */
  readonly failure: ProbeFailure | null;
  readonly detail: string;
  readonly weight: number | null;
  /** Results among the last `RECENT_RESULTS`, and failures among those. */
  readonly recent: number;
  readonly recentFailures: number;
  /** True once any result was a success. */
  readonly everOk: boolean;
}

/** How many results `recent` looks back. */
export const RECENT_RESULTS = 8;

/** How a probe's results are judged. */
export interface ProbeTerms {
  /** Successes in a row that make it healthy, and failures in a row that make it unhealthy. */
  readonly rise: number;
  readonly fall: number;
  /** Targets are judged by the share of failures among its results and those of others, too. */
  readonly compared: boolean;
}

/**
 * What a result has changed: nothing; only what is shown; how many failed of late (`shifted`); health, the kind of failure
 * or the weight (`flipped`).
 */
export type StatusChange = 'none' | 'shown' | 'shifted' | 'flipped';

export class ProbeRecord {
  readonly #terms: ProbeTerms;
  #damped: Damped | null = null;
  /** One bit for each of the last results, 1 is a failure. */
  #mask = 0;
  #status: ProbeStatus | null = null;

  constructor(terms: ProbeTerms) {
    this.#terms = terms;
  }

  /** Null before the first result. */
  get status(): ProbeStatus | null {
    return this.#status;
  }

  take({ failure, detail, weight }: ProbeResult): StatusChange {
    const { rise, fall, compared } = this.#terms;
    const before = this.#status;
    const ok = failure === null;
    this.#damped = dampen(this.#damped, ok, rise, fall);
    this.#mask = ((this.#mask << 1) | (ok ? 0 : 1)) & ((1 << RECENT_RESULTS) - 1);
    const status: ProbeStatus = {
      healthy: this.#damped.healthy,
      failure,
      detail,
      // A failure says nothing of the weight.
      weight: ok ? weight : (before?.weight ?? null),
      recent: Math.min(RECENT_RESULTS, (before?.recent ?? 0) + 1),
      recentFailures: bits(this.#mask),
      everOk: ok || (before?.everOk ?? false),
    };
    const change = before === null ? 'flipped' : changeOf(before, status, compared);
    if (change !== 'none') this.#status = status;
    return change;
  }
}

function changeOf(before: ProbeStatus, after: ProbeStatus, compared: boolean): StatusChange {
  if (
    before.healthy !== after.healthy ||
    before.failure !== after.failure ||
    before.weight !== after.weight
  ) {
    return 'flipped';
  }
  const counted = before.recent !== after.recent;
  if (before.recentFailures !== after.recentFailures || (compared && counted)) return 'shifted';
  return counted || before.detail !== after.detail || before.everOk !== after.everOk ? 'shown' : 'none';
}

function bits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}
