// Owns the state of one source of one pool between recomputations, and its derivation from the cluster.

import type { EndpointSliceFact, ServiceFact } from '../../model/inventory.ts';
import type { PoolConfig, SourceConfig } from '../../model/pool-config.ts';
import type { SourceTargets } from '../compile/compile.ts';
import type { ClusterView } from './cluster-view.ts';
import { type DerivationMemo, type DerivedSource, deriveService, deriveStatic } from './derive.ts';
import type { NodeViews } from './nodes.ts';
import { newVersions } from './object-versions.ts';
import { hasSameCodes } from './reason-lists.ts';
import { reason } from './reasons.ts';
import { type ServiceView, type UnreadKind, viewService } from './services.ts';
import type { Now, TargetTable } from './target-table.ts';
import { ViewMemo } from './target-views.ts';

interface Inputs {
  readonly subset: number;
  readonly source: SourceConfig;
  readonly service: ServiceFact | null;
  readonly slices: readonly EndpointSliceFact[];
  readonly unread: UnreadKind | null;
  readonly nodes: NodeViews;
  readonly view: ServiceView;
}

/** Targets of pools that look at nothing but nodes: one table for all of them, in which ports are 0. */
export interface SharedTargets {
  readonly id: string;
  readonly cluster: string;
  derived: DerivedSource;
  table: TargetTable | null;
  isDirty: boolean;
  /** What decides about targets beside the API has changed: results of probes, reports of workers, configuration. */
  isTouched: boolean;
  /** Monotonic milliseconds. */
  dueAtMs: number | null;
  /** The lowest port of its users: where new and held nodes are proven by a connect, for all of them. */
  proofPort: number;
  /** What the probes were last planned from. */
  planned: readonly unknown[];
  /** The sources that use it now. */
  readonly users: Set<SourceState>;
  readonly views: ViewMemo;
}

/** When something changed, epoch milliseconds, and by which object versions. */
export interface Change {
  readonly atMs: number;
  readonly by: string;
}

/** Nodes that lost or gained a target between two tables. */
export interface NodeDelta {
  readonly left: readonly string[];
  readonly joined: readonly string[];
}

const NO_DELTA: NodeDelta = { left: [], joined: [] };

/** Computed once for all sources that share a table. */
export function nodeDelta(before: TargetTable, after: TargetTable): NodeDelta {
  if (before.entries.places === after.entries.places) return NO_DELTA;
  return { left: nodesOnlyIn(before, after), joined: nodesOnlyIn(after, before) };
}

function nodesOnlyIn(one: TargetTable, other: TargetTable): readonly string[] {
  const nodes: string[] = [];
  for (const { identity, candidate } of one.entries.list) {
    if (candidate.node !== null && !other.entries.has(identity)) nodes.push(candidate.node);
  }
  return nodes;
}

/** Two pools with equal texts share the probes of equal targets. */
function probedText({ health, proxyProtocol, tls }: PoolConfig): string {
  return JSON.stringify([health, proxyProtocol?.version ?? null, tls]);
}

/** One source of one pool. The engine owns and changes it. */
export class SourceState {
  readonly id: string;
  readonly pool: string;
  /** `namespace/name`, or null for a static source. */
  readonly service: string | null;
  config: PoolConfig;
  source: SourceConfig;
  derived: DerivedSource | null = null;
  /** Its own table: null before the first start, and while `shared` is in use. */
  table: TargetTable | null = null;
  shared: SharedTargets | null = null;
  /** The port at which `shared` is used. */
  sharedPort = 0;
  isDirty = true;
  /** See `SharedTargets`. */
  isTouched = true;
  /** Monotonic milliseconds. */
  dueAtMs: number | null = null;
  /** What the probes were last planned from. */
  planned: readonly unknown[] = [];
  /** What was last compiled of it. */
  compiled: SourceTargets | null = null;
  /** Epoch milliseconds. */
  readonly sinceMs: number;
  /** How a node's target left; by node name, only nodes that are still listed. */
  readonly left = new Map<string, Change>();
  readonly views = new ViewMemo();
  /** When the reasons of the source itself last changed. */
  reasonsChange: Change;
  /** Versions of the service and its slices that came with the last derivation and are not accounted for yet. */
  news = '';
  /** What the probes of its targets depend on, as text. */
  healthText: string;
  #inputs: Inputs | null = null;
  #staticSource: SourceConfig | null = null;
  /** While nothing is known of its cluster: the same object each time. */
  #unknown: DerivedSource | null = null;

