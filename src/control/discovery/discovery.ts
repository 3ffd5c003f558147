// All clusters together: one inventory, coalesced changes, and reloads that leave unchanged clusters alone.

import type { Logger } from 'pino';
import type { ClusterConfig } from '../../model/config.ts';
import type { ClusterInventory, Inventory, SecretFact } from '../../model/inventory.ts';
import type { Clock } from './clock.ts';
import { type ClusterDiscovery, createClusterDiscovery, type NamespaceScope } from './cluster-discovery.ts';
import type { ClusterStatus } from './cluster-status.ts';
import type { OnCount } from './counts.ts';
import type { InventoryStore } from './inventory-store.ts';
import { defaultTuning, type ReflectorTuning } from './reflector-options.ts';

/** Scopes by cluster name. A cluster that is not named has only its nodes read. */
export type Scopes = Readonly<Record<string, NamespaceScope>>;

/** `namespace/name` of the Secrets that are read, by cluster name. */
export type SecretNames = Readonly<Record<string, readonly string[]>>;

export interface DiscoveryOptions {
  readonly clusters: readonly ClusterConfig[];
  readonly scopes: Scopes;
  /** Default none. */
  readonly secrets?: SecretNames;
  /** A Secret may be other than before. */
  readonly onSecrets?: () => void;
  readonly store: InventoryStore;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** The process environment, handed over by the composition root: in-cluster address and exec plugins need it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly serviceAccountDirectory?: string;
  /** Called at most once in `coalesceMs`; `receivedAtMs` is when the earliest cause arrived, epoch milliseconds. */
  readonly onChange: (inventory: Inventory, receivedAtMs: number) => void;
  readonly onCount: OnCount;
  /** How long changes are gathered before `onChange`, milliseconds. Default 20. */
  readonly coalesceMs?: number;
  readonly tuning?: Partial<ReflectorTuning>;
}

export interface Discovery {
  /** What is known now: live, else from disk, else empty with origin `none`. Never waits. */
  inventory(): Inventory;
  status(): readonly ClusterStatus[];
  /** Takes over a reloaded configuration: unchanged clusters keep their watches, others start with what is known. */
  setClusters(clusters: readonly ClusterConfig[], scopes: Scopes, secrets?: SecretNames): void;
  /** A Secret that is read: `missing` when it is known not to be there, undefined while nothing is known. */
  secret(cluster: string, name: string): SecretFact | 'missing' | undefined;
  /** Ends every watch, closes every socket and writes the last inventory. */
  close(): Promise<void>;
}

/** How often an unchanged inventory is written again, so that its age on disk stays true. */
const restampMs = 300_000;

