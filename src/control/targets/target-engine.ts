// Owns the controller's brain: inventory, configuration, probes, drains and proofs in; snapshots and explained targets out.

import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../model/config.ts';
import type { ClusterInventory, Inventory } from '../../model/inventory.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { ExplainedTarget } from '../../model/targets.ts';
import { compile, createCompileMemo } from '../compile/compile.ts';
import { Expander, type Expansion, type PoolInstance } from '../compile/expand.ts';
import { DEFAULT_SCHEDULER_LIMITS, ProbeScheduler } from '../health/scheduler.ts';
import { ClusterView } from './cluster-view.ts';
import type { PoolCounts } from './counts.ts';
import { type Drain, OperatorDrains } from './drains.ts';
import type { TargetEngine, TargetEngineOptions } from './engine-contract.ts';
import type { ExplainedNode, ExplainedService, ExplainFilter } from './explain.ts';
import { PassSchedule } from './pass-schedule.ts';
import { TargetAnswers } from './target-answers.ts';
import { TargetBook } from './target-book.ts';
import { DEFAULT_LIFECYCLE_TIMES, type LifecycleTimes, type Now } from './target-table.ts';

export type { TargetEngine, TargetEngineOptions };

/** Composes derivation, life, probes and compilation. Level-triggered: every pass looks at all, and skips what did not change. */
export function createTargetEngine(options: TargetEngineOptions): TargetEngine {
  return new Engine(options);
}

class Engine implements TargetEngine {
  readonly #options: TargetEngineOptions;
  readonly #times: LifecycleTimes;
  readonly #scheduler: ProbeScheduler;
  readonly #book: TargetBook;
  readonly #memo = createCompileMemo();
  readonly #expander = new Expander();
  readonly #clusters = new Map<string, ClusterView>();
  readonly #drains = new OperatorDrains();
  readonly #schedule: PassSchedule;
  readonly #answers: TargetAnswers;
  readonly #startedAtMs: number;
  /** When something was known of every cluster. */
  #completeAtMs = Number.POSITIVE_INFINITY;
  #config: Config | null = null;
  #inventory: Inventory | null = null;
  #snapshot: Snapshot | null = null;
  #version: number;
  /** Of the oldest event since the last snapshot, epoch milliseconds. */
  #eventAtMs = 0;

