// What the admin HTTP asks of the controller, and the shapes of the answers; the controller implements it.

import type { FailureCode } from '../../model/failures.ts';
import type { HeaderValue } from '../../model/route-config.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { ExplainedTarget } from '../../model/targets.ts';

export interface AdminSource {
  readiness(): Readiness;
  /** Text exposition format 0.0.4 of everything: merged workers, controller, process. */
  metrics(): Promise<string>;
  status(): Status;
  /** The snapshot in force; null before the first. Redacted by the admin HTTP. */
  snapshot(): Snapshot | null;
  /** Rows of every pool in the order of the pools, at most `limit`: there may be millions. */
  targets(filter: TargetFilter, limit: number): readonly ExplainedTarget[];
  /** Whether a pool of this name is configured, so that an empty table can be told from a wrong name. */
  hasPool(name: string): boolean;
  explain(query: ExplainQuery): Promise<Explanation | null>;
  reload(): Promise<ReloadOutcome>;
  /** Starts the drain of a node or cluster in all pools; kept until `undrain`. Repeating it changes nothing. */
  drain(subject: DrainSubject): Promise<DrainOutcome>;
  undrain(subject: DrainSubject): Promise<DrainOutcome>;
  /**
   * The barrier: answers when nothing is left in any worker, or after `waitMs` with what is left then.
   * @param left aborted when whoever asks has left
   */
  drained(subject: DrainSubject, waitMs: number, left: AbortSignal): Promise<DrainOutcome>;
  /** The hash tables in force, by pool. */
  tables(): Promise<readonly PublishedTable[]>;
  /** Drains of operators that are in force. */
  drains(): readonly DrainInForce[];
}

/** Names are exact; null passes everything. */
export interface TargetFilter {
  readonly pool: string | null;
  readonly cluster: string | null;
  readonly node: string | null;
  /** `namespace/name`. */
  readonly service: string | null;
  readonly state: string | null;
  /** A code among the reasons. */
  readonly reason: string | null;
}

export interface PublishedTable {
  readonly pool: string;
  readonly policy: string;
  /** Null while workers have different ones, which lasts as long as a snapshot takes to reach them all. */
  readonly checksum: string | null;
}

export interface DrainSubject {
  readonly cluster: string;
  /** Null: the whole cluster. */
  readonly node: string | null;
}

export interface DrainInForce extends DrainSubject {
  /** Epoch milliseconds. */
  readonly sinceMs: number;
}

/**
 * `filling`: joins, nothing is proven yet; `active`: takes new flows; `draining`: takes none, and has some left, or a
 * worker that may still start one; `gone`: nothing is left on it, and nothing new can begin.
 */
export type DrainState = 'filling' | 'active' | 'draining' | 'gone';

export interface Readiness {
  readonly ready: boolean;
  /** What is missing, one sentence each; empty when ready. */
  readonly reasons: readonly string[];
}

export interface ReloadOutcome {
  readonly ok: boolean;
  /** Version of the snapshot in force afterwards; the one before when not ok. */
  readonly version: number;
  /** Problems as `file:line:column: text`, empty when ok. */
  readonly problems: readonly string[];
}

export type DrainOutcome =
  /** `drained` is true when the state is `gone`; then `flows` is 0. */
  | {
      readonly found: true;
      readonly state: DrainState;
      /** An operator drains it. */
      readonly draining: boolean;
      readonly drained: boolean;
      /** Requests, tunnels and tcp connections that are still on it. */
      readonly flows: number;
      /** The drains are on disk, so that they outlive a full stop. */
      readonly kept: boolean;
    }
  | { readonly found: false };

export interface Status {
  readonly version: string;
  readonly startedAtMs: number;
  readonly snapshotVersion: number;
  readonly snapshotChecksum: string;
  readonly config: {
    readonly path: string;
    readonly loadedAtMs: number;
    /** Problems of the last attempt when it failed; the configuration before is in force then. */
    readonly problems: readonly string[];
  };
  readonly clusters: readonly {
    readonly name: string;
    readonly origin: 'none' | 'disk' | 'live';
    readonly syncedAtMs: number;
    /** The last error of discovery; null when there is none. */
    readonly error: string | null;
  }[];
  readonly workers: readonly {
    /** As in the log; a process that takes the place of another has a name of its own. */
    readonly name: string;
    readonly pid: number;
    /** Version that the worker acknowledged last; 0 before the first. */
    readonly snapshotVersion: number;
  }[];
}

export type ExplainQuery =
  | { readonly kind: 'node'; readonly node: string; readonly cluster: string | null }
  | { readonly kind: 'service'; readonly service: string; readonly cluster: string | null }
  | {
      readonly kind: 'url';
      readonly url: string;
      readonly method: string;
      readonly headers: readonly HeaderValue[];
    };

export type Explanation = TargetsExplanation | UrlExplanation;

/** Of a node or a service: every row that names it. */
export interface TargetsExplanation {
  readonly kind: 'node' | 'service';
  readonly name: string;
  readonly targets: readonly ExplainedTarget[];
}

/** The way of a request: what a worker would do with it now. */
export interface UrlExplanation {
  readonly kind: 'url';
  readonly url: string;
  readonly method: string;
  /** Null when no listener takes it. */
  readonly listener: string | null;
  readonly route: string | null;
  /** Name of the rule, or `#n` counting from 1; null when no rule fits. */
  readonly rule: string | null;
  readonly captures: Readonly<Record<string, string>>;
  readonly action: 'pools' | 'service' | 'redirect' | 'respond' | 'none';
  /** Pools in the order of the rule with their weight; empty for actions without. */
  readonly pools: readonly {
    readonly name: string;
    readonly weight: number;
    /** `address:port` that the policy would choose now; null when the pool has none. */
    readonly pick: string | null;
    readonly targets: readonly ExplainedTarget[];
  }[];
  /** What Portico would answer by itself; null when a target answers. */
  readonly failure: FailureCode | null;
  /** The decisions in order, one sentence each. */
  readonly steps: readonly string[];
}
