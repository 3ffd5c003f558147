// Look-ups take turns: names whose server is silent hold up no others.

import type { LookupAddress } from 'node:dns';

/** `known`: its last look-up went well. `new`: it has had none. `failing`: its last one failed. */
export type Standing = 'known' | 'new' | 'failing';

/**
 * libuv lets half of its threads (`UV_THREADPOOL_SIZE`) wait for getaddrinfo, which a silent name server may keep for ten
 * seconds or more each: those beyond would wait where nobody chooses among them.
 */
export const LOOKUPS_AT_ONCE = 32;
/** Of names that may not exist, so that those that do are never behind them alone. */
const UNPROVEN_AT_ONCE = LOOKUPS_AT_ONCE / 2;

export type Resolve = (name: string) => Promise<readonly LookupAddress[]>;

export class LookupTurns {
  readonly #resolve: Resolve;
  /** Who waits for a turn, by standing: those that come first go first. */
  readonly #waiting: Readonly<Record<Standing, Set<() => void>>> = {
    known: new Set(),
    new: new Set(),
    failing: new Set(),
  };
  #running = 0;
  #unproven = 0;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** As the resolver answers, once it is this name's turn. */
  async lookup(name: string, standing: Standing): Promise<readonly LookupAddress[]> {
    const unproven = standing === 'known' ? 0 : 1;
    if (!this.#isFree(unproven)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting[standing].add(resolve);
      await promise;
    } else this.#take(unproven);
    try {
      return await this.#resolve(name);
    } finally {
      this.#running -= 1;
      this.#unproven -= unproven;
      this.#callNext();
    }
  }

  #isFree(unproven: number): boolean {
    return this.#running < LOOKUPS_AT_ONCE && this.#unproven + unproven <= UNPROVEN_AT_ONCE;
  }

  #take(unproven: number): void {
    this.#running += 1;
    this.#unproven += unproven;
  }

  /** The turn is taken here, before the one that waits runs: others may come in between. */
  #callNext(): void {
    for (const [standing, unproven] of [
      ['known', 0],
      ['new', 1],
      ['failing', 1],
    ] as const) {
      for (const go of this.#waiting[standing]) {
        if (!this.#isFree(unproven)) break;
        this.#waiting[standing].delete(go);
        this.#take(unproven);
        go();
      }
    }
  }
}
