// Owns all sources of all pools: derives and advances what changed, shares what is equal, and tells which probes are needed.

import type { KubeProxyConfig } from '../../model/config.ts';
import type { ExplainedTarget } from '../../model/targets.ts';
import type { PoolInstance } from '../compile/expand.ts';
import { judge, type TargetView } from '../health/evidence.ts';
import type { ProbeSpec, ProbeStatus } from '../health/scheduler.ts';
import type { ClusterView } from './cluster-view.ts';
import { type Candidate, type DerivationMemo, type DerivedSource, identityOf } from './derive.ts';
import { type ExplainableSource, rowOfEntry, rowOfNode } from './explain.ts';
import { advance } from './lifecycle.ts';
import { kubeProxyKey, planKubeProxy, planTargets, probeKeys } from './probe-plan.ts';
import { type SharedTargets, SourceState } from './source-state.ts';
import type { LifecycleOptions, LifecycleTimes, Now, TargetEntry, TargetTable, ViewOf } from './target-table.ts';

/** A change of state, health or reasons; null before is a target that joined, null after one that is gone. */
export interface TargetChange {
  readonly before: ExplainedTarget | null;
  readonly after: ExplainedTarget | null;
}

export interface TargetBookOptions {
  readonly times: LifecycleTimes;
  readonly status: (key: string) => ProbeStatus | undefined;
  readonly setProbes: (group: string, specs: readonly ProbeSpec[]) => void;
  readonly onChange: (change: TargetChange) => void;
}

/** Changes of a shared table are told for each pool up to this many, then once for the pool `*`. */
const MOST_POOLS_TOLD = 16;
/** A probe result that only shifts the share of failures is looked at after this. */
const SOFT_DELAY_MS = 250;
const EMPTY: TargetTable = { entries: new Map(), departures: [] };

export class TargetBook {
  readonly #options: TargetBookOptions;
  readonly #memo: DerivationMemo = { shared: new WeakMap(), local: new WeakMap() };
  readonly #sources = new Map<string, SourceState>();
  readonly #byPool = new Map<string, readonly SourceState[]>();
  readonly #shared = new Map<string, SharedTargets>();
  #clusters: ReadonlyMap<string, ClusterView> = new Map();
  /** Identity -> node uid, of targets that a worker has connected to since the last pass. */
  readonly #connected = new Map<string, string | null>();

  constructor(options: TargetBookOptions) {
    this.#options = options;
  }

  /** The sources of a pool, in configured order. */
  sourcesOf(pool: string): readonly SourceState[] {
    return this.#byPool.get(pool) ?? [];
  }

  get sources(): Iterable<SourceState> {
    return this.#sources.values();
  }

  /** The table in force, whoever keeps it, and the port of its targets that have none. */
  tableOf(state: SourceState): { readonly table: TargetTable; readonly port: number } {
    if (state.shared !== null) return { table: state.shared.table ?? EMPTY, port: state.sharedPort };
    return { table: state.table ?? EMPTY, port: state.derived?.port ?? 0 };
  }

