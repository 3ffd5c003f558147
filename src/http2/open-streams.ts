// The open streams of a connection, by their ids.

export interface Identified {
  readonly id: number;
}

/** A power of two. */
const SLOTS = 16;

/**
 * A hash table with linear probing that never has more than half of its slots in use. V8 gives a `Map` a new table after as many
 * additions as it has room for, once it is old among the old objects, where it holds what the table held until the next full
 * collection (see `Roster` of the proxy); ids that grow by two each fill these slots one after the other.
 */
export class OpenStreams<S extends Identified> implements Iterable<S> {
  size = 0;
  #slots: (S | null)[] = emptySlots(SLOTS);
  #mask = SLOTS - 1;

  get(id: number): S | undefined {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = (id >>> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at]!;
      if (stream === null) return undefined;
      if (stream.id === id) return stream;
    }
  }

  /** None of its id may be there. */
  add(stream: S): void {
    if ((this.size + 1) * 2 > this.#slots.length) this.#grow();
    this.#place(stream);
    this.size++;
  }

  /** False when there was none of that id. */
  delete(id: number): boolean {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = (id >>> 1) & mask;
    for (; slots[hole]?.id !== id; hole = (hole + 1) & mask) if (slots[hole] === null) return false;
    // What would not be found any more behind the hole moves into it.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at]!;
      if (stream === null) break;
      const fromHome = (at - (stream.id >>> 1)) & mask;
      if (fromHome < ((at - hole) & mask)) continue;
      slots[hole] = stream;
      hole = at;
    }
    slots[hole] = null;
    this.size--;
    return true;
  }

  /** Each that is there at the beginning and when its turn comes. */
  *[Symbol.iterator](): Generator<S> {
    for (const stream of this.#slots.slice())
      if (stream !== null && this.get(stream.id) === stream) yield stream;
  }

  #place(stream: S): void {
    let at = (stream.id >>> 1) & this.#mask;
    while (this.#slots[at] !== null) at = (at + 1) & this.#mask;
    this.#slots[at] = stream;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = emptySlots(before.length * 2);
    this.#mask = this.#slots.length - 1;
    for (const stream of before) if (stream !== null) this.#place(stream);
  }
}

function emptySlots(length: number): null[] {
  const slots: null[] = [];
  for (let at = 0; at < length; at++) slots.push(null);
  return slots;
}
