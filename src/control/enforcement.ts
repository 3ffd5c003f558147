// Puts a loaded configuration in force: every part that follows it takes it, in the order that the next snapshot needs.

import type { ControllerToSupervisor } from '../model/messages.ts';
import type { Loaded } from './configuration.ts';
import type { DrainKeeper } from './drain-keeper.ts';
import type { Handover } from './handover.ts';
import type { InventoryFeed } from './inventory-feed.ts';
import type { Publisher } from './publisher.ts';
import type { TargetEngine } from './targets/target-engine.ts';
import type { Keyring } from './tls/keyring.ts';

export interface EnforcementOptions {
  readonly keyring: Keyring;
  readonly handover: Handover;
  readonly publisher: Publisher;
  readonly drains: DrainKeeper;
  readonly engine: TargetEngine;
  readonly feed: InventoryFeed;
  readonly setLogLevel: (level: string) => void;
  readonly send: (message: ControllerToSupervisor) => void;
}

export class Enforcement {
  readonly #options: EnforcementOptions;
  #loaded: Loaded | null = null;

  constructor(options: EnforcementOptions) {
    this.#options = options;
  }

  /** Discovery and targets follow the configuration, and with them the next snapshot, whose version is returned. */
  force(loaded: Loaded): number {
    const { keyring, publisher, drains, engine, feed, setLogLevel, send } = this.#options;
    const { config } = loaded;
    this.#loaded = loaded;
    keyring.follow(loaded);
    this.#keep();
    setLogLevel(config.log.level);
    send({ kind: 'settings', workers: config.workers });
    const renewed = publisher.setSecrets(keyring.secrets);
    const before = engine.snapshot();
    drains.takeDirectory(config.stateDirectory);
    engine.setConfig(config);
    feed.follow(config);
    engine.flush();
    const snapshot = engine.snapshot();
    // New certificates for a snapshot that is otherwise the same.
    if (renewed && snapshot !== null && snapshot === before) publisher.publish(snapshot);
    return snapshot?.version ?? 0;
  }

  /** Something in the keyring has changed: the workers get it with the snapshot that they have. */
  renewSecrets(): void {
    const { keyring, publisher, engine } = this.#options;
    const snapshot = engine.snapshot();
    this.#keep();
    if (publisher.setSecrets(keyring.secrets) && snapshot !== null) publisher.publish(snapshot);
  }

  /** For the next controller. */
  #keep(): void {
    if (this.#loaded === null) return;
    const { handover, keyring } = this.#options;
    handover.keepConfiguration({ config: this.#loaded.config, ...keyring.kept });
  }
}
