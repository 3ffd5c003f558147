// The objects of one kind and scope, by key: takes whole lists and single changes, and says what really changed.

import { isDeepStrictEqual } from 'node:util';
import type { AnyFact } from './kinds.ts';

/** Numbers of objects by what happened to them. */
export interface Diff {
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

/** How long an absence that was not announced is told of. Longer than the removal guard doubts it. */
const UNLISTED_MS = 900_000;

/** Maps iterate in the order of insertion, so an unchanged set always lists its objects in the same order. */
export class ObjectSet<Fact extends AnyFact> {
  #facts: Map<string, Fact>;
  /** What a list left out, and when, by key. */
  readonly #unlisted = new Map<string, { readonly fact: Fact; readonly atMs: number }>();

  constructor(seed: Iterable<Fact>) {
    this.#facts = new Map([...seed].map((fact) => [factKey(fact), fact]));
  }

  get size(): number {
    return this.#facts.size;
  }

  get(key: string): Fact | undefined {
    return this.#facts.get(key);
  }

  values(): Iterable<Fact> {
    return this.#facts.values();
  }

  /** Facts that vanished by a list, not by an event. */
  unlisted(): Fact[] {
    return [...this.#unlisted.values()].map(({ fact }) => fact);
  }

  /**
   * Replaces everything at once and takes `next` over. A new resourceVersion alone (a heartbeat) is stored but is no
   * change.
   */
  replace(next: Map<string, Fact>, nowMs: number): Diff {
    const former = this.#facts;
    let added = 0;
    let changed = 0;
    let removed = 0;
    for (const [key, fact] of next) {
      const old = former.get(key);
      if (old === undefined) added += 1;
      else if (!sameFact(old, fact)) changed += 1;
    }
    for (const [key, { atMs }] of this.#unlisted) {
      if (next.has(key) || nowMs - atMs >= UNLISTED_MS) this.#unlisted.delete(key);
    }
    for (const [key, fact] of former) {
      if (next.has(key)) continue;
      removed += 1;
      this.#unlisted.set(key, { fact, atMs: nowMs });
    }
    this.#facts = next;
    return { added, changed, removed };
  }

  /** Stores one object; true when it is new or really differs. */
  put(key: string, fact: Fact): boolean {
    const old = this.#facts.get(key);
    this.#facts.set(key, fact);
    this.#unlisted.delete(key);
    return old === undefined || !sameFact(old, fact);
  }

  /** Removes one object whose end was announced; true when it was there, or was missed in a list. */
  remove(key: string): boolean {
    const wasDoubted = this.#unlisted.delete(key);
    return this.#facts.delete(key) || wasDoubted;
  }
}

/** The key of a fact, the same that `objectKey` gives for the raw object. */
export function factKey(fact: AnyFact): string {
  return 'namespace' in fact ? `${fact.namespace}/${fact.name}` : fact.name;
}

/**
 * Equal in every field but the resourceVersion. An equal resourceVersion proves nothing: after an etcd restore the
 * numbers are given out a second time.
 */
export function sameFact(left: AnyFact, right: AnyFact): boolean {
  return isDeepStrictEqual({ ...left, resourceVersion: '' }, { ...right, resourceVersion: '' });
}