  /** Takes the pools there are now; a source that stays keeps its targets. */
  setPools(pools: readonly PoolInstance[], clusters: ReadonlyMap<string, ClusterView>, now: Now): void {
    this.#clusters = clusters;
    const gone = new Map(this.#sources);
    this.#byPool.clear();
    for (const { name, config, sources } of pools) {
      const states: SourceState[] = [];
      const seen = new Map<string, number>();
      for (const source of sources) {
        const what =
          source.kind === 'static'
            ? 'static'
            : `${source.cluster} ${source.namespace}/${source.service} ${JSON.stringify(source.port)}`;
        const count = seen.get(what) ?? 0;
        seen.set(what, count + 1);
        const id = `${name} ${what} ${count}`;
        const known = this.#sources.get(id);
        gone.delete(id);
        if (known === undefined) {
          const state = new SourceState(id, name, config, source, now.epochMs);
          this.#sources.set(id, state);
          states.push(state);
        } else {
          known.reconfigure(config, source);
          states.push(known);
        }
      }
      this.#byPool.set(name, states);
    }
    for (const state of gone.values()) this.#drop(state, now);
  }

  /** True while a service's targets are kept although the service is not listed. */
  holdsTargets(pool: string): boolean {
    return this.sourcesOf(pool).some((state) => this.tableOf(state).table.entries.size > 0);
  }

  /** A probe of these groups has a new status; one that did not flip is looked at a little later. */
  touch(groups: Iterable<string>, flipped: boolean, nowMs: number): void {
    for (const group of groups) {
      const state = this.#sources.get(group) ?? this.#shared.get(group);
      if (state === undefined) continue;
      if (flipped) state.isDirty = true;
      else state.dueAtMs = Math.min(state.dueAtMs ?? Number.POSITIVE_INFINITY, nowMs + SOFT_DELAY_MS);
    }
  }

  /** A worker has connected to `address:port`. Returns whether anyone waits for that proof. */
  proven(identity: string): boolean {
    let isAwaited = false;
    const take = (state: SourceState | SharedTargets, key: string): void => {
      const entry = state.table?.entries.get(key);
      if (entry === undefined || entry.proven) return;
      this.#connected.set(key, entry.candidate.nodeUid);
      state.isDirty = true;
      isAwaited = true;
    };
    for (const state of this.#sources.values()) take(state, identity);
    const anyPort = `${identity.slice(0, identity.lastIndexOf(':'))}:0`;
    for (const shared of this.#shared.values()) take(shared, anyPort);
    return isAwaited;
  }

  /** Derives and advances everything that is due. Returns when time alone needs the next pass, monotonic milliseconds. */
  pass(now: Now): number | null {
    for (const state of this.#sources.values()) {
      state.derive(this.#clusters.get(state.source.cluster ?? '') ?? null, this.#memo);
      this.#settleMode(state);
    }
    for (const shared of this.#shared.values()) this.#advanceShared(shared, now);
    let dueAtMs = Number.POSITIVE_INFINITY;
    for (const state of this.#sources.values()) {
      if (state.shared === null) this.#advanceOwn(state, now);
      dueAtMs = Math.min(dueAtMs, state.dueAtMs ?? Number.POSITIVE_INFINITY);
    }
    for (const shared of this.#shared.values()) dueAtMs = Math.min(dueAtMs, shared.dueAtMs ?? Number.POSITIVE_INFINITY);
    this.#connected.clear();
    return dueAtMs === Number.POSITIVE_INFINITY ? null : dueAtMs;
  }

  /** What explains a source; `notes` are added to each row. */
  explainable(state: SourceState, notes: ExplainableSource['notes']): ExplainableSource | null {
    if (state.derived === null) return null;
    const cluster = this.#clusters.get(state.source.cluster ?? '');
    const { pool, config, source, sinceMs } = state;
    return {
      pool,
      config,
      source,
      derived: state.derived,
      table: this.tableOf(state).table,
      nodes: cluster === undefined || cluster.inventory === null ? null : cluster.nodes,
      notes,
      changedAtMs: (node) => Math.max(cluster?.changedAtMs(node) ?? 0, state.left.get(node) ?? sinceMs),
      sinceMs,
    };
  }

  /** Pools that look at nothing but nodes share one table; while anything is in motion a source has its own. */
  #settleMode(state: SourceState): void {
    const { derived, shared } = state;
    if (derived === null) return;
    const { health, unknown } = state.config;
    const canShare = derived.nodesOnly && health === null && unknown === 'serve' && derived.port !== 0;
    const id = `nodes ${derived.cluster} ${derived.families.join()}`;
    if (shared !== null && canShare && shared.id === id && state.sharedPort === derived.port) {
      this.#feed(shared, derived);
    } else if (shared !== null) {
      state.table = ownTable(shared.table ?? EMPTY, state.sharedPort);
      state.isDirty = true;
      this.#leaveShared(state, shared);
    } else if (canShare && isSettled(state.table, derived)) {
      const joined = this.#shared.get(id) ?? this.#addShared(id, derived);
      this.#feed(joined, derived);
      joined.users.add(state);
      state.shared = joined;
      state.sharedPort = derived.port;
      state.table = null;
      state.dueAtMs = null;
      this.#options.setProbes(state.id, []);
    }
  }

  #addShared(id: string, derived: DerivedSource): SharedTargets {
    const shared: SharedTargets = {
      id,
      cluster: derived.cluster ?? '',
      derived: { ...derived, port: 0 },
      table: null,
      isDirty: true,
      dueAtMs: null,
      users: new Set(),
    };
    this.#shared.set(id, shared);
    return shared;
  }

  #feed(shared: SharedTargets, derived: DerivedSource): void {
    // The list is made anew whenever any node of the cluster changed, so it stands for all that is derived from nodes.
    if (shared.derived.members === derived.members) return;
    shared.derived = { ...derived, port: 0 };
    shared.isDirty = true;
  }

  #leaveShared(state: SourceState, shared: SharedTargets): void {
    state.shared = null;
    shared.users.delete(state);
    if (shared.users.size > 0) return;
    this.#shared.delete(shared.id);
    this.#options.setProbes(shared.id, []);
  }

  #advanceShared(shared: SharedTargets, now: Now): void {
    if (!isDue(shared, now)) return;
    const kubeProxy = this.#kubeProxyOf(shared.cluster);
    const viewOf: ViewOf = (identity, candidate) => this.#viewOfNode(identity, candidate, kubeProxy);
    const before = shared.table;
    const { table, dueAtMs } = advance(before, shared.derived, viewOf, now, {
      ...this.#options.times,
      unknown: 'serve',
      maxRemovedShare: this.#clusters.get(shared.cluster)?.config.maxRemovedShare ?? 1,
      provable: kubeProxy?.healthz === true,
      believeMissing: false,
    });
    shared.isDirty = false;
    shared.dueAtMs = dueAtMs;
    if (table === before) return;
    shared.table = table;
    this.#options.setProbes(shared.id, planKubeProxy(table, kubeProxy));
    const users = [...shared.users];
    if (before === null) return;
    for (const state of users) noteLeft(state, before, table, now);
    const told = users.length > MOST_POOLS_TOLD ? users.slice(0, 1) : users;
    for (const state of told) {
      this.#tell(state, before, table, users.length > MOST_POOLS_TOLD ? '*' : state.pool);
    }
  }

  #advanceOwn(state: SourceState, now: Now): void {
    const { derived, config } = state;
    if (derived === null || !isDue(state, now)) return;
    const cluster = this.#clusters.get(state.source.cluster ?? '');
    const kubeProxy = this.#kubeProxyOf(state.source.cluster);
    const before = state.table;
    const { table, dueAtMs } = advance(before, derived, this.#viewOfOwn(state, derived, kubeProxy), now, {
      ...this.#options.times,
      unknown: config.unknown,
      maxRemovedShare: cluster?.config.maxRemovedShare ?? 1,
      provable: true,
      believeMissing: !(state.service !== null && cluster?.isDoubted(state.service) === true) && cluster?.inventory != null,
    } satisfies LifecycleOptions);
    state.isDirty = false;
    state.dueAtMs = dueAtMs;
    if (table === before) return;
    // Nothing yet is not a start: the first targets are the ones that are believed at once.
    state.table = before === null && table.entries.size === 0 ? null : table;
    this.#plan(state, table, derived, kubeProxy);
    if (before === null) return;
    noteLeft(state, before, table, now);
    this.#tell(state, before, table, state.pool);
  }

  #plan(state: SourceState, table: TargetTable, derived: DerivedSource, kubeProxy: KubeProxyConfig | null): void {
    const { config, healthText } = state;
    const { health, unknown } = config;
    const { healthCheckNodePort } = derived;
    const probing = { health, healthText, unknown, healthCheckNodePort, kubeProxy };
    this.#options.setProbes(state.id, planTargets(table, probing));
  }

  #viewOfNode(identity: string, candidate: Candidate, kubeProxy: KubeProxyConfig | null): TargetView {
    return judge({
      probed: false,
      unknown: 'serve',
      policy: 'Cluster',
      poolProbe: undefined,
      proofProbe: undefined,
      nodeProbe: kubeProxy === null ? undefined : this.#options.status(kubeProxyKey(candidate, kubeProxy)),
      healthCheckNodePort: undefined,
      connected: this.#isConnected(identity, candidate),
      othersFailing: 0,
    });
  }

  #viewOfOwn(state: SourceState, derived: DerivedSource, kubeProxy: KubeProxyConfig | null): ViewOf {
    const { status } = this.#options;
    const { healthText, config } = state;
    const probed = config.health !== null;
    const before = state.table;
    let recent = 0;
    let failures = 0;
    if (probed && derived.policy === 'Cluster') {
      for (const entry of before?.entries.values() ?? []) {
        const known = status(probeKeys(entry.identity, entry.candidate, 0, healthText).pool);
        recent += known?.recent ?? 0;
        failures += known?.recentFailures ?? 0;
      }
    }
    return (identity, candidate, policy) => {
      const keys = probeKeys(identity, candidate, derived.healthCheckNodePort, healthText);
      const poolProbe = probed ? status(keys.pool) : undefined;
      const othersRecent = recent - (poolProbe?.recent ?? 0);
      const othersFailures = failures - (poolProbe?.recentFailures ?? 0);
      const known = before?.entries.get(identity);
      const isProven = !probed && known?.proven === true && known.candidate.nodeUid === candidate.nodeUid;
      return judge({
        probed,
        unknown: config.unknown,
        policy,
        poolProbe,
        proofProbe: probed ? undefined : status(keys.proof),
        nodeProbe: kubeProxy === null || candidate.node === null ? undefined : status(kubeProxyKey(candidate, kubeProxy)),
        healthCheckNodePort: derived.healthCheckNodePort === 0 ? undefined : status(keys.healthCheckNodePort),
        connected: isProven || this.#isConnected(identity, candidate),
        othersFailing: othersRecent <= 0 ? 0 : othersFailures / othersRecent,
      });
    };
  }

  #isConnected(identity: string, candidate: Candidate): boolean {
    return this.#connected.has(identity) && this.#connected.get(identity) === candidate.nodeUid;
  }

  #kubeProxyOf(cluster: string | null): KubeProxyConfig | null {
    return this.#clusters.get(cluster ?? '')?.config.kubeProxy ?? null;
  }

  #drop(state: SourceState, now: Now): void {
    const { table } = this.tableOf(state);
    this.#sources.delete(state.id);
    if (state.shared !== null) this.#leaveShared(state, state.shared);
    this.#options.setProbes(state.id, []);
    noteLeft(state, table, EMPTY, now);
    this.#tell(state, table, EMPTY, state.pool);
  }

  #tell(state: SourceState, before: TargetTable, after: TargetTable, pool: string): void {
    const explained = this.explainable(state, []);
    if (explained === null) return;
    const named = { ...explained, pool };
    const isDropped = !this.#sources.has(state.id);
    for (const [identity, entry] of after.entries) {
      const known = before.entries.get(identity);
      if (known !== undefined && !isTold(known, entry)) continue;
      const row = rowOfEntry(named, entry);
      this.#options.onChange({ before: known === undefined ? null : rowOfEntry(named, known), after: row });
    }
    for (const [identity, entry] of before.entries) {
      if (after.entries.has(identity)) continue;
      const { node } = entry.candidate;
      const isListed = !isDropped && node !== null && named.derived.candidateOf(node)?.state === 'excluded';
      const row = rowOfEntry(named, entry);
      this.#options.onChange({ before: row, after: isListed ? rowOfNode(named, node) : null });
    }
  }
}

