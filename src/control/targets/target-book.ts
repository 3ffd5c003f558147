// Owns all sources of all pools: has what changed derived and advanced, shares what is equal, and tells what became of targets.

import type { Reason } from '../../model/targets.ts';
import type { PoolTargets, SourceTargets } from '../compile/compile.ts';
import type { PoolInstance } from '../compile/expand.ts';
import type { ClusterView } from './cluster-view.ts';
import { createDerivationMemo, type DerivationMemo } from './derive.ts';
import type { ExplainableSource } from './explain.ts';
import { SharedTables } from './shared-tables.ts';
import { type Change, nodeDelta, type SharedTargets, SourceState } from './source-state.ts';
import { TableAdvance, type TableAdvanceOptions, type TableChange } from './table-advance.ts';
import { changesBetween, type SourceChange, type TargetChange } from './target-changes.ts';
import { EMPTY_TABLE, type Now, type TargetTable } from './target-table.ts';

export interface TargetBookOptions extends TableAdvanceOptions {
  readonly onChange: (change: TargetChange) => void;
  readonly onSourceChange: (change: SourceChange) => void;
}

/** Changes of a shared table are told for each pool up to this many, then once for the pool `*`. */
const MOST_POOLS_TOLD = 16;
/** A probe result that only shifts the share of failures is looked at after this. */
const SOFT_DELAY_MS = 250;

export class TargetBook {
  readonly #options: TargetBookOptions;
  readonly #memo: DerivationMemo = createDerivationMemo();
  readonly #sources = new Map<string, SourceState>();
  readonly #byPool = new Map<string, readonly SourceState[]>();
  /** As last compiled, by pool. */
  readonly #targets = new Map<string, PoolTargets>();
  readonly #shared: SharedTables;
  readonly #advance: TableAdvance;
  #clusters: ReadonlyMap<string, ClusterView> = new Map();
  #pools: readonly PoolInstance[] = [];
  /** Identity -> node uid, of targets that a worker has connected to since the last pass. */
  readonly #connected = new Map<string, string | null>();

  constructor(options: TargetBookOptions) {
    this.#options = options;
    this.#shared = new SharedTables(options.setProbes);
    this.#advance = new TableAdvance(options, this.#connected);
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
    if (state.shared !== null) return { table: state.shared.table ?? EMPTY_TABLE, port: state.sharedPort };
    return { table: state.table ?? EMPTY_TABLE, port: state.derived?.port ?? 0 };
  }

