// Why one list or watch has begun again: counts by reason, the failure that lasts, and a log line for its begin and its end.

import type { RestartReason } from './counts.ts';
import { DiscoveryFailure, errorCode } from './failure.ts';
import type { AnyFact } from './kinds.ts';
import type { ReflectorOptions, ReflectorStatus } from './reflector-options.ts';
import { outOfReachReasons } from './restart-policy.ts';

export type RestartRecordOptions = Pick<
  ReflectorOptions<AnyFact>,
  'cluster' | 'kind' | 'clock' | 'log' | 'onCount'
>;

export class RestartRecord {
  readonly #options: RestartRecordOptions;
  readonly #restarts: Partial<Record<RestartReason, number>> = {};
  #failure: ReflectorStatus['failure'] = null;

  constructor(options: RestartRecordOptions) {
    this.#options = options;
  }

  /** Numbers by reason since the start. */
  get restarts(): ReflectorStatus['restarts'] {
    return { ...this.#restarts };
  }

  /** The last failure; null while list or watch is well. */
  get failure(): ReflectorStatus['failure'] {
    return this.#failure;
  }

  /** The API server could not be reached at the last try. */
  get isOutOfReach(): boolean {
    return this.#failure !== null && outOfReachReasons.has(this.#failure.reason);
  }

  /** The server has ended a watch in order. */
  ended(): void {
    this.#count('ended');
  }

  /** Returns the failure that `error` stands for. */
  failed(error: unknown): DiscoveryFailure {
    const { clock, log } = this.#options;
    const failure =
      error instanceof DiscoveryFailure
        ? error
        : new DiscoveryFailure('internal', `unexpected error (${errorCode(error)})`);
    const { reason, message } = failure;
    this.#count(reason);
    const repeated = this.#failure?.reason === reason;
    this.#failure = { reason, message, sinceMs: repeated ? (this.#failure?.sinceMs ?? 0) : clock.now() };
    const detail = reason === 'internal' ? { code: reason, err: error } : { code: reason };
    // An outage of an hour must not fill the log: one line when it begins, one when it ends.
    if (repeated) log.debug(detail, message);
    else log.warn(detail, message);
    return failure;
  }

  /** The watch is well. */
  recovered(): void {
    if (this.#failure === null) return;
    this.#options.log.info({ code: this.#failure.reason }, 'watch works again');
    this.#failure = null;
  }

  #count(reason: RestartReason): void {
    const { cluster, kind, onCount } = this.#options;
    this.#restarts[reason] = (this.#restarts[reason] ?? 0) + 1;
    onCount('watch-restart', { cluster, kind: kind.resource, reason });
  }
}
