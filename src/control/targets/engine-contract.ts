// Owns the contract of the target engine: what it is given, and what it answers.

import type { Logger } from 'pino';
import type { Config } from '../../model/config.ts';
import type { Inventory } from '../../model/inventory.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { ExplainedTarget } from '../../model/targets.ts';
import type { Clock } from '../discovery/clock.ts';
import type { ProbeResult } from '../health/probe-result.ts';
import type { Prober } from '../health/probes.ts';
import type { ProbeSpec, SchedulerLimits } from '../health/scheduler.ts';
import type { NodeChange } from './cluster-view.ts';
import type { PoolCounts } from './counts.ts';
import type { Drain } from './drains.ts';
import type { ExplainedNode, ExplainedService, ExplainFilter } from './explain.ts';
import type { SourceChange, TargetChange } from './target-changes.ts';
import type { LifecycleTimes } from './target-table.ts';

export interface TargetEngineOptions {
  readonly clock: Clock;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
  /** Runs a task soon, once the events at hand are in (`setImmediate`). */
  readonly defer: (task: () => void) => void;
  readonly log: Logger;
  readonly prober: Prober;
  /** Version of the first snapshot: above any that an earlier controller has published. */
  readonly firstVersion: number;
  /**
   * The first snapshot waits this long for clusters of which nothing is known. Infinity while workers serve an
   * earlier controller's snapshot, which an empty one must not replace. Default 10 s.
   */
  readonly graceMs?: number;
  /**
   * The first snapshot waits this long, once all clusters are known, for a result of each probe: one without would undo
   * what workers know from an earlier controller's. Default 0.
   */
  readonly firstResultsMs?: number;
  readonly times?: Partial<LifecycleTimes>;
  readonly probeLimits?: Partial<SchedulerLimits>;
  /** An inventory that has not agreed with its API server for this long is called stale. Default 3 min. */
  readonly staleMs?: number;
  readonly onSnapshot: (snapshot: Snapshot) => void;
  /** For the log: a target that joined, changed or left. Not called for the targets of a first start. */
  readonly onTargetChange: (change: TargetChange) => void;
  /** For the log: the reasons that hold for a node whatever the service have changed. */
  readonly onNodeChange?: (change: NodeChange) => void;
  /** For the log: the reasons that hold for a service on every node have changed. */
  readonly onSourceChange?: (change: SourceChange) => void;
  /** Drains ended because other machines have come under the same names. */
  readonly onDrainsEnded?: (ended: readonly Drain[]) => void;
  /** For metrics. */
  readonly onProbe?: (spec: ProbeSpec, result: ProbeResult) => void;
}

export interface TargetEngine {
  /** Takes a validated configuration. */
  setConfig(config: Config): void;
  /** @param receivedAtMs when the oldest event in it was received, epoch milliseconds; 0 when it answers none */
  setInventory(inventory: Inventory, receivedAtMs: number): void;
  /** A worker has connected to `address:port`. */
  proven(identity: string): void;
  /** Stops new flows to a node, or to the whole cluster with node null, until undrained or the node is replaced. */
  drain(cluster: string, node: string | null): void;
  undrain(cluster: string, node: string | null): void;
  drains(): readonly Drain[];
  /** The best state of any target of the node, or of the whole cluster with node null, that takes new flows or may. */
  standing(cluster: string, node: string | null): 'active' | 'filling' | null;
  /** Takes over what an earlier process had drained. */
  restoreDrains(drains: readonly Drain[]): void;
  /** Rows for every service x node that the filter lets through, made one by one: there may be millions. */
  rows(filter?: Partial<ExplainFilter>): Iterable<ExplainedTarget>;
  /** The same as a list. */
  explained(filter?: Partial<ExplainFilter>): readonly ExplainedTarget[];
  /** One answer for each cluster that has such a node, or that pools still know it in. */
  explainNode(node: string): readonly ExplainedNode[];
  /** @param service `namespace/name`; one answer for each cluster in which a pool names it */
  explainService(service: string): readonly ExplainedService[];
  counts(): readonly PoolCounts[];
  /** The last one published; null before the first. */
  snapshot(): Snapshot | null;
  /** Number of distinct probes, for metrics. */
  probes(): { readonly total: number; readonly running: number };
  /** Computes now what is waiting, instead of soon. */
  flush(): void;
  /** Stops probes and timers; settles when no socket is open. */
  close(): Promise<void>;
}
