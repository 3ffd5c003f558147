// One cluster: its reflectors, the inventory they add up to, and when that inventory may be believed.

import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { ClusterConfig } from '../../model/config.ts';
import {
  type ClusterInventory,
  type EndpointSliceFact,
  type InventoryOrigin,
  NOTHING_UNLISTED,
  type NodeFact,
  type SecretFact,
  type ServiceFact,
  type UnlistedObjects,
  type UnreadNamespaces,
} from '../../model/inventory.ts';
import { ApiClient } from './api-client.ts';
import type { Clock } from './clock.ts';
import { type ClusterStatus, summarise } from './cluster-status.ts';
import type { OnCount } from './counts.ts';
import { type Credentials, createCredentials } from './credentials.ts';
import { type AnyFact, endpointSliceKind, type Kind, nodeKind, secretKind, serviceKind } from './kinds.ts';
import { factKey } from './object-set.ts';
import { createReflector } from './reflector.ts';
import type { Reflector, ReflectorTuning } from './reflector-options.ts';

/** Namespaces whose services and endpoint slices are read, or the whole cluster. */
export type NamespaceScope = readonly string[] | 'all';

export interface ClusterDiscoveryOptions {
  readonly cluster: ClusterConfig;
  readonly scope: NamespaceScope;
  /** `namespace/name` of the Secrets that are read, each by a watch of its own. */
  readonly secrets: readonly string[];
  /** The last good inventory; served as it is until the live lists are complete. Null: nothing is known. */
  readonly seed: ClusterInventory | null;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly serviceAccountDirectory?: string;
  readonly tuning: ReflectorTuning;
  readonly onCount: OnCount;
  /** The inventory really changed, or became live; `receivedAtMs` is when the cause arrived. */
  readonly onChange: (receivedAtMs: number) => void;
  /** A Secret that is read is there for the first time, other than before, or gone. */
  readonly onSecrets: () => void;
  /** The inventory was confirmed by the API server without a change. */
  readonly onConfirmed: () => void;
}

export interface ClusterDiscovery {
  readonly cluster: ClusterConfig;
  inventory(): ClusterInventory;
  status(): ClusterStatus;
  /** Keeps the reflectors of unchanged namespaces and hands what is known on to new ones. */
  setScope(scope: NamespaceScope): void;
  setSecrets(names: readonly string[]): void;
  /** `missing` when the API server has said so; undefined while it is not known. */
  secret(name: string): SecretFact | 'missing' | undefined;
  close(): Promise<void>;
}

/** Starts the reflectors at once. */
export function createClusterDiscovery(options: ClusterDiscoveryOptions): ClusterDiscovery {
  return new LiveCluster(options);
}

class LiveCluster implements ClusterDiscovery {
  readonly cluster: ClusterConfig;
  readonly #options: ClusterDiscoveryOptions;
  readonly #credentials: Credentials;
  readonly #api: ApiClient;
  readonly #nodes: Reflector<NodeFact>;
  #services: readonly Reflector<ServiceFact>[];
  #slices: readonly Reflector<EndpointSliceFact>[];
  /** By `namespace/name`. Their facts are never part of the inventory, which is kept on disk. */
  readonly #secrets = new Map<string, Reflector<SecretFact>>();
  readonly #closings = new Set<Promise<void>>();
  #live = false;
  /** What an earlier run has left, while it is served. */
  #kept: ClusterInventory | null = null;
  /** Built when asked for, from facts that have changed since. */
  #cached: ClusterInventory | null = null;
  /** The last one built: a kind of which nothing has changed keeps its list, the same object. */
  #last: ClusterInventory | null = null;

