// Owns which nodes and clusters operators drain; in memory.

/** Drains by cluster; node null is the whole cluster. */
export class OperatorDrains {
  readonly #nodes = new Map<string, Set<string>>();
  readonly #all = new Set<string>();

  nodesOf(cluster: string): ReadonlySet<string> {
    return new Set(this.#nodes.get(cluster));
  }

  hasAll(cluster: string): boolean {
    return this.#all.has(cluster);
  }

  /** Returns false when it was drained already. */
  add(cluster: string, node: string | null): boolean {
    if (node === null) {
      if (this.#all.has(cluster)) return false;
      this.#all.add(cluster);
      return true;
    }
    const nodes = this.#nodes.get(cluster) ?? new Set();
    if (nodes.has(node)) return false;
    this.#nodes.set(cluster, nodes.add(node));
    return true;
  }

  /** Returns false when it was not drained. Undraining a cluster keeps the drains of its single nodes. */
  remove(cluster: string, node: string | null): boolean {
    if (node === null) return this.#all.delete(cluster);
    return this.#nodes.get(cluster)?.delete(node) ?? false;
  }

  /** Sorted by cluster and node, whole clusters first. */
  list(): readonly { readonly cluster: string; readonly node: string | null }[] {
    const all = [...this.#all].sort().map((cluster) => ({ cluster, node: null }));
    const single = [...this.#nodes]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([cluster, nodes]) => [...nodes].sort().map((node) => ({ cluster, node })));
    return [...all, ...single];
  }
}
