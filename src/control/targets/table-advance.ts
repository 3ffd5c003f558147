// Owns the advance of one table of targets, shared or of one source: evidence in, the next table and its probes out.

import type { KubeProxyConfig } from '../../model/config.ts';
import type { ProbeStatus } from '../health/probe-record.ts';
import type { ProbeSpec } from '../health/scheduler.ts';
import type { ClusterView } from './cluster-view.ts';
import type { DerivedSource } from './derive.ts';
import { advance } from './lifecycle.ts';
import { hasSamePlan, ProbeMemo, planShared, planTargets } from './probe-plan.ts';
import type { SharedTargets, SourceState } from './source-state.ts';
import type { LifecycleTimes, Now, TargetTable } from './target-table.ts';
import { type EvidenceSources, viewOfNodes, viewOfSource } from './target-views.ts';

export interface TableAdvanceOptions {
  readonly times: LifecycleTimes;
  readonly status: (key: string) => ProbeStatus | undefined;
  readonly setProbes: (group: string, specs: readonly ProbeSpec[]) => void;
}

/** One table took the place of another. */
export interface TableChange {
  readonly before: TargetTable;
  readonly after: TargetTable;
}

/** Does nothing to a table that is not due. A first table is no change: there was none before it. */
export class TableAdvance {
  readonly #options: TableAdvanceOptions;
  readonly #connected: ReadonlyMap<string, string | null>;
  readonly #probes = new ProbeMemo();

  /** @param connected identity -> node uid, of targets that a worker has connected to since the last pass; read at each call */
  constructor(options: TableAdvanceOptions, connected: ReadonlyMap<string, string | null>) {
    this.#options = options;
    this.#connected = connected;
  }

  shared(shared: SharedTargets, cluster: ClusterView | undefined, now: Now): TableChange | null {
    if (!isDue(shared, now)) return null;
    const kubeProxy = cluster?.config.kubeProxy ?? null;
    const before = shared.table;
    const viewOf = viewOfNodes(shared, this.#evidence(kubeProxy));
    const { table, dueAtMs } = advance(before, shared.derived, viewOf, now, {
      ...this.#options.times,
      unknown: 'serve',
      maxRemovedShare: cluster?.config.maxRemovedShare ?? 1,
      believeMissing: false,
      news: '',
      isUnlisted: (node) => cluster?.isUnlisted(node) === true,
      isDrained: (node) => cluster?.isDrained(node) === true,
      missingUnlisted: false,
      doubtsEndpoints: false,
      sameEvidence: !shared.isTouched,
    });
    shared.isDirty = false;
    shared.isTouched = false;
    shared.dueAtMs = dueAtMs;
    this.#planShared(shared, table, kubeProxy);
    if (table === before) return null;
    shared.table = table;
    return before === null ? null : { before, after: table };
  }

  own(state: SourceState, cluster: ClusterView | undefined, now: Now): TableChange | null {
    const { derived, config } = state;
    if (derived === null || !isDue(state, now)) return null;
    const kubeProxy = cluster?.config.kubeProxy ?? null;
    const before = state.table;
    const viewOf = viewOfSource(state, derived, this.#evidence(kubeProxy));
    const { table, dueAtMs } = advance(before, derived, viewOf, now, {
      ...this.#options.times,
      unknown: config.unknown,
      maxRemovedShare: cluster?.config.maxRemovedShare ?? 1,
      believeMissing:
        !(state.service !== null && cluster?.isDoubted(state.service) === true) && cluster?.inventory != null,
      news: state.news,
      missingUnlisted: state.service !== null && cluster?.isServiceUnlisted(state.service) === true,
      isUnlisted: (node) => cluster?.isUnlisted(node) === true,
      isDrained: (node) => cluster?.isDrained(node) === true,
      doubtsEndpoints: state.service !== null && cluster?.doubtsEndpointsOf(state.service) === true,
      sameEvidence: !state.isTouched,
    });
    state.isDirty = false;
    state.isTouched = false;
    state.dueAtMs = dueAtMs;
    this.#planOwn(state, table, derived, kubeProxy);
    if (table === before) return null;
    // Nothing yet is not a start: the first targets are the ones that are believed at once.
    state.table = before === null && table.entries.size === 0 ? null : table;
    return before === null ? null : { before, after: table };
  }

  #evidence(kubeProxy: KubeProxyConfig | null): EvidenceSources {
    return { status: this.#options.status, connected: this.#connected, kubeProxy, memo: this.#probes };
  }

  #planShared(shared: SharedTargets, table: TargetTable, kubeProxy: KubeProxyConfig | null): void {
    const { table: before, planned, proofPort } = shared;
    const isSamePlan =
      before !== null && isPlanned(planned, [before, kubeProxy, proofPort]) && hasSamePlan(before, table);
    if (!isSamePlan && !isPlanned(planned, [table, kubeProxy, proofPort]))
      this.#options.setProbes(shared.id, planShared(table, kubeProxy, proofPort, this.#probes));
    shared.planned = [table, kubeProxy, proofPort];
  }

  #planOwn(
    state: SourceState,
    table: TargetTable,
    derived: DerivedSource,
    kubeProxy: KubeProxyConfig | null,
  ): void {
    const { config, healthText } = state;
    const { healthCheckNodePort } = derived;
    if (isPlanned(state.planned, [table, config, kubeProxy, healthCheckNodePort])) return;
    state.planned = [table, config, kubeProxy, healthCheckNodePort];
    const { health, unknown } = config;
    const proxyProtocol = config.proxyProtocol?.version ?? null;
    const probing = {
      tls: config.tls,
      health,
      healthText,
      unknown,
      healthCheckNodePort,
      kubeProxy,
      proxyProtocol,
    };
    this.#options.setProbes(state.id, planTargets(table, probing, this.#probes));
  }
}

function isPlanned(before: readonly unknown[], after: readonly unknown[]): boolean {
  return before.length === after.length && before.every((part, index) => part === after[index]);
}

function isDue(state: { readonly isDirty: boolean; readonly dueAtMs: number | null }, now: Now): boolean {
  return state.isDirty || (state.dueAtMs !== null && state.dueAtMs <= now.monotonicMs);
}
