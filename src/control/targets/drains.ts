// Owns which nodes and clusters operators drain.

export interface Drain {
  readonly cluster: string;
  /** Null is the whole cluster. */
  readonly node: string | null;
  /** Of the Node object when the drain began: another machine of the same name is not drained. Null for a cluster. */
  readonly uid: string | null;
  /** Epoch milliseconds. */
  readonly sinceMs: number;
}

export class OperatorDrains {
  readonly #drains = new Map<string, Drain>();

  nodesOf(cluster: string): ReadonlySet<string> {
    const nodes = new Set<string>();
    for (const drain of this.#drains.values()) {
      if (drain.cluster === cluster && drain.node !== null) nodes.add(drain.node);
    }
    return nodes;
  }

  hasAll(cluster: string): boolean {
    return this.#drains.has(keyOf(cluster, null));
  }

  /** Returns false when it was drained already. */
  add(drain: Drain): boolean {
    const key = keyOf(drain.cluster, drain.node);
    if (this.#drains.has(key)) return false;
    this.#drains.set(key, drain);
    return true;
  }

  /** Returns false when it was not drained. Undraining a cluster keeps the drains of its single nodes. */
  remove(cluster: string, node: string | null): boolean {
    return this.#drains.delete(keyOf(cluster, node));
  }

  /** Ends the drains of nodes that were replaced by another of the same name, and returns them. */
  endReplaced(
    cluster: string,
    nodes: readonly { readonly name: string; readonly uid: string }[],
  ): readonly Drain[] {
    const drained = this.nodesOf(cluster);
    if (drained.size === 0) return [];
    const ended: Drain[] = [];
    for (const { name, uid } of nodes) {
      if (!drained.has(name)) continue;
      const drain = this.#drains.get(keyOf(cluster, name));
      if (drain === undefined || drain.uid === null || drain.uid === uid) continue;
      this.remove(cluster, name);
      ended.push(drain);
    }
    return ended;
  }

  /** Sorted by cluster and node; a whole cluster comes before its nodes. */
  list(): readonly Drain[] {
    return [...this.#drains].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, drain]) => drain);
  }
}

/** No name holds a line break. */
function keyOf(cluster: string, node: string | null): string {
  return node === null ? cluster : `${cluster}\n${node}`;
}