  /** The same object while all sources of the pool have the same tables. */
  targetsOf({ name, config }: PoolInstance): PoolTargets {
    const states = this.sourcesOf(name);
    const known = this.#targets.get(name);
    const isSame =
      known?.config === config &&
      known.sources.length === states.length &&
      states.every((state, index) => this.#sourceTargetsOf(state) === known.sources[index]);
    if (isSame) return known;
    const made = { name, config, sources: states.map((state) => this.#sourceTargetsOf(state)) };
    this.#targets.set(name, made);
    return made;
  }

  /** The same object while it is the same table. */
  #sourceTargetsOf(state: SourceState): SourceTargets {
    const { table, port } = this.tableOf(state);
    const { priority, weight } = state.source;
    const known = state.compiled;
    const isSame =
      known?.table === table && known.port === port && known.priority === priority && known.weight === weight;
    if (!isSame) state.compiled = { table, port, priority, weight };
    return state.compiled!;
  }

  /** Takes the pools there are now; a source that stays keeps its targets. */
  setPools(pools: readonly PoolInstance[], clusters: ReadonlyMap<string, ClusterView>, now: Now): void {
    this.#clusters = clusters;
    if (this.#pools === pools) return;
    this.#pools = pools;
    const gone = new Map(this.#sources);
    this.#byPool.clear();
    this.#targets.clear();
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
    for (const state of gone.values()) this.#drop(state);
  }

  /** True while a service's targets are kept although the service is not listed. */
  holdsTargets(pool: string): boolean {
    return this.sourcesOf(pool).some((state) => this.tableOf(state).table.entries.size > 0);
  }

  /** The configuration changed in a way that may touch every source. */
  touchAll(): void {
    for (const state of [...this.#sources.values(), ...this.#shared.all]) {
      state.isDirty = true;
      state.isTouched = true;
    }
  }

  /** A probe of these groups has a new status; one that did not flip is looked at a little later. */
  touch(groups: Iterable<string>, flipped: boolean, nowMs: number): void {
    for (const group of groups) {
      const state = this.#sources.get(group) ?? this.#shared.get(group);
      if (state === undefined) continue;
      state.isTouched = true;
      if (flipped) state.isDirty = true;
      else state.dueAtMs = Math.min(state.dueAtMs ?? Number.POSITIVE_INFINITY, nowMs + SOFT_DELAY_MS);
    }
  }

  /** A worker has connected to `address:port`. Returns whether anyone waits for that proof. */
  proven(identity: string): boolean {
    let isAwaited = false;
    const take = (state: SourceState | SharedTargets, key: string): void => {
      // In a calm table all are proven, and most tables are calm.
      if (state.table === null || state.table.calm !== null) return;
      const entry = state.table.entries.get(key);
      if (entry === undefined || entry.proven) return;
      this.#connected.set(key, entry.candidate.nodeUid);
      state.isDirty = true;
      state.isTouched = true;
      isAwaited = true;
    };
    for (const state of this.#sources.values()) take(state, identity);
    const anyPort = `${identity.slice(0, identity.lastIndexOf(':'))}:0`;
    for (const shared of this.#shared.all) take(shared, anyPort);
    return isAwaited;
  }

  /** Derives and advances everything that is due. Returns when time alone needs the next pass, monotonic milliseconds. */
  pass(now: Now): number | null {
    for (const state of this.#sources.values()) {
      const before = state.derived;
      const change = state.reasonsChange;
      state.derive(this.#clusters.get(state.source.cluster ?? '') ?? null, this.#memo, now);
      if (state.reasonsChange !== change) this.#tellSource(state, before?.reasons ?? []);
      this.#shared.settle(state);
    }
    for (const shared of this.#shared.all) {
      const change = this.#advance.shared(shared, this.#clusters.get(shared.cluster), now);
      if (change !== null) this.#tellShared(shared, change, now);
    }
    let dueAtMs = Number.POSITIVE_INFINITY;
    for (const state of this.#sources.values()) {
      if (state.shared === null) {
        const change = this.#advance.own(state, this.#clusters.get(state.source.cluster ?? ''), now);
        if (change !== null) this.#tellOwn(state, change, now);
      }
      state.news = '';
      if (this.#shared.canJoin(state)) dueAtMs = now.monotonicMs;
      dueAtMs = Math.min(dueAtMs, state.dueAtMs ?? Number.POSITIVE_INFINITY);
    }
    for (const shared of this.#shared.all)
      dueAtMs = Math.min(dueAtMs, shared.dueAtMs ?? Number.POSITIVE_INFINITY);
    this.#connected.clear();
    return dueAtMs === Number.POSITIVE_INFINITY ? null : dueAtMs;
  }

  /** What explains a source; `notes` are added to each row. */
  explainable(state: SourceState, notes: ExplainableSource['notes']): ExplainableSource | null {
    if (state.derived === null) return null;
    const cluster = this.#clusters.get(state.source.cluster ?? '');
    const { pool, config, source, sinceMs, reasonsChange } = state;
    return {
      pool,
      config,
      source,
      derived: state.derived,
      table: this.tableOf(state).table,
      nodes: cluster === undefined || cluster.inventory === null ? null : cluster.nodes,
      notes,
      changeOf: (node) => latest(cluster?.changeOf(node), state.left.get(node), state.reasonsChange),
      sinceMs,
      reasonsChange,
    };
  }

  /** Many pools may use the table; that it has changed is said no more than a few times. */
  #tellShared({ users }: SharedTargets, { before, after }: TableChange, now: Now): void {
    const delta = nodeDelta(before, after);
    for (const state of users) state.noteLeft(delta, now);
    const isMany = users.size > MOST_POOLS_TOLD;
    for (const state of [...users].slice(0, isMany ? 1 : users.size)) {
      this.#tell(state, before, after, isMany ? '*' : state.pool);
    }
  }

  #tellOwn(state: SourceState, { before, after }: TableChange, now: Now): void {
    state.noteLeft(nodeDelta(before, after), now);
    this.#tell(state, before, after, state.pool);
  }

  #drop(state: SourceState): void {
    const { table } = this.tableOf(state);
    this.#sources.delete(state.id);
    this.#shared.leave(state);
    this.#options.setProbes(state.id, []);
    this.#tell(state, table, EMPTY_TABLE, state.pool);
  }

  #tellSource({ pool, source, service, derived, reasonsChange }: SourceState, from: readonly Reason[]): void {
    const to = derived?.reasons ?? [];
    this.#options.onSourceChange({ pool, cluster: source.cluster, service, from, to, by: reasonsChange.by });
  }

  #tell(state: SourceState, before: TargetTable, after: TargetTable, pool: string): void {
    const explained = this.explainable(state, []);
    if (explained === null) return;
    const isDropped = !this.#sources.has(state.id);
    for (const change of changesBetween({ ...explained, pool }, before, after, isDropped)) {
      this.#options.onChange(change);
    }
  }
}

/** Of changes at the same time the first one given. */
function latest(...changes: readonly (Change | undefined)[]): Change {
  let found: Change = { atMs: 0, by: '' };
  for (const change of changes) if (change !== undefined && change.atMs > found.atMs) found = change;
  return found;
}
