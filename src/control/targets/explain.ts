// Owns the answers to "why is this target in, or not": rows for every service x node, and what is known of one node or service.

import type { PoolConfig, SourceConfig } from '../../model/pool-config.ts';
import type { ExplainedTarget, Reason } from '../../model/targets.ts';
import type { Candidate } from './candidate.ts';
import type { DerivedSource } from './derive.ts';
import type { NodeView, NodeViews } from './nodes.ts';
import { objectVersions } from './object-versions.ts';
import { reason, strongestEffect } from './reasons.ts';
import type { Change } from './source-state.ts';
import type { TargetEntry, TargetTable } from './target-table.ts';

/** One source of a pool with all that is needed to explain it. */
export interface ExplainableSource {
  readonly pool: string;
  readonly config: PoolConfig;
  readonly source: SourceConfig;
  readonly derived: DerivedSource;
  readonly table: TargetTable;
  /** Null for static sources and for clusters of which nothing is known. */
  readonly nodes: NodeViews | null;
  /** Added to every row: what is wrong with the inventory as a whole. */
  readonly notes: readonly Reason[];
  /** Since when, and by what, a node without a target has been without. */
  readonly changeOf: (node: string) => Change;
  readonly sinceMs: number;
  /** When, and by what, the reasons of the source itself last changed. */
  readonly reasonsChange: Change;
}

/** Narrows rows; null fields match all. Names are exact. */
export interface ExplainFilter {
  readonly pool: string | null;
  readonly node: string | null;
  /** `namespace/name`. */
  readonly service: string | null;
}

export const EXPLAIN_ALL: ExplainFilter = { pool: null, node: null, service: null };

/** Every service x node of the sources, excluded ones too. Made on demand: there may be millions. */
export function* explainTargets(
  sources: Iterable<ExplainableSource>,
  filter: ExplainFilter = EXPLAIN_ALL,
): Generator<ExplainedTarget> {
  for (const source of sources) {
    if (filter.pool !== null && source.pool !== filter.pool) continue;
    if (filter.service !== null && source.derived.service !== filter.service) continue;
    yield* explainSource(source, filter.node);
  }
}

function* explainSource(explained: ExplainableSource, wanted: string | null): Generator<ExplainedTarget> {
  const { derived, table, nodes } = explained;
  let rows = 0;
  const covered = new Set<string>();
  for (const entry of table.entries.list) {
    const { node } = entry.candidate;
    // Of a node that is held under an old port or address, both rows are told.
    if (node !== null) covered.add(node);
    if (wanted !== null && node !== wanted) continue;
    rows++;
    yield rowOfEntry(explained, entry);
  }
  const views =
    wanted === null ? (nodes?.list ?? []) : [nodes?.byName.get(wanted)].filter((view) => view !== undefined);
  for (const { node } of derived.kind === 'static' ? [] : views) {
    if (covered.has(node.name)) continue;
    rows++;
    yield rowOfNode(explained, node.name);
  }
  if (rows === 0 && wanted === null) yield rowOfSource(explained);
}

/** A row for a target that is in the snapshot. */
export function rowOfEntry(
  explained: Omit<ExplainableSource, 'table' | 'nodes'>,
  entry: TargetEntry,
): ExplainedTarget {
  const { derived, source, notes } = explained;
  return {
    ...head(explained, entry.candidate),
    port: entry.port === 0 ? derived.port : entry.port,
    weight: entry.weight * source.weight,
    state: entry.state,
    health: entry.health,
    lastResort: entry.lastResort,
    reasons: [...entry.reasons, ...notes],
    changedAtMs: entry.changedAtMs,
    changedBy: entry.changedBy,
  };
}

/** A row for a node that has no target. */
export function rowOfNode(
  explained: Omit<ExplainableSource, 'table' | 'nodes'>,
  node: string,
): ExplainedTarget {
  const { derived, notes } = explained;
  const candidate = derived.candidateOf(node);
  const change = explained.changeOf(node);
  const reasons =
    candidate?.reasons ?? (derived.reasons.length > 0 ? derived.reasons : [reason('node-deleted')]);
  return {
    ...head(explained, candidate ?? { ...NOBODY, cluster: derived.cluster, node }),
    port: derived.port,
    weight: 0,
    state: 'excluded',
    health: 'unknown',
    lastResort: false,
    reasons: [...reasons, ...notes],
    changedAtMs: change.atMs,
    changedBy: change.by,
  };
}

