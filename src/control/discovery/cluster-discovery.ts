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
import { ReflectorSet } from './reflector-set.ts';

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
  readonly #nodes: ReflectorSet<null, NodeFact>;
  readonly #services: ReflectorSet<string | null, ServiceFact>;
  readonly #slices: ReflectorSet<string | null, EndpointSliceFact>;
  /** By `namespace/name`. Their facts are never part of the inventory, which is kept on disk. */
  readonly #secrets: ReflectorSet<string, SecretFact>;
  #live = false;
  /** What an earlier run has left, while it is served. */
  #kept: ClusterInventory | null = null;
  /** Built when asked for, from facts that have changed since. */
  #cached: ClusterInventory | null = null;
  /** The last one built: what has been read since is news. */
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
    this.#nodes = new ReflectorSet((_, known) => this.#reflect(nodeKind, null, known));
    this.#services = new ReflectorSet((namespace, known) =>
      this.#reflect(serviceKind, namespace, within(namespace, known)),
    );
    this.#slices = new ReflectorSet((namespace, known) =>
      this.#reflect(endpointSliceKind, namespace, within(namespace, known)),
    );
    this.#secrets = new ReflectorSet((key) => {
      const [namespace = '', name = ''] = key.split('/');
      return this.#reflect(secretKind, namespace, [], name);
    });
    this.#nodes.follow([null], seed?.nodes ?? []);
    this.#services.follow(namespacesOf(scope), seed?.services ?? []);
    this.#slices.follow(namespacesOf(scope), seed?.slices ?? []);
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
    this.#cached ??= {
      cluster: cluster.name,
      origin: 'live' satisfies InventoryOrigin,
      syncedAtMs,
      nodes: this.#nodes.list(),
      services: this.#services.list(),
      slices: this.#slices.list(),
      unlisted: this.#unlisted(),
      unread: this.#unread(),
    };
    this.#last = this.#cached;
    return this.#cached.syncedAtMs === syncedAtMs ? this.#cached : { ...this.#cached, syncedAtMs };
  }

  #unlisted(): UnlistedObjects {
    return {
      nodes: this.#nodes.unlisted().map(({ name }) => name),
      services: this.#services.unlisted().map(factKey),
      endpoints: [
        ...new Set(this.#slices.unlisted().map(({ namespace, service }) => `${namespace}/${service}`)),
      ],
    };
  }

  #unread(): UnreadNamespaces {
    return { services: this.#services.unread(), slices: this.#slices.unread() };
  }

  status(): ClusterStatus {
    return summarise(
      this.inventory(),
      this.#live,
      this.#everyReflector().map((reflector) => reflector.status()),
    );
  }

  setScope(scope: NamespaceScope): void {
    const namespaces = namespacesOf(scope);
    const otherServices = this.#services.follow(namespaces);
    const otherSlices = this.#slices.follow(namespaces);
    if (!otherServices && !otherSlices) return;
    this.#kept = null;
    this.#contact(true, this.#options.clock.now());
  }

  setSecrets(names: readonly string[]): void {
    this.#secrets.follow(names);
  }

  secret(name: string): SecretFact | 'missing' | undefined {
    const reflector = this.#secrets.get(name);
    if (reflector === undefined) return undefined;
    const [fact] = reflector.facts();
    return fact ?? (reflector.synced ? 'missing' : undefined);
  }

  async close(): Promise<void> {
    this.#credentials.close();
    await Promise.all([this.#nodes, this.#services, this.#slices, this.#secrets].map((set) => set.close()));
    await this.#api.close();
  }

  #reflectors(): readonly Reflector<AnyFact>[] {
    return [...this.#nodes.all(), ...this.#services.all(), ...this.#slices.all()];
  }

  #everyReflector(): readonly Reflector<AnyFact>[] {
    return [...this.#reflectors(), ...this.#secrets.all()];
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
    const becameLive =
      !this.#live && this.#nodes.complete && this.#services.complete && this.#slices.complete;
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

  /** The oldest of the kinds' contacts: the whole inventory is only as fresh as its stalest part. */
  #syncedAtMs(): number {
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const { synced, lastSyncMs } of this.#reflectors()) {
      if (synced) oldestMs = Math.min(oldestMs, lastSyncMs);
    }
    return Number.isFinite(oldestMs) ? oldestMs : 0;
  }
}

/** Null stands for the whole cluster. */
function namespacesOf(scope: NamespaceScope): readonly (string | null)[] {
  return scope === 'all' ? [null] : scope;
}

function within<Fact extends ServiceFact | EndpointSliceFact>(
  namespace: string | null,
  facts: readonly Fact[],
): readonly Fact[] {
  return facts.filter((fact) => namespace === null || fact.namespace === namespace);
}
