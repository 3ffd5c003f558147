// What outlives the versions of a pool in this worker: its targets, what is ejected, and the budgets.

import type { Member, Picker, TargetLive } from '../../model/picker.ts';
import type { UpstreamLimits } from '../../model/pool-config.ts';
import type { HostSet, SnapshotPool } from '../../model/snapshot.ts';
import type { Deadlines } from '../deadlines.ts';
import { PoolMeters } from '../meters.ts';
import { AnswerRecord, isWorseThanOthers } from './answer-record.ts';
import { ConnectRecord } from './connect-record.ts';
import { DialBudget } from './dial-budget.ts';
import type { PoolContext } from './pool.ts';
import { PoolLoad } from './pool-load.ts';
import { type ConnectOutcome, type EjectionLedger, Target } from './target.ts';

/** Retries that a pool may always make, whatever the budget says: a quiet pool must be able to retry its only request. */
const RETRIES_ALWAYS = 10;
const BUDGET_WINDOW_MS = 10_000;

/** Stands for a target that this worker has not used yet: thousands of nodes cost a target each only where they serve. */
export const UNUSED: TargetLive = Object.freeze({
  inFlight: 0,
  ejected: false,
  latencyMs: 0,
  latencyAtMs: 0,
  startedAtMs: 0,
});

/** Whether connections that were made under the one may be kept under the other: each has the bounds that it was made with. */
export function areKeptAlike(one: UpstreamLimits, other: UpstreamLimits): boolean {
  if (one === other) return true;
  return (
    one.idlePerTarget === other.idlePerTarget &&
    one.idleMs === other.idleMs &&
    one.requests === other.requests &&
    one.leastAgeMs === other.leastAgeMs &&
    one.ageMs === other.ageMs
  );
}

/** What is derived from a version of a pool when it is first used. */
export interface BuiltPool {
  members: Member[];
  readonly picker: Picker;
}

/** What a pool needs to know of a version of itself. */
export interface PoolVersion {
  readonly config: SnapshotPool;
  /** Of each group. */
  readonly sets: readonly HostSet[];
  /** Made when it is asked for. */
  readonly built: BuiltPool;
  /** How many targets there are; one that two groups name may count twice. */
  readonly size: number;
  has(member: Member): boolean;
  /** Who is ejected has changed: where a picker was made, it looks at its members again. */
  invalidatePicker(): void;
}

export class PoolLife implements EjectionLedger {
  readonly name: string;
  /** Those that were used, by identity. */
  readonly targets = new Map<string, Target>();
  /** Connections and who waits for one. */
  readonly load: PoolLoad;
  readonly dials = new DialBudget();
  /** How many used targets have left. */
  departures = 0;
  /** Those that the pool does not have any more, as long as there are flows on them. */
  readonly #leaving = new Set<Target>();
  readonly #context: PoolContext;
  readonly #deadlines: Deadlines;
  #version: PoolVersion;
  #meters: PoolMeters | null = null;
  #ejected = 0;
  #windowStartedAtMs = 0;
  #windowRequests = 0;
  #windowRetries = 0;
  readonly #connects = new ConnectRecord();
  readonly #answers = new AnswerRecord();

  constructor(version: PoolVersion, context: PoolContext, deadlines: Deadlines) {
    this.name = version.config.name;
    this.#version = version;
    this.load = new PoolLoad(context.load);
    this.#context = context;
    this.#deadlines = deadlines;
  }

  /** Made with the first use: a pool that takes nothing has no series. */
  get meters(): PoolMeters {
    this.#meters ??= new PoolMeters(this.#context.board, this.name);
    return this.#meters;
  }

  /** The one in force. */
  get version(): PoolVersion {
    return this.#version;
  }

  /** The version that is in force from now on. Its changed members are told by `settle`. */
  follow(version: PoolVersion): void {
    const { ejection, connections } = version.config;
    const before = this.#version.config;
    if (ejection !== before.ejection) for (const target of this.targets.values()) target.ejection = ejection;
    if (!areKeptAlike(connections, before.connections))
      for (const target of this.targets.values()) target.closeIdle();
    this.#version = version;
  }

