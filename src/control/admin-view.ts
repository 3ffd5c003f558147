// The controller as the admin HTTP sees it: gathers what its parts and the workers know.

import type { Config } from '../model/config.ts';
import type { RoutedRequest } from '../model/messages.ts';
import type { ExplainedTarget } from '../model/targets.ts';
import type {
  AdminSource,
  DrainInForce,
  DrainOutcome,
  DrainSubject,
  ExplainQuery,
  Explanation,
  PublishedTable,
  Readiness,
  ReloadOutcome,
  Status,
  TargetFilter,
  UrlExplanation,
} from './admin/admin-source.ts';
import type { ClusterStatus } from './discovery/cluster-status.ts';
import type { ReflectorStatus } from './discovery/reflector-options.ts';
import type { DrainDesk } from './drain-desk.ts';
import type { Publisher } from './publisher.ts';
import type { Questions } from './questions.ts';
import type { TargetEngine } from './targets/target-engine.ts';

/** What the view needs beside the parts; read anew at each call. */
export interface AdminViewState {
  readonly config: Config | null;
  readonly configPath: string;
  readonly loadedAtMs: number;
  readonly problems: readonly string[];
  readonly draining: boolean;
  /** Processes by worker name. */
  readonly workers: ReadonlyMap<string, number>;
}

export interface AdminViewOptions {
  readonly engine: TargetEngine;
  readonly clusters: () => readonly ClusterStatus[];
  readonly publisher: Publisher;
  readonly questions: Questions;
  readonly state: () => AdminViewState;
  readonly metrics: () => Promise<string>;
  readonly reload: () => Promise<ReloadOutcome>;
  readonly desk: DrainDesk;
  readonly version: string;
  readonly startedAtMs: number;
}

export class AdminView implements AdminSource {
  readonly #options: AdminViewOptions;

  constructor(options: AdminViewOptions) {
    this.#options = options;
  }

  readiness(): Readiness {
    const { engine, publisher, state } = this.#options;
    const reasons: string[] = [];
    if (state().draining) reasons.push('Portico is shutting down.');
    if (engine.snapshot() === null)
      reasons.push('No snapshot has been made yet: a cluster has not been listed.');
    if (publisher.serving === 0) reasons.push('No worker serves yet.');
    return { ready: reasons.length === 0, reasons };
  }

  metrics(): Promise<string> {
    return this.#options.metrics();
  }

  status(): Status {
    const { engine, clusters, publisher, version, startedAtMs } = this.#options;
    const { configPath, loadedAtMs, problems, workers } = this.#options.state();
    const snapshot = engine.snapshot();
    return {
      version,
      startedAtMs,
      snapshotVersion: snapshot?.version ?? 0,
      snapshotChecksum: snapshot?.checksum ?? '',
      config: { path: configPath, loadedAtMs, problems },
      clusters: clusters().map(({ cluster, origin, syncedAtMs, kinds }) => ({
        name: cluster,
        origin,
        syncedAtMs,
        error: errorOf(Object.values(kinds).flatMap(({ scopes }) => scopes)),
      })),
      workers: [...workers].map(([name, pid]) => ({
        name,
        pid,
        snapshotVersion: publisher.versionOf(name),
      })),
    };
  }

  snapshot(): ReturnType<AdminSource['snapshot']> {
    return this.#options.engine.snapshot();
  }

  targets(filter: TargetFilter, limit: number): readonly ExplainedTarget[] {
    const { pool, node, service } = filter;
    const rows: ExplainedTarget[] = [];
    for (const row of this.#options.engine.rows({ pool, node, service })) {
      if (filter.cluster !== null && row.cluster !== filter.cluster) continue;
      if (filter.state !== null && row.state !== filter.state) continue;
      if (filter.reason !== null && !row.reasons.some(({ code }) => code === filter.reason)) continue;
      if (rows.push(row) === limit) break;
    }
    return rows;
  }

  hasPool(name: string): boolean {
    return (
      this.#options.state().config?.pools.some((pool) => pool.name === name) === true ||
      this.#options.engine.snapshot()?.pools.some((pool) => pool.name === name) === true
    );
  }