  constructor(options: ClusterDiscoveryOptions) {
    const { clock, cluster, log, onCount, environment, serviceAccountDirectory, seed, scope } = options;
    this.cluster = cluster;
    this.#options = options;
    this.#credentials = createCredentials({
      cluster,
      clock,
      log,
      onCount,
      environment,
      ...(serviceAccountDirectory === undefined ? {} : { serviceAccountDirectory }),
    });
    this.#api = new ApiClient({ cluster: cluster.name, credentials: this.#credentials, clock, onCount });
    this.#nodes = this.#reflect(nodeKind, null, seed?.nodes ?? []);
    this.#services = this.#rescope(serviceKind, [], scope, seed?.services ?? []);
    this.#slices = this.#rescope(endpointSliceKind, [], scope, seed?.slices ?? []);
    this.setSecrets(options.secrets);
  }

  inventory(): ClusterInventory {
    const { cluster, seed } = this.#options;
    if (!this.#live && seed !== null) {
      this.#kept ??= { ...seed, unread: this.#unread() };
      return this.#kept;
    }
    if (!this.#live) {
      return {
        cluster: cluster.name,
        origin: 'none',
        syncedAtMs: 0,
        nodes: [],
        services: [],
        slices: [],
        unlisted: NOTHING_UNLISTED,
      };
    }
    const syncedAtMs = this.#syncedAtMs();
    const before = this.#last;
    this.#cached ??= {
      cluster: cluster.name,
      origin: 'live' satisfies InventoryOrigin,
      syncedAtMs,
      nodes: listOf([this.#nodes], before?.nodes),
      services: listOf(this.#services, before?.services),
      slices: listOf(this.#slices, before?.slices),
      unlisted: this.#unlisted(),
      unread: this.#unread(),
    };
    this.#last = this.#cached;
    return this.#cached.syncedAtMs === syncedAtMs ? this.#cached : { ...this.#cached, syncedAtMs };
  }

  #unlisted(): UnlistedObjects {
    const slices = this.#slices.flatMap((reflector) => reflector.unlisted());
    return {
      nodes: this.#nodes.unlisted().map(({ name }) => name),
      services: this.#services.flatMap((reflector) => reflector.unlisted().map(factKey)),
      endpoints: [...new Set(slices.map(({ namespace, service }) => `${namespace}/${service}`))],
    };
  }

  #unread(): UnreadNamespaces {
    return { services: unreadOf(this.#services), slices: unreadOf(this.#slices) };
  }

  status(): ClusterStatus {
    return summarise(
      this.inventory(),
      this.#live,
      this.#everyReflector().map((reflector) => reflector.status()),
    );
  }

  setScope(scope: NamespaceScope): void {
    const former = [...this.#services, ...this.#slices];
    this.#services = this.#rescope(serviceKind, this.#services, scope, allFacts(this.#services));
    this.#slices = this.#rescope(endpointSliceKind, this.#slices, scope, allFacts(this.#slices));
    const kept = new Set<Reflector<AnyFact>>([...this.#services, ...this.#slices]);
    const ended = former.filter((reflector) => !kept.has(reflector));
    if (ended.length === 0 && kept.size === former.length) return;
    for (const reflector of ended) this.#end(reflector);
    this.#kept = null;
    this.#contact(true, this.#options.clock.now());
  }

  setSecrets(names: readonly string[]): void {
    const wanted = new Set(names);
    for (const [name, reflector] of this.#secrets) {
      if (wanted.has(name)) continue;
      this.#secrets.delete(name);
      this.#end(reflector);
    }
    for (const name of wanted) {
      if (this.#secrets.has(name)) continue;
      const [namespace = '', object = ''] = name.split('/');
      this.#secrets.set(name, this.#reflect(secretKind, namespace, [], object));
    }
  }

  secret(name: string): SecretFact | 'missing' | undefined {
    const reflector = this.#secrets.get(name);
    if (reflector === undefined) return undefined;
    const [fact] = reflector.facts();
    return fact ?? (reflector.synced ? 'missing' : undefined);
  }

  async close(): Promise<void> {
    this.#credentials.close();
    await Promise.all([...this.#everyReflector().map((reflector) => reflector.close()), ...this.#closings]);
    await this.#api.close();
  }

  #reflectors(): readonly Reflector<AnyFact>[] {
    return [this.#nodes, ...this.#services, ...this.#slices];
  }

  #everyReflector(): readonly Reflector<AnyFact>[] {
    return [...this.#reflectors(), ...this.#secrets.values()];
  }

  #end(reflector: Reflector<AnyFact>): void {
    const closing = reflector.close().finally(() => this.#closings.delete(closing));
    this.#closings.add(closing);
  }

  /** The reflectors for `scope`: those of `current` that fit, and new ones that start with what is known. */
  #rescope<Fact extends ServiceFact | EndpointSliceFact>(
    kind: Kind<Fact>,
    current: readonly Reflector<Fact>[],
    scope: NamespaceScope,
    known: readonly Fact[],
  ): readonly Reflector<Fact>[] {
    const namespaces = scope === 'all' ? [null] : [...new Set(scope)];
    return namespaces.map(
      (namespace) =>
        current.find((reflector) => reflector.namespace === namespace) ??
        this.#reflect(
          kind,
          namespace,
          known.filter((fact) => namespace === null || fact.namespace === namespace),
        ),
    );
  }

  #reflect<Fact extends AnyFact>(
    kind: Kind<Fact>,
    namespace: string | null,
    seed: readonly Fact[],
    name: string | null = null,
  ): Reflector<Fact> {
    const { clock, cluster, log, onCount, random, tuning } = this.#options;
    return createReflector({
      cluster: cluster.name,
      kind,
      namespace,
      fieldSelector: name === null ? null : `metadata.name=${name}`,
      api: this.#api,
      seed,
      clock,
      random,
      log: log.child({
        kind: kind.resource,
        ...(namespace === null ? {} : { namespace }),
        ...(name === null ? {} : { name }),
      }),
      onCount,
      onContact:
        kind.resource === 'secrets'
          ? () => this.#options.onSecrets()
          : (changed, receivedAtMs) => this.#contact(changed, receivedAtMs),
      // An inventory whose nodes are fresh and whose slices wait for a back-off is worse than one that is late.
      onReached: () => {
        for (const reflector of this.#everyReflector()) reflector.retrySoon();
      },
      tuning,
    });
  }

  #contact(changed: boolean, receivedAtMs: number): void {
    const { log, onChange, onConfirmed } = this.#options;
    // A stored heartbeat is no change, but the next reader shall get its resourceVersion.
    this.#cached = null;
    const before = this.#last?.unread;
    const becameLive = !this.#live && this.#complete();
    if (becameLive) {
      this.#live = true;
      log.info({ code: 'inventory-live' }, 'inventory is live');
    }
    if (!this.#live) return;
    // An empty list is no change of facts, but says that there is nothing.
    const readMore = !isDeepStrictEqual(before, this.#unread());
    if (changed || becameLive || readMore) onChange(receivedAtMs);
    else onConfirmed();
  }

  /**
   * Every kind has been listed. A namespace that RBAC refuses does not hold the others back: it keeps what an earlier
   * run knew of it.
   */
  #complete(): boolean {
    return [[this.#nodes], this.#services, this.#slices].every(
      (reflectors) =>
        reflectors.every((reflector) => reflector.settled) &&
        (reflectors.length === 0 || reflectors.some((reflector) => reflector.synced)),
    );
  }

  /** The oldest of the kinds' contacts: the whole inventory is only as fresh as its stalest part. */
  #syncedAtMs(): number {
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const { synced, lastSyncMs } of this.#reflectors()) {
      if (synced) oldestMs = Math.min(oldestMs, lastSyncMs);
    }
    return Number.isFinite(oldestMs) ? oldestMs : 0;
  }
}

function listOf<Fact extends AnyFact>(
  reflectors: readonly Reflector<Fact>[],
  before: readonly Fact[] | undefined,
): readonly Fact[] {
  const list = allFacts(reflectors);
  const isSame = before?.length === list.length && list.every((fact, index) => fact === before[index]);
  return isSame ? before : list;
}

/** Each reads one namespace: the whole cluster is not live before its only reflector has taken a list. */
function unreadOf<Fact extends AnyFact>(reflectors: readonly Reflector<Fact>[]): readonly string[] {
  return reflectors.flatMap((reflector) => {
    const [known] = reflector.facts();
    return reflector.namespace === null || reflector.synced || known !== undefined ? [] : reflector.namespace;
  });
}

function allFacts<Fact extends AnyFact>(reflectors: readonly Reflector<Fact>[]): readonly Fact[] {
  const [only] = reflectors;
  if (only !== undefined && reflectors.length === 1) return [...only.facts()];
  return reflectors.flatMap((reflector) => [...reflector.facts()]);
}
