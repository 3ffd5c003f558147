// Owns the shape of a source's targets with their history, and of what decides about them.

import type { HealthState, Reason } from '../../model/targets.ts';
import type { TargetView } from '../health/evidence.ts';
import type { Candidate } from './candidate.ts';
import { TargetEntries } from './target-entries.ts';

/** One target with its history; immutable. */
export interface TargetEntry {
  /** `address:port`. */
  readonly identity: string;
  readonly port: number;
  /** As last derived; for a held target, from before it left. */
  readonly candidate: Candidate;
  readonly policy: 'Cluster' | 'Local' | null;
  readonly state: 'filling' | 'active' | 'draining';
  readonly health: HealthState;
  readonly lastResort: boolean;
  readonly weight: number;
  readonly reasons: readonly Reason[];
  /** A probe or a connect has succeeded since it joined, or it was there from the start. */
  readonly proven: boolean;
  /** Monotonic milliseconds. */
  readonly joinedAtMs: number;
  readonly hold: Hold | null;
  /** What it was last judged to be; the same object as long as that stays. */
  readonly view: TargetView;
  /** Epoch milliseconds. */
  readonly changedAtMs: number;
  /** See `ExplainedTarget`. */
  readonly changedBy: string;
}

/** The targets of one source; immutable. */
export interface TargetTable {
  readonly entries: TargetEntries;
  /** When targets vanished lately, monotonic milliseconds: removals one by one count as one step. */
  readonly departures: readonly number[];
  /** Left with their machine, lately: what is open to them is cut at once. By identity; not those that came back. */
  readonly lost: ReadonlyMap<string, LostTarget>;
  /** Null where something is under way, so that all of it has to be looked at in every step. */
  readonly calm: Calm | null;
}

/** All targets are in use, proven and there to stay: each depends on its own candidate and evidence, and on no other. */
export interface Calm {
  /** Of each target, in order, as it was last looked at: to remember later ones changes nothing but time. */
  members: readonly Candidate[];
  readonly port: number;
  readonly policy: TargetEntry['policy'];
  /** Indexes of those that something is said of, which may be said in other words without notice. */
  readonly noted: readonly number[];
}

export interface LostTarget {
  readonly address: string;
  /** 0 in tables that know no port. */
  readonly port: number;
  /** Monotonic milliseconds. */
  readonly sinceMs: number;
}

export interface LifecycleOptions {
  readonly unknown: 'serve' | 'hold';
  /** See `ClusterConfig.maxRemovedShare`. */
  readonly maxRemovedShare: number;
  /** A target stays for a replacement at most this long. Default 2 min (kube-proxy was seen 47 s behind). */
  readonly holdMs: number;
  /** The removal guard gives in after this. Default 10 min. */
  readonly guardMs: number;
  /** What a list left out is gone when its probe has called it dead for this long. Default 30 s. */
  readonly deadMs: number;
  /** Removals within this time are one step. Default 10 s. */
  readonly stepMs: number;
  /** A target of which nobody can say anything counts as proven after this. Default 60 s. */
  readonly fillMs: number;
  /** A lost target is named to the workers for this long. Default 60 s. */
  readonly lostMs: number;
  /** The vanished service is believed to be deleted: its targets go at once. */
  readonly believeMissing: boolean;
  /** Versions of the service and its slices that are new in this step, for the answers. */
  readonly news: string;
  /** It is not believed because a list left the service out although no deletion was announced. */
  readonly missingUnlisted: boolean;
  /** A list left the node out although no deletion was announced. */
  readonly isUnlisted: (node: string) => boolean;
  /** An operator drains the node, whether the API lists it or not. */
  readonly isDrained: (node: string) => boolean;
  /** A list left out endpoint slices of the service although no deletion was announced. */
  readonly doubtsEndpoints: boolean;
  /** What decides beside the API (probes, workers, configuration) is as it was in the step before. */
  readonly sameEvidence: boolean;
}

export type LifecycleTimes = Pick<
  LifecycleOptions,
  'holdMs' | 'guardMs' | 'deadMs' | 'stepMs' | 'fillMs' | 'lostMs'
>;

export const DEFAULT_LIFECYCLE_TIMES: LifecycleTimes = {
  holdMs: 120_000,
  guardMs: 600_000,
  deadMs: 30_000,
  stepMs: 10_000,
  fillMs: 60_000,
  lostMs: 60_000,
};

/** Why a target that should leave is still there; immutable and kept as long as the cause lasts. */
export interface Hold {
  /** `replace`: until something that replaces it is proven; `guard`: too many vanished at once. */
  readonly kind: 'replace' | 'guard';
  /** Monotonic milliseconds. */
  readonly sinceMs: number;
  /** It was serving and nothing speaks against it, so it carries new flows while nothing better is proven. */
  readonly carries: boolean;
  /** The object itself is gone from the API, not only its endpoints. */
  readonly absent: boolean;
  /** `guard`: how many targets there were before the step; infinite where only a probe can say that it is gone. */
  readonly baseline: number;
  /** Where only a probe can say so: since when it does, monotonic milliseconds; null while it does not. */
  readonly deadSinceMs: number | null;
}

/** One moment on both clocks. */
export interface Now {
  readonly monotonicMs: number;
  readonly epochMs: number;
}

/** What probes and workers say of a target; `known` is what it has been so far. */
export type ViewOf = (
  identity: string,
  candidate: Candidate,
  policy: TargetEntry['policy'],
  known: TargetEntry | undefined,
) => TargetView;

/** An entry in the making. */
export type Draft = {
  -readonly [Key in keyof Omit<TargetEntry, 'changedAtMs' | 'changedBy'>]: TargetEntry[Key];
};

/** Proven and usable: what a pool can stand on. */
export function isGood(draft: Draft): boolean {
  return draft.state === 'active' && draft.hold === null && draft.proven && draft.health !== 'unhealthy';
}

/** No targets. */
export const EMPTY_TABLE: TargetTable = {
  entries: TargetEntries.of([]),
  departures: [],
  lost: new Map(),
  calm: null,
};
