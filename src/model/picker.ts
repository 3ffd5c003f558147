// The contract between the worker, which counts, and the balancing algorithms, which only choose.

import type { PolicyConfig } from './pool-config.ts';
import type { HealthState, TargetState } from './targets.ts';

/** What this worker knows of a target; outlives snapshots, keyed by pool and identity. Pickers read it, never write it. */
export interface TargetLive {
  /** Requests (or tcp connections) in flight from this worker. */
  inFlight: number;
  /** Taken out by passive observation in this worker. */
  ejected: boolean;
  /** Peak-sensitive moving average of the time to the response head, milliseconds; 0 before the first answer. */
  latencyMs: number;
  /** When `latencyMs` was last updated, on the worker's monotonic clock. */
  latencyAtMs: number;
  /** When the target first took traffic here (slow start), on the worker's monotonic clock. */
  startedAtMs: number;
}

/** One target of a pool as one snapshot sees it; immutable but for `live`. */
export interface Member {
  /** `address:port`, with IPv6 in brackets. Hash tables are keyed by this and never by list order. */
  readonly identity: string;
  readonly address: string;
  readonly port: number;
  readonly cluster: string | null;
  readonly node: string | null;
  /** 0 takes nothing new. Already multiplied by the weight of its source. */
  readonly weight: number;
  /** Lower is used first. */
  readonly priority: number;
  readonly state: TargetState;
  readonly health: HealthState;
  readonly lastResort: boolean;
  /** Assigned anew with the first use of the target. */
  live: TargetLive;
}

export interface PickerOptions {
  readonly policy: PolicyConfig;
  readonly unknown: 'serve' | 'hold';
  readonly slowStartMs: number;
  readonly panicThreshold: number;
  readonly spilloverThreshold: number;
}

export interface Picker {
  /**
   * The member for a new flow, or undefined when the pool has none left.
   * @param hash low 32 bits (unsigned) of SipHash-2-4 over the hash key, read as little-endian u64; 0 for policies that do not hash
   * @param tried members that this request has already failed on: never returned again
   */
  pick(hash: number, tried: readonly Member[]): Member | undefined;
  /** Hex checksum of the hash table, equal in every process with the same members; empty for policies without a table. */
  readonly checksum: string;
  /**
   * Puts what the next snapshot says of a target in the place of what this one said.
   * @returns false when that takes a picker made anew: it is to be given up then, whatever has been replaced before
   */
  replace(before: Member, after: Member): boolean;
  /** A target was ejected, or is so no longer: the next pick looks at all members again. */
  invalidate(): void;
  /** Another has taken its place: it lets go of its members, and picks nobody from now on. */
  release(): void;
}
