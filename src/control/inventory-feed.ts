// What the clusters say, on its way to the targets: discovery of those that the configuration names.

import type { Config } from '../model/config.ts';
import type { Inventory } from '../model/inventory.ts';
import type { ClusterStatus } from './discovery/cluster-status.ts';
import { createDiscovery, type Discovery, type DiscoveryOptions } from './discovery/discovery.ts';
import { createInventoryStore, type InventoryStore } from './discovery/inventory-store.ts';
import { scopesOf, secretsOf } from './scopes.ts';

export interface InventoryFeedOptions
  extends Pick<DiscoveryOptions, 'clock' | 'random' | 'log' | 'environment' | 'onCount'> {
  /** Workers serve already: an inventory from disk is older than what they have. */
  readonly serving: boolean;
  /** A Secret may be other than before. */
  readonly onSecrets: () => void;
  /** The inventory that targets are derived from, and when its cause came, epoch milliseconds; 0 when nothing did. */
  readonly onInventory: (inventory: Inventory, receivedAtMs: number) => void;
}

/** How long the workers' snapshot is preferred to an inventory from disk. */
const AWAIT_LIVE_MS = 3000;

export class InventoryFeed {
  readonly #options: InventoryFeedOptions;
  #discovery: Discovery | null = null;
  #store: InventoryStore | null = null;
  #awaitsLive: boolean;

  constructor(options: InventoryFeedOptions) {
    this.#options = options;
    this.#awaitsLive = options.serving;
    if (!options.serving) return;
    options.clock.after(AWAIT_LIVE_MS, () => {
      this.#awaitsLive = false;
      if (this.#discovery !== null) this.#take(this.#discovery.inventory(), 0);
    });
  }

  /** Reads the clusters of the configuration, and hands on what is known of them now. */
  follow(config: Config): void {
    this.#store?.moveTo(config.stateDirectory);
    if (this.#discovery === null) this.#discovery = this.#start(config);
    else this.#discovery.setClusters(config.clusters, scopesOf(config), secretsOf(config));
    this.#take(this.#discovery.inventory(), 0);
  }

  /** A Secret that is read; `name` is `namespace/name`. */
  secret(cluster: string, name: string): ReturnType<Discovery['secret']> {
    return this.#discovery?.secret(cluster, name);
  }

  status(): readonly ClusterStatus[] {
    return this.#discovery?.status() ?? [];
  }

  async close(): Promise<void> {
    await this.#discovery?.close();
  }

  #start(config: Config): Discovery {
    const { clock, random, log, environment, onCount, onSecrets } = this.#options;
    this.#store = createInventoryStore({ directory: config.stateDirectory, clock, log, onCount });
    return createDiscovery({
      clusters: config.clusters,
      scopes: scopesOf(config),
      secrets: secretsOf(config),
      onSecrets,
      store: this.#store,
      clock,
      random,
      log,
      environment,
      onChange: (inventory, receivedAtMs) => this.#take(inventory, receivedAtMs),
      onCount,
    });
  }

  /** Workers that serve are not set back to what lies on disk while the live lists are a moment away. */
  #take(inventory: Inventory, receivedAtMs: number): void {
    if (this.#awaitsLive) {
      if (Object.values(inventory.clusters).some(({ origin }) => origin !== 'live')) return;
      this.#awaitsLive = false;
    }
    this.#options.onInventory(inventory, receivedAtMs);
  }
}
