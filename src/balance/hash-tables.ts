// Keeps hash tables from one picker to the next, since most snapshots change health and not members.

import { MaglevTable } from './maglev.ts';
import { RendezvousTable } from './rendezvous.ts';
import { RingTable } from './ring-hash.ts';
import type { TableInput } from './table-input.ts';

/** Tables looked at for one whose rows can be taken over. */
const RECENT = 8;

/** Dead entries are removed once the map has grown by this many since the last time. */
const SWEEP_AFTER = 64;

/** A table lives as long as a picker uses it: it is held weakly here, so the cache needs no bound of its own. */
class WeakCache<T extends object> {
  readonly #tables = new Map<string, WeakRef<T>>();
  #sweepAt = SWEEP_AFTER;

  get(id: string, make: () => T): T {
    const known = this.#tables.get(id)?.deref();
    // Entered anew, so that the map stays in the order of use.
    this.#tables.delete(id);
    const table = known ?? make();
    this.#tables.set(id, new WeakRef(table));
    if (this.#tables.size >= this.#sweepAt) this.#sweep();
    return table;
  }

  /** The live tables used last, newest first. */
  recent(): T[] {
    return Array.from(this.#tables.values())
      .slice(-RECENT)
      .reverse()
      .map((reference) => reference.deref())
      .filter((table) => table !== undefined);
  }

  #sweep(): void {
    for (const [id, reference] of this.#tables) if (reference.deref() === undefined) this.#tables.delete(id);
    this.#sweepAt = this.#tables.size + SWEEP_AFTER;
  }
}

/**
 * One for each worker, handed to every picker that it builds. Tables are functions of members, weights and
 * parameters alone, so pools with the same input share one (rendezvous: all pools on the same addresses, whatever
 * their ports), and who shares with whom has no effect but on cost.
 */
export class HashTables {
  readonly #rendezvous = new WeakCache<RendezvousTable>();
  readonly #maglev = new WeakCache<MaglevTable>();
  readonly #ring = new WeakCache<RingTable>();

  rendezvous(input: TableInput): RendezvousTable {
    return this.#rendezvous.get(input.id, () => new RendezvousTable(input, this.#nearest(input)));
  }

  maglev(input: TableInput, size: number): MaglevTable {
    return this.#maglev.get(`${size} ${input.id}`, () => new MaglevTable(input, size));
  }

  ringHash(input: TableInput, pointsPerWeight: number): RingTable {
    return this.#ring.get(`${pointsPerWeight} ${input.id}`, () => new RingTable(input, pointsPerWeight));
  }

  /** The recent table with the fewest members more or less; it decides itself whether its rows are of use. */
  #nearest({ keys, id }: TableInput): RendezvousTable | null {
    const names = new Set(id.split(' '));
    let nearest: RendezvousTable | null = null;
    let fewest = keys.length;
    for (const table of this.#rendezvous.recent()) {
      const others = table.input.id.split(' ');
      const shared = others.reduce((count, name) => count + (names.has(name) ? 1 : 0), 0);
      const different = others.length + names.size - 2 * shared;
      if (different >= fewest) continue;
      nearest = table;
      fewest = different;
    }
    return nearest;
  }
}