/** Reads the kept inventories at once and starts all reflectors. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  return new AllClusters(options);
}

class AllClusters implements Discovery {
  readonly #options: DiscoveryOptions;
  #clusters = new Map<string, ClusterDiscovery>();
  readonly #closings = new Set<Promise<void>>();
  readonly #savedAtMs = new Map<string, number>();
  #cancelChange: (() => void) | null = null;
  #closed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    for (const cluster of options.clusters) {
      this.#clusters.set(
        cluster.name,
        this.#start(cluster, options.scopes, options.secrets ?? {}, options.store.load(cluster.name)),
      );
    }
  }

  inventory(): Inventory {
    return {
      clusters: Object.fromEntries([...this.#clusters].map(([name, cluster]) => [name, cluster.inventory()])),
    };
  }

  status(): readonly ClusterStatus[] {
    return [...this.#clusters.values()].map((cluster) => cluster.status());
  }

  secret(cluster: string, name: string): SecretFact | 'missing' | undefined {
    return this.#clusters.get(cluster)?.secret(name);
  }

  setClusters(clusters: readonly ClusterConfig[], scopes: Scopes, secrets: SecretNames = {}): void {
    if (this.#closed) return;
    const former = this.#clusters;
    const next = new Map<string, ClusterDiscovery>();
    let changed = false;
    for (const cluster of clusters) {
      const running = former.get(cluster.name);
      if (running !== undefined && sameSource(running.cluster, cluster)) {
        running.setScope(scopeOf(scopes, cluster));
        running.setSecrets(secrets[cluster.name] ?? []);
        next.set(cluster.name, running);
        continue;
      }
      // Another kubeconfig for the same name is most often the same cluster by another way.
      const known = running?.inventory() ?? this.#options.store.load(cluster.name);
      const seed: ClusterInventory | null =
        known === null || known.origin === 'none' ? null : { ...known, origin: 'disk' };
      next.set(cluster.name, this.#start(cluster, scopes, secrets, seed));
      changed = true;
    }
    this.#clusters = next;
    for (const [name, cluster] of former) {
      if (next.get(name) === cluster) continue;
      changed = true;
      const closing = cluster.close().finally(() => this.#closings.delete(closing));
      this.#closings.add(closing);
    }
    if (changed) this.#changed(this.#options.clock.now());
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#cancelChange?.();
      this.#cancelChange = null;
      for (const [name, cluster] of this.#clusters) {
        // Whatever is live is the best there is for the next start, and its age is known to the second.
        if (cluster.status().live) this.#save(name, cluster);
      }
    }
    await Promise.all([...[...this.#clusters.values()].map((cluster) => cluster.close()), ...this.#closings]);
    await this.#options.store.flush();
  }

  #start(
    cluster: ClusterConfig,
    scopes: Scopes,
    secrets: SecretNames,
    seed: ClusterInventory | null,
  ): ClusterDiscovery {
    const { clock, environment, log, onCount, random, serviceAccountDirectory, tuning } = this.#options;
    const discovery = createClusterDiscovery({
      cluster,
      scope: scopeOf(scopes, cluster),
      secrets: secrets[cluster.name] ?? [],
      onSecrets: () => this.#options.onSecrets?.(),
      seed,
      clock,
      random,
      log: log.child({ cluster: cluster.name }),
      environment,
      ...(serviceAccountDirectory === undefined ? {} : { serviceAccountDirectory }),
      tuning: { ...defaultTuning, ...tuning },
      onCount,
      onChange: (receivedAtMs) => {
        this.#save(cluster.name, discovery);
        this.#changed(receivedAtMs);
      },
      onConfirmed: () => {
        const ageMs = clock.now() - (this.#savedAtMs.get(cluster.name) ?? 0);
        if (ageMs < 0 || ageMs >= restampMs) this.#save(cluster.name, discovery);
      },
    });
    return discovery;
  }

  #save(name: string, cluster: ClusterDiscovery): void {
    this.#savedAtMs.set(name, this.#options.clock.now());
    this.#options.store.save(name, () => cluster.inventory());
  }

  /** The first cause starts the wait and later ones join it: a storm cannot put the change off for ever. */
  #changed(receivedAtMs: number): void {
    if (this.#closed || this.#cancelChange !== null) return;
    const { clock, coalesceMs, log, onChange } = this.#options;
    this.#cancelChange = clock.after(coalesceMs ?? 20, () => {
      this.#cancelChange = null;
      try {
        onChange(this.inventory(), receivedAtMs);
      } catch (error) {
        // The consumer's fault must not end the process from a timer; the next change calls it again.
        log.error({ code: 'inventory-consumer-failed', err: error }, 'inventory could not be taken over');
      }
    });
  }
}

function scopeOf(scopes: Scopes, cluster: ClusterConfig): NamespaceScope {
  return scopes[cluster.name] ?? [];
}

/** Selection and probing are applied when targets are derived: only where the API is makes another cluster of it. */
function sameSource(left: ClusterConfig, right: ClusterConfig): boolean {
  return (
    left.inCluster === right.inCluster &&
    left.kubeconfig?.path === right.kubeconfig?.path &&
    left.kubeconfig?.context === right.kubeconfig?.context
  );
}
