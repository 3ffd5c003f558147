// A pool as one snapshot version sees it: members, picker and bounds, over targets that outlive the version.

import { createFlowHasher } from '../../balance/siphash.ts';
import type { HeadLimits } from '../../http1/limits.ts';
import type { FailureCode } from '../../model/failures.ts';
import type { HashTable } from '../../model/messages.ts';
import type { Member, Picker } from '../../model/picker.ts';
import type { SnapshotPool } from '../../model/snapshot.ts';
import type { PoolMeters } from '../meters.ts';
import type { WireContext } from '../wire/wire.ts';
import { ConnectRecord } from './connect-record.ts';
import { type FlowFacts, type FlowHasher, flowHash } from './hash-key.ts';
import type { ConnectOutcome, EjectionLedger, Target } from './target.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { DialUser } from './upstream-stream.ts';

export interface PoolContext {
  readonly wires: WireContext;
  readonly limits: HeadLimits;
  readonly random: () => number;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
  /** Tells the controller that a connect to this target has succeeded for the first time. */
  readonly onProven: (pool: string, identity: string) => void;
}

/** Which pooled connections may be taken: all, those on which something was heard a moment ago, or none. */
export type Reuse = 'any' | 'lately-heard' | 'none';

/**
 * A request that must not be sent twice is lost with the machine that it is written to. A connection on which an answer
 * came so lately, in milliseconds, has hardly died since; a new one shows by its connect whether anybody is there, and a
 * connect may go elsewhere. A target that is asked ten times a second never needs a new one for this.
 */
const HEARD_LATELY_MS = 100;

/** The idle connection that would be used next is the one that was used last. */
function heardLately({ idle }: Target, nowMs: number): boolean {
  const last = idle[idle.length - 1];
  return last !== undefined && nowMs - last.idleSinceMs <= HEARD_LATELY_MS;
}

/** Retries that a pool may always make, whatever the budget says: a quiet pool must be able to retry its only request. */
const RETRIES_ALWAYS = 10;
/** Dials beside one that is silent: so many in a window, or this many for each request when that is more. */
const HEDGES_ALWAYS = 100;
const HEDGES_PER_REQUEST = 2;
const BUDGET_WINDOW_MS = 10_000;

export class Pool implements EjectionLedger {
  readonly config: SnapshotPool;
  readonly members: readonly Member[];
  readonly picker: Picker;
  readonly meters: PoolMeters;
  readonly #context: PoolContext;
  readonly #hasher: FlowHasher | null;
  #ejected = 0;
  #windowStartedAtMs = 0;
  #windowRequests = 0;
  #windowRetries = 0;
  #windowHedges = 0;
  readonly #connects = new ConnectRecord();

  constructor(
    config: SnapshotPool,
    members: readonly Member[],
    picker: Picker,
    meters: PoolMeters,
    context: PoolContext,
  ) {
    this.config = config;
    this.members = members;
    this.picker = picker;
    this.meters = meters;
    this.#context = context;
    this.#hasher = config.policy.key === null ? null : createFlowHasher(config.policy.hashKey);
  }

  /** The number that the picker takes for a flow; 0 for policies that do not hash. */
  hashOf(flow: FlowFacts): number {
    const { key } = this.config.policy;
    return this.#hasher === null || key === null ? 0 : flowHash(this.#hasher, key, flow);
  }

  get name(): string {
    return this.config.name;
  }

  /**
   * An idle connection to the target, ready at once, or a new one that will call its user back.
   * Undefined when the target is at its bound of open connections.
   */
  connect(target: Target, user: DialUser<UpstreamConnection>, reuse: Reuse): UpstreamConnection | undefined {
    const { wires, limits, random } = this.#context;
    const nowMs = wires.now();
    if (reuse === 'any' || (reuse === 'lately-heard' && heardLately(target, nowMs))) {
      for (let idle = target.idle.pop(); idle !== undefined; idle = target.idle.pop()) {
        if (idle.isUsable(nowMs)) {
          idle.use();
          return idle;
        }
        idle.close();
      }
    }
    if (target.connections.size >= this.config.connections.perTarget) return undefined;
    return new UpstreamConnection(this, target, user, wires, limits, random());
  }

  onConnected(target: Target, tookMs: number, first: boolean): void {
    this.meters.connected(tookMs);
    if (first) this.#context.onProven(this.name, target.identity);
  }

  onConnectFailed(code: FailureCode): void {
    this.meters.connectFailed(code);
  }

  /** Counts a request towards the retry budget. */
  onRequest(nowMs: number): void {
    if (nowMs - this.#windowStartedAtMs > BUDGET_WINDOW_MS) {
      this.#windowStartedAtMs = nowMs;
      this.#windowRequests = 0;
      this.#windowRetries = 0;
      this.#windowHedges = 0;
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

  /** One more dial beside a silent one: bounded, so that a pool that is slow to accept is not buried in dials. */
  mayHedge(): boolean {
    if (this.#windowHedges >= Math.max(HEDGES_ALWAYS, this.#windowRequests * HEDGES_PER_REQUEST))
      return false;
    this.#windowHedges += 1;
    return true;
  }

  countConnect(target: Target, outcome: ConnectOutcome, nowMs: number): number {
    const failed = outcome !== 'connected';
    target.connects.count(failed, nowMs);
    this.#connects.count(failed, nowMs);
    return failed ? this.#connects.failureShareWithout(target.connects, outcome === 'silent', nowMs) : 0;
  }

  mayEject(): boolean {
    return this.#ejected + 1 <= this.members.length * this.config.ejection.maxShare;
  }

  onEjected(target: Target, reason: 'connect-failures' | 'gateway-errors', forMs: number): void {
    this.#ejected += 1;
    this.meters.ejected(this.#ejected);
    this.#context.log.warn(
      { code: 'target-ejected', pool: this.name, target: target.identity, node: target.node, reason, forMs },
      'target ejected',
    );
  }

  onReturned(target: Target): void {
    this.#ejected -= 1;
    this.meters.returned(this.#ejected);
    this.#context.log.info(
      { code: 'target-returned', pool: this.name, target: target.identity, node: target.node },
      'ejected target returned',
    );
  }

  /** Carries the count of ejected targets over from the version before. */
  adopt(targets: Iterable<Target>): void {
    this.#ejected = 0;
    const nowMs = this.#context.wires.now();
    for (const target of targets) {
      this.#connects.add(target.connects, nowMs);
      target.ledger = this;
      target.ejection = this.config.ejection;
      if (target.ejected) this.#ejected += 1;
    }
  }
}

/** The hash tables of those pools that have one. */
export function tablesOf(pools: readonly Pool[]): readonly HashTable[] {
  return pools.flatMap(({ name, config, picker: { checksum } }) =>
    checksum === '' ? [] : [{ pool: name, policy: config.policy.name, checksum }],
  );
}