  /** The target of a member, made with its first use. */
  targetOf(member: Member): Target {
    if (member.live !== UNUSED) return member.live as Target;
    const { identity } = member;
    const target =
      this.targets.get(identity) ?? new Target(member, this.#version.config.ejection, this, this.#deadlines);
    member.live = target;
    if (this.targets.has(identity)) return target;
    target.follow(member);
    // What a request has put aside, to try it last, may have left since.
    if (this.#version.has(member)) this.targets.set(identity, target);
    else this.#release(target);
    return target;
  }

  /** False for a member of an earlier version whose target has left since, even if one of that identity is back. */
  holds({ identity, live }: Member): boolean {
    return live === UNUSED || this.targets.get(identity) === live;
  }

  liveOf(identity: string): TargetLive {
    return this.targets.get(identity) ?? UNUSED;
  }

  /** A member is now as `facts` say; null when the pool does not have it any more. */
  settle(identity: string, facts: Parameters<Target['follow']>[0] | null): void {
    const target = this.targets.get(identity);
    if (target === undefined) return;
    if (facts !== null) return target.follow(facts);
    this.targets.delete(identity);
    this.departures += 1;
    this.#release(target);
  }

  #release(target: Target): void {
    // What is idle on a lost one is reset by `sweep`: the kernel would send a FIN again and again.
    if (this.#isLost(target)) target.retired = true;
    else target.retire();
    target.doubt(true);
    this.#leaving.add(target);
  }

  /** Cuts what is open to lost machines and forgets what has no flow any more. Returns whether something is left. */
  sweep(): boolean {
    for (const target of this.#leaving) {
      if (this.#isLost(target)) target.lose();
      if (target.inFlight === 0) this.#leaving.delete(target);
    }
    return this.#leaving.size > 0;
  }

  #isLost({ identity }: Target): boolean {
    return this.#version.config.lost.includes(identity);
  }

  /** Targets with flows on them and others that are used. */
  *all(): Generator<Target> {
    yield* this.targets.values();
    yield* this.#leaving;
  }

  retire(): void {
    for (const target of this.targets.values()) target.retire();
  }

  /** Counts a request towards the retry budget. */
  onRequest(nowMs: number): void {
    if (nowMs - this.#windowStartedAtMs > BUDGET_WINDOW_MS) {
      this.#windowStartedAtMs = nowMs;
      this.#windowRequests = 0;
      this.#windowRetries = 0;
    }
    this.#windowRequests += 1;
  }

  /** Takes a retry out of the budget, or says that there is none left. */
  mayRetry(share: number): boolean {
    if (this.#windowRetries >= RETRIES_ALWAYS && this.#windowRetries >= this.#windowRequests * share) {
      this.meters.retryBudgetExhausted();
      return false;
    }
    this.#windowRetries += 1;
    return true;
  }

  /** A retry that was taken out of the budget found nobody to ask. */
  giveRetryBack(): void {
    // A window may have begun since.
    this.#windowRetries = Math.max(0, this.#windowRetries - 1);
  }

  countConnect(target: Target, outcome: ConnectOutcome, nowMs: number): number {
    const failed = outcome !== 'connected';
    target.connects.count(failed, nowMs);
    this.#connects.count(failed, nowMs);
    return failed ? this.#connects.failureShareWithout(target.connects, outcome === 'silent', nowMs) : 0;
  }

  countAnswer(target: Target, gatewayError: boolean, nowMs: number): boolean {
    target.answers.count(gatewayError, nowMs);
    this.#answers.count(gatewayError, nowMs);
    return gatewayError && isWorseThanOthers(target.answers, this.#answers, nowMs);
  }

  mayEject(): boolean {
    return this.#ejected + 1 <= this.#version.size * this.#version.config.ejection.maxShare;
  }

  onEjected(target: Target, reason: 'connect-failures' | 'gateway-errors', forMs: number): void {
    this.#ejected += 1;
    this.#version.invalidatePicker();
    this.meters.ejected(this.#ejected);
    this.#context.log.warn(
      { code: 'target-ejected', pool: this.name, target: target.identity, node: target.node, reason, forMs },
      'target ejected',
    );
  }

  onReturned(target: Target): void {
    this.#ejected -= 1;
    this.#version.invalidatePicker();
    this.meters.returned(this.#ejected);
    this.#context.log.info(
      { code: 'target-returned', pool: this.name, target: target.identity, node: target.node },
      'ejected target returned',
    );
    // One that leaves is told of as well, in the middle of a snapshot.
    if (!target.retired) this.load.tellAll();
  }
}