  constructor(id: string, pool: string, config: PoolConfig, source: SourceConfig, sinceMs: number) {
    this.id = id;
    this.pool = pool;
    this.config = config;
    this.source = source;
    this.service = source.kind === 'service' ? `${source.namespace}/${source.service}` : null;
    this.sinceMs = sinceMs;
    this.reasonsChange = { atMs: sinceMs, by: '' };
    this.healthText = probedText(config);
  }

  /** Takes a new configuration of the same source; targets and their history stay. */
  reconfigure(config: PoolConfig, source: SourceConfig): void {
    if (JSON.stringify(config) !== JSON.stringify(this.config)) {
      this.config = config;
      this.healthText = probedText(config);
      this.isDirty = true;
      this.isTouched = true;
    }
    if (JSON.stringify(source) !== JSON.stringify(this.source)) this.source = source;
  }

  /** Derives again if any input changed, and marks what changed. */
  derive(cluster: ClusterView | null, memo: DerivationMemo, now: Now): void {
    const derived =
      this.service === null ? this.#deriveStatic() : this.#deriveService(this.service, cluster, memo);
    const before = this.derived;
    if (derived === before) return;
    this.derived = derived;
    this.news = newVersions(before, derived);
    if (before !== null && !hasSameCodes(before.reasons, derived.reasons)) {
      this.reasonsChange = { atMs: now.epochMs, by: this.news };
    }
    const holdsSome =
      this.table !== null &&
      this.table.calm === null &&
      this.table.entries.list.some(({ hold }) => hold !== null);
    if (before?.healthCheckNodePort !== derived.healthCheckNodePort) this.isTouched = true;
    const isSame =
      before !== null &&
      before.members === derived.members &&
      before.port === derived.port &&
      before.policy === derived.policy &&
      before.missing === derived.missing &&
      before.healthCheckNodePort === derived.healthCheckNodePort;
    if (!isSame || holdsSome) this.isDirty = true;
  }

  /** Keeps in mind when targets left, for the answers. */
  noteLeft({ left, joined }: NodeDelta, now: Now): void {
    for (const node of left) this.left.set(node, { atMs: now.epochMs, by: this.news });
    for (const node of joined) this.left.delete(node);
    for (const node of this.left.keys()) {
      if (this.derived?.candidateOf(node) === null) this.left.delete(node);
    }
  }

  #deriveStatic(): DerivedSource {
    if (this.derived !== null && this.#staticSource === this.source) return this.derived;
    this.#staticSource = this.source;
    return deriveStatic(this.source);
  }

  #deriveService(name: string, cluster: ClusterView | null, memo: DerivationMemo): DerivedSource {
    if (cluster === null || cluster.inventory === null) {
      this.#unknown ??= unknownSource(name, this.source);
      return this.#unknown;
    }
    const service = cluster.service(name);
    const slices = cluster.slicesOf(name);
    const unread = cluster.unreadOf(name);
    const { nodes } = cluster;
    const { source } = this;
    const { subset } = this.config;
    const before = this.#inputs;
    const sameService =
      before !== null &&
      before.subset === subset &&
      before.source === source &&
      before.service === service &&
      before.slices === slices &&
      before.unread === unread &&
      before.nodes.families === nodes.families;
    if (sameService && before.nodes === nodes && this.derived !== null) return this.derived;
    const view = sameService
      ? before.view
      : viewService(name, source, service, slices, nodes.families, unread);
    this.#inputs = { subset, source, service, slices, unread, nodes, view };
    return deriveService(source, view, nodes, memo, subset);
  }
}

function unknownSource(service: string, source: SourceConfig): DerivedSource {
  return {
    kind: 'service',
    cluster: source.cluster,
    service,
    serviceVersion: '',
    slices: [],
    port: 0,
    policy: null,
    healthCheckNodePort: 0,
    missing: true,
    reasons: [reason('inventory-missing')],
    members: [],
    nodesOnly: false,
    families: [],
    candidateOf: () => null,
  };
}