  async explain(query: ExplainQuery): Promise<Explanation | null> {
    if (query.kind === 'url') return this.#explainUrl(query);
    const { engine } = this.#options;
    if (query.kind === 'node') {
      const nodes = engine.explainNode(query.node).filter((node) => inCluster(node, query.cluster));
      if (nodes.length === 0) return null;
      return { kind: 'node', name: query.node, targets: nodes.flatMap(({ targets }) => targets) };
    }
    const services = engine
      .explainService(query.service)
      .filter((service) => inCluster(service, query.cluster));
    if (services.length === 0) return null;
    const targets = services.flatMap(({ pools }) => pools.flatMap((pool) => pool.targets));
    return { kind: 'service', name: query.service, targets };
  }

  async #explainUrl(query: Extract<ExplainQuery, { kind: 'url' }>): Promise<UrlExplanation | null> {
    const { questions, engine } = this.#options;
    const [worker] = [...this.#options.state().workers.keys()];
    if (worker === undefined) return null;
    const { url, method, headers } = query;
    const answer = await questions.askOne(worker, { kind: 'route', url, method, headers });
    if (answer?.kind !== 'route') return null;
    const { route } = answer;
    return {
      kind: 'url',
      url,
      method,
      ...route,
      pools: route.pools.map((pool) => ({ ...pool, targets: engine.explained({ pool: pool.name }) })),
      steps: stepsOf(route),
    };
  }

  reload(): Promise<ReloadOutcome> {
    return this.#options.reload();
  }

  drain(subject: DrainSubject): Promise<DrainOutcome> {
    return this.#options.desk.drain(subject);
  }

  undrain(subject: DrainSubject): Promise<DrainOutcome> {
    return this.#options.desk.undrain(subject);
  }

  drained(subject: DrainSubject, waitMs: number, left: AbortSignal): Promise<DrainOutcome> {
    return this.#options.desk.drained(subject, waitMs, left);
  }

  async tables(): Promise<readonly PublishedTable[]> {
    const workers = [...this.#options.state().workers.keys()];
    const answers = await this.#options.questions.askAll(workers, { kind: 'tables' });
    const tables = new Map<string, PublishedTable>();
    for (const answer of answers) {
      if (answer.kind !== 'tables') continue;
      for (const table of answer.tables) {
        const known = tables.get(table.pool);
        const agrees = known === undefined || known.checksum === table.checksum;
        tables.set(table.pool, agrees ? table : { ...table, checksum: null });
      }
    }
    return [...tables.values()].sort((a, b) => (a.pool < b.pool ? -1 : 1));
  }

  drains(): readonly DrainInForce[] {
    return this.#options.desk.drains();
  }
}

const inCluster = (item: { readonly cluster: string }, cluster: string | null): boolean =>
  cluster === null || item.cluster === cluster;

function errorOf(scopes: readonly ReflectorStatus[]): string | null {
  return scopes.find(({ failure }) => failure !== null)?.failure?.message ?? null;
}

/** The decisions of a worker as sentences. */
function stepsOf(route: RoutedRequest): readonly string[] {
  if (route.listener === null) return ['No http or https listener has this port.'];
  const steps = [`Listener ${route.listener} takes the request.`];
  if (route.route === null) return [...steps, 'No route and rule fit it.'];
  steps.push(`Route ${route.route}, rule ${route.rule} is the most specific that fits.`);
  const captures = Object.entries(route.captures);
  if (captures.length > 0)
    steps.push(`Captured: ${captures.map(([name, value]) => `${name}=${value}`).join(', ')}.`);
  for (const { name, weight, pick } of route.pools) {
    const share = `Pool ${name} gets ${Math.round(weight * 1000) / 10}% of such requests`;
    steps.push(
      pick === null ? `${share}, and has no target to send them to.` : `${share}; now it would be ${pick}.`,
    );
  }
  if (route.failure !== null) steps.push(`Portico answers by itself: ${route.failure}.`);
  return steps;
}