  constructor(options: TargetEngineOptions) {
    this.#options = options;
    this.#times = { ...DEFAULT_LIFECYCLE_TIMES, ...options.times };
    this.#version = options.firstVersion;
    this.#startedAtMs = options.monotonic();
    this.#schedule = new PassSchedule(options, () => this.#pass());
    this.#scheduler = new ProbeScheduler({
      prober: options.prober,
      clock: options.clock,
      monotonic: options.monotonic,
      random: options.random,
      limits: { ...DEFAULT_SCHEDULER_LIMITS, ...options.probeLimits },
      onResult: (spec, result) => options.onProbe?.(spec, result),
      onStatus: (_key, groups, flipped) => {
        this.#book.touch(groups, flipped, options.monotonic());
        this.#schedule.gather();
      },
    });
    this.#book = new TargetBook({
      times: this.#times,
      status: (key) => this.#scheduler.status(key),
      setProbes: (group, specs) => this.#scheduler.setGroup(group, specs),
      onChange: options.onTargetChange,
      onSourceChange: options.onSourceChange ?? (() => {}),
    });
    this.#answers = new TargetAnswers(this.#book, this.#clusters, options);
  }

  setConfig(config: Config): void {
    const now = this.#now();
    this.#config = config;
    const names = new Set(config.clusters.map(({ name }) => name));
    for (const name of this.#clusters.keys()) if (!names.has(name)) this.#clusters.delete(name);
    for (const cluster of config.clusters) {
      const known = this.#clusters.get(cluster.name);
      if (known !== undefined) {
        known.setConfig(cluster, now);
        continue;
      }
      const view = new ClusterView(cluster, this.#options.onNodeChange);
      view.setDrains(this.#drains.nodesOf(cluster.name), this.#drains.hasAll(cluster.name), now);
      const inventory = this.#inventory?.clusters[cluster.name];
      if (inventory !== undefined) view.setInventory(inventory, this.#times.stepMs, now);
      this.#clusters.set(cluster.name, view);
    }
    this.#book.touchAll();
    this.#schedule.soon();
  }

  setInventory(inventory: Inventory, receivedAtMs: number): void {
    this.#inventory = inventory;
    let isNews = false;
    for (const [name, view] of this.#clusters) {
      const cluster = inventory.clusters[name];
      const { unlisted } = view;
      if (cluster !== undefined && cluster.origin === 'live') this.#endReplaced(name, cluster.nodes);
      if (cluster === undefined || !view.setInventory(cluster, this.#times.stepMs, this.#now())) continue;
      isNews = true;
      // What is held in doubt depends on it, and on nothing else that may have changed.
      if (!isDeepStrictEqual(unlisted, view.unlisted)) this.#book.touchAll();
    }
    if (!isNews) return;
    if (receivedAtMs !== 0) {
      this.#eventAtMs = this.#eventAtMs === 0 ? receivedAtMs : Math.min(this.#eventAtMs, receivedAtMs);
    }
    this.#schedule.soon();
  }

  proven(identity: string): void {
    if (this.#book.proven(identity)) this.#schedule.soon();
  }

  drain(cluster: string, node: string | null): void {
    const uid = node === null ? null : this.#uidOf(cluster, node);
    const sinceMs = this.#options.clock.now();
    if (this.#drains.add({ cluster, node, uid, sinceMs })) this.#applyDrains(cluster);
  }

  /** Of the node as it is listed, or as its targets were made from it while they are held. */
  #uidOf(cluster: string, node: string): string | null {
    const listed = this.#clusters.get(cluster)?.nodes.byName.get(node);
    if (listed !== undefined) return listed.node.uid;
    for (const row of this.#answers.rows({ node })) if (row.cluster === cluster) return row.nodeUid;
    return null;
  }

  restoreDrains(drains: readonly Drain[]): void {
    for (const drain of drains) if (this.#drains.add(drain)) this.#applyDrains(drain.cluster);
  }

  undrain(cluster: string, node: string | null): void {
    if (this.#drains.remove(cluster, node)) this.#applyDrains(cluster);
  }

  drains(): readonly Drain[] {
    return this.#drains.list();
  }

  #endReplaced(cluster: string, nodes: ClusterInventory['nodes']): void {
    const ended = this.#drains.endReplaced(cluster, nodes);
    if (ended.length === 0) return;
    this.#applyDrains(cluster);
    this.#options.onDrainsEnded?.(ended);
  }

  #applyDrains(cluster: string): void {
    const { clock } = this.#options;
    this.#clusters
      .get(cluster)
      ?.setDrains(this.#drains.nodesOf(cluster), this.#drains.hasAll(cluster), this.#now());
    if (this.#eventAtMs === 0) this.#eventAtMs = clock.now();
    this.#schedule.soon();
  }

  standing(cluster: string, node: string | null): ReturnType<TargetEngine['standing']> {
    return this.#answers.standing(cluster, node);
  }

  rows(filter: Partial<ExplainFilter> = {}): Iterable<ExplainedTarget> {
    return this.#answers.rows(filter);
  }

  explained(filter: Partial<ExplainFilter> = {}): readonly ExplainedTarget[] {
    return [...this.#answers.rows(filter)];
  }

  explainNode(node: string): readonly ExplainedNode[] {
    return this.#answers.explainNode(node);
  }

  explainService(service: string): readonly ExplainedService[] {
    return this.#answers.explainService(service);
  }

  counts(): readonly PoolCounts[] {
    return this.#answers.counts();
  }

  snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  probes(): { readonly total: number; readonly running: number } {
    return { total: this.#scheduler.size, running: this.#scheduler.running };
  }

  flush(): void {
    this.#schedule.now();
  }

  async close(): Promise<void> {
    this.#schedule.close();
    await this.#scheduler.close();
  }

  #now(): Now {
    return { monotonicMs: this.#options.monotonic(), epochMs: this.#options.clock.now() };
  }

  #pass(): void {
    if (this.#config !== null) this.#recompute(this.#config, this.#now());
  }

  #recompute(config: Config, now: Now): void {
    let expansion = this.#expand(config, now);
    const dueAtMs = this.#book.pass(now);
    // The last target of a doubted service may just have been let go: its pool goes with it.
    const holdsNone = ({ name, dynamic }: PoolInstance): boolean => dynamic && !this.#book.holdsTargets(name);
    if (expansion.pools.some(holdsNone)) expansion = this.#expand(config, now);
    const waitMs = this.#waitMs(now);
    this.#schedule.wakeAt(
      waitMs > 0 ? Math.min(dueAtMs ?? Number.POSITIVE_INFINITY, now.monotonicMs + waitMs) : dueAtMs,
      now.monotonicMs,
    );
    if (waitMs > 0) return;
    this.#publish(config, expansion);
  }

  #expand(config: Config, now: Now): Expansion {
    const expansion = this.#expander.expand(config, (cluster) => this.#servicesOf(cluster));
    this.#book.setPools(expansion.pools, this.#clusters, now);
    return expansion;
  }

  /** Services that the cluster lists, and those that a doubted API no longer lists while their targets are held. */
  #servicesOf(cluster: string): Iterable<string> {
    const view = this.#clusters.get(cluster);
    if (view === undefined) return [];
    const names = new Set(view.serviceNames);
    for (const state of this.#book.sources) {
      const { service } = state;
      if (service === null || state.source.cluster !== cluster || !view.isDoubted(service)) continue;
      if (this.#book.holdsTargets(state.pool)) names.add(service);
    }
    return names;
  }

  /** How long the first snapshot must still wait for clusters of which nothing is known, and for results of probes. */
  #waitMs(now: Now): number {
    if (this.#snapshot !== null) return 0;
    const isComplete = [...this.#clusters.values()].every(({ inventory }) => inventory !== null);
    if (isComplete) {
      this.#completeAtMs = Math.min(this.#completeAtMs, now.monotonicMs);
      if (this.#scheduler.hasAllResults) return 0;
      return this.#completeAtMs + (this.#options.firstResultsMs ?? 0) - now.monotonicMs;
    }
    const waitMs = this.#startedAtMs + (this.#options.graceMs ?? 10_000) - now.monotonicMs;
    if (waitMs > 0) return waitMs;
    const missing = [...this.#clusters.values()].filter(({ inventory }) => inventory === null);
    const clusters = missing.map(({ config }) => config.name);
    this.#options.log.warn(
      { code: 'start-without-inventory', clusters },
      'starting without any knowledge of some clusters',
    );
    return 0;
  }

  #publish(config: Config, expansion: Expansion): void {
    const pools = expansion.pools.map((pool) => this.#book.targetsOf(pool));
    const { services } = expansion;
    const snapshot = compile(
      { config, pools, services, version: this.#version, eventAtMs: this.#eventAtMs },
      this.#memo,
    );
    this.#eventAtMs = 0;
    if (snapshot.checksum === this.#snapshot?.checksum) return;
    this.#version++;
    this.#snapshot = snapshot;
    this.#options.onSnapshot(snapshot);
  }
}
