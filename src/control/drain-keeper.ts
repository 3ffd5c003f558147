// Keeps drains over every restart: with the supervisor while it lives, and in the state directory.

import type { Clock } from './discovery/clock.ts';
import type { DrainStore } from './drain-store.ts';
import type { Drain } from './targets/drains.ts';
import type { TargetEngine } from './targets/engine-contract.ts';

export interface DrainKeeperOptions {
  readonly engine: TargetEngine;
  readonly store: Pick<DrainStore, 'load' | 'save'>;
  readonly after: Clock['after'];
  /** Hands what is drained to the supervisor. */
  readonly retain: () => void;
}

/** From a write that failed to the next: nobody may drain anything for days. */
const RETRY_MS = 10_000;

export class DrainKeeper {
  readonly #options: DrainKeeperOptions;
  /** An earlier controller of the same supervisor has told it what is drained. */
  #isSuccessor = false;
  /** Undefined before the first configuration. */
  #directory: string | null | undefined = undefined;
  #cancelRetry: () => void = () => {};

  constructor(options: DrainKeeperOptions) {
    this.#options = options;
  }

  /** What is drained, for the next controller; null while neither the one before nor the disk has told. */
  get retained(): readonly Drain[] | null {
    const isKnown = this.#isSuccessor || this.#directory !== undefined;
    return isKnown ? this.#options.engine.drains() : null;
  }

  /** What the supervisor kept is newer than what lies on disk. */
  restore(drains: readonly Drain[]): void {
    this.#isSuccessor = true;
    this.#options.engine.restoreDrains(drains);
  }

  /** What was drained before a full stop still is; another directory gets what is drained now. */
  takeDirectory(directory: string | null): void {
    if (directory === this.#directory) return;
    const isFirst = this.#directory === undefined;
    this.#directory = directory;
    const { engine, store } = this.#options;
    if (isFirst && !this.#isSuccessor) engine.restoreDrains(store.load(directory));
    else void this.keep();
  }

  /** Tells the supervisor at once, and the disk; resolves with whether the disk has it. */
  async keep(): Promise<boolean> {
    const { engine, store, retain, after } = this.#options;
    retain();
    this.#cancelRetry();
    const directory = this.#directory ?? null;
    const kept = await store.save(directory, engine.drains());
    this.#cancelRetry();
    if (!kept && directory !== null) this.#cancelRetry = after(RETRY_MS, () => void this.keep());
    return kept;
  }
}
