// Owns a queue ordered by time: a binary heap, first in first out among equals.

interface Slot<T> {
  readonly dueMs: number;
  readonly order: number;
  readonly item: T;
}

/** Push and pop cost O(log n); an item that is no longer wanted is dropped by its owner when it comes out. */
export class DueQueue<T> {
  readonly #heap: Slot<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the next item is due; infinity when there is none. */
  get nextDueMs(): number {
    return this.#heap[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  push(item: T, dueMs: number): void {
    const heap = this.#heap;
    const slot = { dueMs, order: this.#order++, item };
    let index = heap.length;
    heap.push(slot);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(slot, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = slot;
  }

  /** The earliest item if it is due at `nowMs`. */
  popDue(nowMs: number): T | undefined {
    const heap = this.#heap;
    const top = heap[0];
    if (top === undefined || top.dueMs > nowMs) return undefined;
    const last = heap.pop()!;
    if (heap.length > 0) this.#sink(last);
    return top.item;
  }

  #sink(slot: Slot<T>): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, slot)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = slot;
  }
}

function before<T>(a: Slot<T>, b: Slot<T>): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
