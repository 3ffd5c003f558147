// The least rates at which bytes of a request and of its answer have to move, judged over stretches of `rateGrace`.

import type { FailureCode } from '../model/failures.ts';
import type { ExchangeSession } from './exchange-context.ts';
import type { ExchangeFacts } from './exchange-facts.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** What moves: the request to the target, or the answer to the client. */
export type Moving = 'request' | 'answer';

export class Pace {
  /** End of the stretch in progress; never, where no rate is asked for. */
  dueAtMs = NEVER;
  readonly #session: ExchangeSession;
  readonly #facts: ExchangeFacts;
  /** What had been moved when the stretch began. */
  #bytes = 0;
  #taken = 0;

  constructor(session: ExchangeSession, facts: ExchangeFacts) {
    this.#session = session;
    this.#facts = facts;
  }

  stop(): void {
    this.dueAtMs = NEVER;
  }

  /** @param longLived a gRPC client that streams may have nothing to say before the server does */
  begin(moving: Moving, longLived: boolean, nowMs: number): void {
    const { limits, timeouts, takenBytes } = this.#session;
    const { minAnswerRate } = this.#facts.pool!.config.connections;
    const isLimited =
      moving === 'request'
        ? limits.minBodyRate > 0 && !longLived
        : limits.minReadRate > 0 || minAnswerRate > 0;
    this.dueAtMs = isLimited ? nowMs + timeouts.rateGraceMs : NEVER;
    this.#bytes = moving === 'request' ? this.#facts.bytesIn : this.#facts.bytesOut;
    this.#taken = takenBytes;
  }

  /**
   * Whether whoever was waited for has moved enough; time in which it was held back by the other side never counts.
   * @param targetCongested the target takes less than it is sent
   */
  judge(moving: Moving, targetCongested: boolean): FailureCode | null {
    const { limits, timeouts, congested, takenBytes } = this.#session;
    const seconds = timeouts.rateGraceMs / 1000;
    if (moving === 'request') {
      const came = this.#facts.bytesIn - this.#bytes;
      return !targetCongested && came < limits.minBodyRate * seconds ? 'body-too-slow' : null;
    }
    if (congested) return takenBytes - this.#taken < limits.minReadRate * seconds ? 'client-too-slow' : null;
    const { minAnswerRate } = this.#facts.pool!.config.connections;
    return this.#facts.bytesOut - this.#bytes < minAnswerRate * seconds ? 'answer-too-slow' : null;
  }
}
