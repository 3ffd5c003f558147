// Owns the targets of a table in their order, found by identity; a table in which only some have changed shares where they stand.

import type { TargetEntry } from './target-table.ts';

/** Immutable. Two with the same `places` have the same identities in the same order: what differs is found by place. */
export class TargetEntries {
  readonly list: readonly TargetEntry[];
  /** Identity -> index in `list`. */
  readonly places: ReadonlyMap<string, number>;

  private constructor(list: readonly TargetEntry[], places: ReadonlyMap<string, number>) {
    this.list = list;
    this.places = places;
  }

  /** @param before shares its places where the identities stand as they did */
  static of(list: readonly TargetEntry[], before: TargetEntries | null = null): TargetEntries {
    const isSame =
      before !== null &&
      before.list.length === list.length &&
      list.every(({ identity }, place) => before.list[place]!.identity === identity);
    return new TargetEntries(
      list,
      isSame ? before.places : new Map(list.map(({ identity }, place) => [identity, place])),
    );
  }

  /** These in place of others, of the same identities. */
  with(list: readonly TargetEntry[]): TargetEntries {
    return new TargetEntries(list, this.places);
  }

  get size(): number {
    return this.list.length;
  }

  get(identity: string): TargetEntry | undefined {
    const place = this.places.get(identity);
    return place === undefined ? undefined : this.list[place];
  }

  has(identity: string): boolean {
    return this.places.has(identity);
  }
}
