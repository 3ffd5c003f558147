// What the target engine answers when it is asked: rows with their reasons, counts, and how a node stands.

import type { ExplainedTarget, Reason } from '../../model/targets.ts';
import type { ClusterView } from './cluster-view.ts';
import { countTargets, type PoolCounts } from './counts.ts';
import type { TargetEngineOptions } from './engine-contract.ts';
import {
  EXPLAIN_ALL,
  type ExplainableSource,
  type ExplainedNode,
  type ExplainedService,
  type ExplainFilter,
  explainNodeView,
  explainServiceSources,
  explainTargets,
} from './explain.ts';
import { reason } from './reasons.ts';
import type { SourceState } from './source-state.ts';
import type { TargetBook } from './target-book.ts';
import type { TargetTable } from './target-table.ts';

/** The methods are those of `TargetEngine`, which says what they answer. Reads what is there at each call, and changes nothing. */
export class TargetAnswers {
  readonly #book: TargetBook;
  readonly #clusters: ReadonlyMap<string, ClusterView>;
  readonly #options: Pick<TargetEngineOptions, 'clock' | 'staleMs'>;

  constructor(
    book: TargetBook,
    clusters: ReadonlyMap<string, ClusterView>,
    options: Pick<TargetEngineOptions, 'clock' | 'staleMs'>,
  ) {
    this.#book = book;
    this.#clusters = clusters;
    this.#options = options;
  }

  standing(cluster: string, node: string | null): 'active' | 'filling' | null {
    const seen = new Set<TargetTable>();
    let isFilling = false;
    for (const source of this.#book.sources) {
      const { table } = this.#book.tableOf(source);
      if (seen.has(table)) continue;
      seen.add(table);
      for (const { candidate, state } of table.entries.list) {
        if (candidate.cluster !== cluster || (node !== null && candidate.node !== node)) continue;
        if (state === 'active') return 'active';
        if (state === 'filling') isFilling = true;
      }
    }
    return isFilling ? 'filling' : null;
  }

  rows(filter: Partial<ExplainFilter>): Iterable<ExplainedTarget> {
    return explainTargets(this.#explainable(), { ...EXPLAIN_ALL, ...filter });
  }

  explainNode(node: string): readonly ExplainedNode[] {
    const rows = [...this.rows({ node })];
    const answers: ExplainedNode[] = [];
    for (const [name, cluster] of this.#clusters) {
      const view = cluster.nodes.byName.get(node);
      const targets = rows.filter((row) => row.cluster === name);
      if (view !== undefined || targets.length > 0) answers.push(explainNodeView(name, node, view, targets));
    }
    return answers;
  }

  explainService(service: string): readonly ExplainedService[] {
    return explainServiceSources(service, this.#explainable());
  }

  counts(): readonly PoolCounts[] {
    return countTargets([...this.#explainable()]);
  }

  *#explainable(): Generator<ExplainableSource> {
    for (const state of this.#book.sources) {
      const explained = this.#book.explainable(state, this.#notesOf(state));
      if (explained !== null) yield explained;
    }
  }

  /** Staleness is told in the answers only: by itself it changes no target. */
  #notesOf(state: SourceState): readonly Reason[] {
    const inventory = this.#clusters.get(state.source.cluster ?? '')?.inventory;
    if (inventory === undefined || inventory === null) return [];
    const ageMs = this.#options.clock.now() - inventory.syncedAtMs;
    const isStale = inventory.origin === 'disk' || ageMs > (this.#options.staleMs ?? 180_000);
    return isStale ? [reason('inventory-stale', `${Math.max(0, Math.round(ageMs / 1000))} s old`)] : [];
  }
}
