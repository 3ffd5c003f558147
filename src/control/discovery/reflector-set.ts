// The reflectors of one kind in a cluster: one for each namespace or object that is read, or a single one for everything.

import type { AnyFact } from './kinds.ts';
import type { Reflector } from './reflector-options.ts';

/** Starts a reflector with what is known of the kind; it takes its own part of that. */
export type StartReflector<Key, Fact extends AnyFact> = (key: Key, known: readonly Fact[]) => Reflector<Fact>;

/** A key says what a reflector reads: a namespace, or null for the whole cluster, or one object by its name. */
export class ReflectorSet<Key, Fact extends AnyFact> {
  readonly #start: StartReflector<Key, Fact>;
  #reflectors: ReadonlyMap<Key, Reflector<Fact>> = new Map();
  readonly #closings = new Set<Promise<void>>();
  /** The last one that `list` has returned. */
  #listed: readonly Fact[] = [];

  constructor(start: StartReflector<Key, Fact>) {
    this.#start = start;
  }

  /**
   * Keeps the reflectors of `keys` that are there, starts those that are not, and closes all others.
   * @param known what those that are started begin with
   * @returns whether one was started or closed
   */
  follow(keys: Iterable<Key>, known: readonly Fact[] = this.#facts()): boolean {
    const former = this.#reflectors;
    const next = new Map<Key, Reflector<Fact>>();
    for (const key of keys) {
      if (!next.has(key)) next.set(key, former.get(key) ?? this.#start(key, known));
    }
    const ended = [...former].filter(([key]) => !next.has(key));
    this.#reflectors = next;
    for (const [, reflector] of ended) this.#end(reflector);
    return ended.length > 0 || next.size > former.size;
  }

  get(key: Key): Reflector<Fact> | undefined {
    return this.#reflectors.get(key);
  }

  all(): Iterable<Reflector<Fact>> {
    return this.#reflectors.values();
  }

  /**
   * Every one has been listed. A namespace that RBAC refuses does not hold the others back: it keeps what an earlier
   * run knew of it.
   */
  get complete(): boolean {
    const reflectors = [...this.all()];
    return (
      reflectors.every((reflector) => reflector.settled) &&
      (reflectors.length === 0 || reflectors.some((reflector) => reflector.synced))
    );
  }

  /** The facts of all, in the order of the keys: the same object as before when none of them has changed. */
  list(): readonly Fact[] {
    const before = this.#listed;
    const list = this.#facts();
    const isSame = before.length === list.length && list.every((fact, index) => fact === before[index]);
    if (!isSame) this.#listed = list;
    return this.#listed;
  }

  /** What the last lists left out with no word of its deletion; see `UnlistedObjects`. */
  unlisted(): readonly Fact[] {
    return [...this.all()].flatMap((reflector) => reflector.unlisted());
  }

  /** Namespaces of which nothing is known: the whole cluster is not live before its only reflector has taken a list. */
  unread(): readonly string[] {
    return [...this.all()].flatMap((reflector) => {
      const [known] = reflector.facts();
      return reflector.namespace === null || reflector.synced || known !== undefined
        ? []
        : reflector.namespace;
    });
  }

  /** Closes all, and resolves when those have ended as well that were closed before. */
  async close(): Promise<void> {
    await Promise.all([...[...this.all()].map((reflector) => reflector.close()), ...this.#closings]);
  }

  #end(reflector: Reflector<Fact>): void {
    const closing = reflector.close().finally(() => this.#closings.delete(closing));
    this.#closings.add(closing);
  }

  #facts(): readonly Fact[] {
    const [only, another] = this.all();
    if (only !== undefined && another === undefined) return [...only.facts()];
    return [...this.all()].flatMap((reflector) => [...reflector.facts()]);
  }
}