/** The row of a source that has no node to speak of. */
function rowOfSource(explained: ExplainableSource): ExplainedTarget {
  const { derived, notes, sinceMs, reasonsChange } = explained;
  const reasons =
    derived.reasons.length > 0
      ? derived.reasons
      : [reason('inventory-missing', 'the API server lists no node')];
  return {
    ...head(explained, { ...NOBODY, cluster: derived.cluster }),
    port: derived.port,
    weight: 0,
    state: 'excluded',
    health: 'unknown',
    lastResort: false,
    reasons: [...reasons, ...notes],
    changedAtMs: Math.max(sinceMs, reasonsChange.atMs),
    changedBy: reasonsChange.by,
  };
}

type Who = Pick<Candidate, 'cluster' | 'node' | 'nodeUid' | 'address' | 'nodeVersion'>;
const NOBODY: Who = { cluster: null, node: null, nodeUid: null, address: '', nodeVersion: '' };

function head(
  { pool, derived, source }: Pick<ExplainableSource, 'pool' | 'derived' | 'source'>,
  { cluster, node, nodeUid, address, nodeVersion }: Who,
): Pick<
  ExplainedTarget,
  'pool' | 'cluster' | 'service' | 'node' | 'nodeUid' | 'address' | 'priority' | 'objectVersion'
> {
  const { service } = derived;
  const objectVersion = objectVersions(node, nodeVersion, derived);
  return { pool, cluster, service, node, nodeUid, address, priority: source.priority, objectVersion };
}

/** What is known of one node: its own verdict, and a row for each service. */
export interface ExplainedNode {
  readonly cluster: string;
  readonly node: string;
  /** Strongest effect of its own reasons; `active` when nothing speaks against it. */
  readonly state: 'active' | 'last-resort' | 'draining' | 'excluded' | 'unknown-node';
  readonly addresses: readonly string[];
  /** Node-level reasons, each with what would change it. */
  readonly reasons: readonly Reason[];
  readonly targets: readonly ExplainedTarget[];
}

/** Pure: one answer for a node of one cluster, with the rows that the caller has made for it. */
export function explainNodeView(
  cluster: string,
  node: string,
  view: NodeView | undefined,
  targets: readonly ExplainedTarget[],
): ExplainedNode {
  if (view === undefined) {
    return {
      cluster,
      node,
      state: 'unknown-node',
      addresses: [],
      reasons: [reason('node-deleted')],
      targets,
    };
  }
  const effect = strongestEffect(view.reasons);
  const addresses = [...new Set([view.addresses.ipv4, view.addresses.ipv6])].filter(
    (address) => address !== '',
  );
  return {
    cluster,
    node,
    state: effect === 'none' ? 'active' : effect,
    addresses,
    reasons: view.reasons,
    targets,
  };
}

/** What is known of one service: what holds for it on every node, and a row for each node, for each pool that uses it. */
export interface ExplainedService {
  readonly cluster: string;
  /** `namespace/name`. */
  readonly service: string;
  readonly pools: readonly {
    readonly pool: string;
    readonly port: number;
    readonly policy: 'Cluster' | 'Local' | null;
    readonly reasons: readonly Reason[];
    readonly targets: readonly ExplainedTarget[];
  }[];
}

/** Pure: one answer for each cluster in which a source names the service. */
export function explainServiceSources(
  service: string,
  sources: Iterable<ExplainableSource>,
): readonly ExplainedService[] {
  const byCluster = new Map<string, ExplainedService['pools'][number][]>();
  for (const source of sources) {
    const { derived, pool } = source;
    if (derived.service !== service) continue;
    const pools = byCluster.get(derived.cluster ?? '') ?? [];
    const { port, policy, reasons } = derived;
    pools.push({ pool, port, policy, reasons, targets: [...explainTargets([source])] });
    byCluster.set(derived.cluster ?? '', pools);
  }
  return [...byCluster].map(([cluster, pools]) => ({ cluster, service, pools }));
}
