// Whether a request is sent once more: what was sent of it, what has come back, its rule and the budget decide.

import { FAILURES, type Failure, type FailureCode } from '../model/failures.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import type { SentRequest } from './http/sent-request.ts';
import type { Attempts } from './upstream/attempts.ts';
import type { StreamDial } from './upstream/upstream-stream.ts';

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);

/** Of one forwarding, and reused with it (docs/decisions/0006-retries.md). */
export class Retries {
  /** An interim answer has come with this attempt: a request is not repeated once any part of its response has. */
  hinted = false;
  readonly #facts: ExchangeFacts;
  readonly #attempts: Attempts<StreamDial>;
  readonly #sent: SentRequest;

  constructor(facts: ExchangeFacts, attempts: Attempts<StreamDial>, sent: SentRequest) {
    this.#facts = facts;
    this.#attempts = attempts;
    this.#sent = sent;
  }

  /** After an attempt that has failed. Where true, the retry is taken out of the budget if it counts there. */
  mayFollow(code: FailureCode): boolean {
    if (this.hinted) return false;
    const { retry } = FAILURES[code] as Failure;
    const rules = this.#facts.match.rule!.rule.retry;
    if (retry === 'always') return this.#sent.whole && this.#attempts.rounds <= rules.attempts;
    if (retry === 'never' || !this.#sent.replayable) return false;
    // The race with a server's idle timeout is ours, not the request's: one repeat is made even where retries are off.
    return this.#attempts.rounds <= Math.max(1, rules.attempts) && this.#facts.pool!.mayRetry(rules.budget);
  }

  /** After an answer. Where true, the retry is taken out of the budget. */
  mayFollowStatus(status: number): boolean {
    const { statuses, attempts, budget } = this.#facts.match.rule!.rule.retry;
    return (
      statuses.length > 0 &&
      statuses.includes(status) &&
      !this.hinted &&
      this.#attempts.rounds <= attempts &&
      this.#sent.replayable &&
      (this.#sent.complete || !this.#facts.view.head.hasContent) &&
      // What nobody else can be asked about takes nothing of the budget.
      this.#attempts.hasOthers &&
      this.#facts.pool!.mayRetry(budget)
    );
  }
}