/** The epoch stamp of an entry moves exactly when there is something to tell. */
function isTold(before: TargetEntry, after: TargetEntry): boolean {
  return before !== after && before.changedAtMs !== after.changedAtMs;
}

function isDue(state: { readonly isDirty: boolean; readonly dueAtMs: number | null }, now: Now): boolean {
  return state.isDirty || (state.dueAtMs !== null && state.dueAtMs <= now.monotonicMs);
}

function noteLeft(state: SourceState, before: TargetTable, after: TargetTable, now: Now): void {
  for (const [identity, { candidate }] of before.entries) {
    if (!after.entries.has(identity) && candidate.node !== null) state.left.set(candidate.node, now.epochMs);
  }
  for (const { candidate } of after.entries.values()) if (candidate.node !== null) state.left.delete(candidate.node);
  for (const node of state.left.keys()) {
    if (state.derived?.candidateOf(node) === null) state.left.delete(node);
  }
}

/** Whether an own table says nothing that the shared one would not say. */
function isSettled(table: TargetTable | null, derived: DerivedSource): boolean {
  if (table === null) return true;
  if (table.entries.size !== derived.members.length) return false;
  for (const { hold, state, port } of table.entries.values()) {
    if (hold !== null || state === 'filling' || port !== derived.port) return false;
  }
  return true;
}

/** The shared targets as targets of one source. */
function ownTable(shared: TargetTable, port: number): TargetTable {
  const entries = new Map<string, TargetEntry>();
  for (const entry of shared.entries.values()) {
    const identity = identityOf(entry.candidate.address, port);
    entries.set(identity, { ...entry, identity, port });
  }
  return { entries, departures: shared.departures };
}
