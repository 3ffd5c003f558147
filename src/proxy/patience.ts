// How long one forwarding waits: for an answer to begin, for bytes to move, for enough of them, and in all.

import type { FailureCode } from '../model/failures.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { ExchangeSession } from './exchange-context.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import { type Moving, Pace } from './pace.ts';
import { responseHeaderMsOf, streamIdleMsOf, totalMsOf } from './request-timeouts.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A request that may be repeated is looked after when its answer takes longer, in milliseconds, and again after. */
const LATE_AFTER_MS = 400;
const LATE_AGAIN_MS = 200;

/** Which side has to act next: decides what a timeout means. */
export type Phase = 'idle' | 'connecting' | 'request' | 'response-head' | 'response-body';

/** Whose waiting it is. */
export interface PatienceOwner {
  readonly phase: Phase;
  /** The target takes less than it is sent. */
  readonly congested: boolean;
  /** The answer takes so long that its path may be dead. Told again while it is. */
  onLate(): void;
  onTimeout(code: FailureCode, nowMs: number): void;
}

/** Reused with its forwarding. Times are on the worker's monotonic clock, milliseconds. */
export class Patience implements Deadline {
  dueAtMs = NEVER;
  filedTick = -1;
  filedPlace = 0;
  /** Silent by nature, like a tunnel: a gRPC call, or server-sent events. */
  longLived = false;
  readonly #owner: PatienceOwner;
  readonly #facts: ExchangeFacts;
  readonly #deadlines: Deadlines;
  readonly #pace: Pace;
  #totalDueAtMs = NEVER;
  #answerDueAtMs = NEVER;
  #silentAtMs = NEVER;

  constructor(owner: PatienceOwner, session: ExchangeSession, facts: ExchangeFacts, deadlines: Deadlines) {
    this.#owner = owner;
    this.#facts = facts;
    this.#deadlines = deadlines;
    this.#pace = new Pace(session, facts);
  }

  /** Forgets the request before. */
  reset(): void {
    this.longLived = false;
    this.#totalDueAtMs = NEVER;
    this.#answerDueAtMs = NEVER;
    this.#silentAtMs = NEVER;
    this.#pace.stop();
  }

  /** The pool is known, and with it how long all of it may take. */
  begin(): void {
    const totalMs = totalMsOf(this.#facts);
    if (totalMs > 0) this.#totalDueAtMs = this.#facts.startedAtMs + totalMs;
  }

  /** All of it may take no longer than until then. */
  endBy(dueAtMs: number): void {
    this.#totalDueAtMs = Math.min(this.#totalDueAtMs, dueAtMs);
  }

  /** Whoever connects has a time of its own. */
  awaitConnection(): void {
    this.#pace.stop();
    this.#set(NEVER);
  }

  /** @param looks it may be repeated elsewhere where its path is dead */
  awaitAnswer(nowMs: number, looks: boolean): void {
    this.#pace.stop();
    this.#answerDueAtMs = nowMs + responseHeaderMsOf(this.#facts, this.longLived);
    this.#set(Math.min(this.#answerDueAtMs, looks ? nowMs + LATE_AFTER_MS : NEVER));
  }

  /** Bytes begin to move, or go on to. */
  awaitBytes(nowMs: number): void {
    this.judgeAnew(nowMs);
    this.moved(nowMs);
  }

  /** What was not moved before counts against nobody: the other side was slow. */
  judgeAnew(nowMs: number): void {
    this.#pace.begin(this.#moving, this.longLived, nowMs);
  }

  /** Some bytes have moved. */
  moved(nowMs: number): void {
    this.#set(nowMs + streamIdleMsOf(this.#facts, this.longLived));
  }

  onDeadline(nowMs: number): void {
    const owner = this.#owner;
    if (owner.phase === 'response-head' && nowMs < this.#answerDueAtMs && nowMs < this.#totalDueAtMs) {
      owner.onLate();
      this.#set(Math.min(this.#answerDueAtMs, nowMs + LATE_AGAIN_MS));
      return;
    }
    let code: FailureCode | null = null;
    if (nowMs >= Math.min(this.#silentAtMs, this.#totalDueAtMs)) code = this.#timeoutAt(nowMs);
    else if (nowMs >= this.#pace.dueAtMs) code = this.#pace.judge(this.#moving, owner.congested);
    if (code !== null) return owner.onTimeout(code, nowMs);
    if (nowMs >= this.#pace.dueAtMs) this.judgeAnew(nowMs);
    this.#set(this.#silentAtMs);
  }

  get #moving(): Moving {
    return this.#owner.phase === 'request' ? 'request' : 'answer';
  }

  #timeoutAt(nowMs: number): FailureCode {
    const { phase, congested } = this.#owner;
    if (nowMs >= this.#totalDueAtMs) return 'total-timeout';
    if (phase === 'response-head') return 'response-timeout';
    return phase === 'request' && !congested ? 'body-timeout' : 'stream-idle';
  }

  #set(dueAtMs: number): void {
    this.#silentAtMs = dueAtMs;
    this.#deadlines.set(this, Math.min(dueAtMs, this.#totalDueAtMs, this.#pace.dueAtMs));
  }

  /** Nothing is waited for until the next request. */
  end(): void {
    this.#deadlines.set(this, NEVER);
  }

  /** It is not used any more, or what it was about has become a tunnel. */
  release(): void {
    this.#deadlines.clear(this);
  }
}
