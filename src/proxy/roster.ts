// A set whose members know their places in it.

/** May be in one roster at a time. */
export interface Placed {
  /** Owned by the roster; -1 outside of one. */
  place: number;
}

/**
 * V8 gives a `Set` of old age a new table among the old objects after as many additions as it has room for, and the table
 * before, which nothing names any more, holds whoever was a member then until the next full collection: each scavenge copies
 * them, and what they hold. With 10,000 connections a second that was all of them. Here a place that is left is written over
 * (docs/decisions/0028-what-has-ended-is-held-by-nothing.md).
 */
export class Roster<T extends Placed> implements Iterable<T> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    if (member.place !== -1) return;
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** False when it was not among them. */
  delete(member: T): boolean {
    const { place } = member;
    if (this.#members[place] !== member) return false;
    const last = this.#members.pop()!;
    if (last !== member) {
      this.#members[place] = last;
      last.place = place;
    }
    member.place = -1;
    return true;
  }

  /** Each that is among them throughout, in no particular order; others may come and go meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    // Whoever leaves gives its place to one that was visited already.
    for (let place = this.#members.length - 1; place >= 0; place -= 1) {
      const member = this.#members[place];
      if (member !== undefined) yield member;
    }
  }
}
