// How often a peer may do what costs us and brings it nothing, as rates; beyond them the connection is given up.

import type { ConnectionFailure } from './failures.ts';

/** What is counted; the order is that of `BUDGETS`. */
export const Budget = {
  Resets: 0,
  ProvokedResets: 1,
  ClosedStreams: 2,
  EmptyFrames: 3,
  Pings: 4,
  Settings: 5,
  Priorities: 6,
  WindowUpdates: 7,
  UnknownFrames: 8,
  SmallWindows: 9,
  Resizes: 10,
} as const;
export type Budget = (typeof Budget)[keyof typeof Budget];

interface Rate {
  readonly failure: ConnectionFailure;
  /** How many at once. */
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Beside the rates, good conduct earns: a stream that ends orderly one reset and ten priorities, a DATA frame of ours
 * ten window updates and a ping. So a busy proxy before us may reset as many streams as it completes, a client that
 * opens and resets streams may not (CVE-2023-44487), nor one that makes us reset them (CVE-2025-8671).
 */
const BUDGETS: readonly Rate[] = [
  { failure: 'reset-flood', burst: 200, perSecond: 50 },
  { failure: 'provoked-reset-flood', burst: 100, perSecond: 20 },
  { failure: 'closed-stream-flood', burst: 500, perSecond: 100 },
  { failure: 'empty-frame-flood', burst: 100, perSecond: 10 },
  { failure: 'ping-flood', burst: 100, perSecond: 10 },
  { failure: 'settings-flood', burst: 50, perSecond: 2 },
  { failure: 'priority-flood', burst: 500, perSecond: 50 },
  { failure: 'window-update-flood', burst: 1000, perSecond: 200 },
  { failure: 'unknown-frame-flood', burst: 100, perSecond: 10 },
  { failure: 'small-window-flood', burst: 1000, perSecond: 200 },
  { failure: 'table-resize-flood', burst: 20, perSecond: 1 },
];
const KINDS = BUDGETS.length;
const BURSTS = Float64Array.from(BUDGETS, ({ burst }) => burst);

/** The budgets of one connection. Spending is a decrement; the clock is looked at only when one has run out. */
export class Budgets {
  readonly #left = Float64Array.from(BURSTS);
  readonly #filledAtMs = new Float64Array(KINDS);

  /** @param nowMs the first reading of the clock */
  begin(nowMs: number): void {
    this.#filledAtMs.fill(nowMs);
  }

  /** @returns the failure when the budget is used up, else '' */
  spend(kind: Budget, nowMs: number): ConnectionFailure | '' {
    const left = this.#left;
    left[kind]!--;
    if (left[kind]! >= 0) return '';
    const { burst, perSecond, failure } = BUDGETS[kind]!;
    const earned = ((nowMs - this.#filledAtMs[kind]!) * perSecond) / 1000;
    this.#filledAtMs[kind] = nowMs;
    left[kind] = Math.min(burst, left[kind]! + earned);
    return left[kind]! >= 0 ? '' : failure;
  }

  earn(kind: Budget, count: number): void {
    this.#left[kind] = Math.min(BURSTS[kind]!, this.#left[kind]! + count);
  }
}
