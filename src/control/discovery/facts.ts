// The facts of one kind and scope: reads lists and events into them, and keeps the former version of a bad object.

import type { Logger } from 'pino';
import type { OnCount } from './counts.ts';
import type { AnyFact, Kind } from './kinds.ts';
import type { ObjectList } from './list.ts';
import { type Diff, ObjectSet } from './object-set.ts';
import type { WatchEvent } from './watch.ts';

export interface FactsOptions<Fact extends AnyFact> {
  readonly cluster: string;
  readonly kind: Kind<Fact>;
  readonly seed: Iterable<Fact>;
  readonly log: Logger;
  readonly onCount: OnCount;
}

export type ObjectEvent = Exclude<WatchEvent, { readonly type: 'BOOKMARK' }>;

/** Bad objects that are logged as warnings; those after them are counted and logged at debug level. */
const badObjectWarnings = 10;

export class Facts<Fact extends AnyFact> {
  readonly #options: FactsOptions<Fact>;
  readonly #objects: ObjectSet<Fact>;
  #badObjects = 0;

  constructor(options: FactsOptions<Fact>) {
    this.#options = options;
    this.#objects = new ObjectSet(options.seed);
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Objects that were ignored for a bad field. */
  get badObjects(): number {
    return this.#badObjects;
  }

  values(): Iterable<Fact> {
    return this.#objects.values();
  }

  /** Facts that vanished by a list, not by an event. */
  unlisted(): readonly Fact[] {
    return this.#objects.unlisted();
  }

  /** What the facts would be after this list. A bad object that never had a good version stays unknown. */
  read(list: ObjectList): Map<string, Fact> {
    const next = new Map<string, Fact>();
    for (const [key, projection] of list.objects) {
      // The list was made with this kind.
      if (projection.kind === 'fact') next.set(key, projection.fact as Fact);
      if (projection.kind !== 'bad') continue;
      this.#countBadObject(projection.field, key);
      const former = this.#objects.get(key);
      if (former !== undefined) next.set(key, former);
    }
    return next;
  }

  /** Takes over what `read` returned. */
  replace(next: Map<string, Fact>, nowMs: number): Diff {
    return this.#objects.replace(next, nowMs);
  }

  /** True when a fact was added, removed or really altered. */
  apply(event: ObjectEvent): boolean {
    if (event.type === 'DELETED') return this.#remove(event);
    const projection = this.#options.kind.project(event.object);
    switch (projection.kind) {
      case 'fact':
        return this.#objects.put(event.key, projection.fact);
      case 'skip':
        return this.#objects.remove(event.key);
      case 'bad':
        this.#countBadObject(projection.field, event.key);
        return false;
    }
  }

  #remove(event: ObjectEvent): boolean {
    const known = this.#objects.get(event.key);
    const metadata = event.object['metadata'] as { readonly uid: string };
    if (known !== undefined && known.uid !== metadata.uid) {
      // The end of an object that another of the same name has followed already.
      this.#countBadObject('metadata.uid', event.key);
      return false;
    }
    return this.#objects.remove(event.key);
  }

  #countBadObject(field: string, object: string): void {
    const { cluster, kind, log, onCount } = this.#options;
    this.#badObjects += 1;
    onCount('bad-object', { cluster, kind: kind.resource, field });
    const level = this.#badObjects <= badObjectWarnings ? 'warn' : 'debug';
    log[level]({ code: 'bad-object', field, object }, 'object ignored, its former version is kept');
  }
}
