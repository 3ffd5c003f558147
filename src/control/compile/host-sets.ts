// Owns the sharing in a snapshot: every host once, every distinct set of hosts once.

import { createHash } from 'node:crypto';
import type { HostSet, HostSetMember, SnapshotHost } from '../../model/snapshot.ts';
import type { HealthState, TargetState } from '../../model/targets.ts';
import type { TargetTable } from '../targets/target-table.ts';

/** One host in a set, before it has an index. */
interface Placed {
  readonly hostKey: string;
  readonly host: SnapshotHost;
  readonly weight: number;
  readonly state: TargetState;
  readonly health: HealthState;
  readonly lastResort: boolean;
}

/** The targets of a table at one port, in an order that depends on nothing but the content. */
export interface PlacedSet {
  /** 0 in tables that know no port. */
  readonly port: number;
  /** Hash of the content: equal sets have equal keys, whatever table they come from. */
  readonly key: string;
  readonly members: readonly Placed[];
}

/** Remembers the sets of tables that did not change; forgetting it changes nothing but time. */
export type PlacedMemo = WeakMap<TargetTable, readonly PlacedSet[]>;

/** The sets of a table, one for each port, sorted by port. */
export function placedSets(table: TargetTable, memo: PlacedMemo): readonly PlacedSet[] {
  const known = memo.get(table);
  if (known !== undefined) return known;
  const byPort = new Map<number, Placed[]>();
  for (const { candidate, port, weight, state, health, lastResort } of table.entries.values()) {
    const { address, cluster, node } = candidate;
    const host = { address, cluster, node };
    const list = byPort.get(port) ?? [];
    list.push({ hostKey: JSON.stringify([address, cluster, node]), host, weight, state, health, lastResort });
    byPort.set(port, list);
  }
  const sets = [...byPort]
    .sort(([a], [b]) => a - b)
    .map(([port, members]) => {
      members.sort((a, b) => (a.hostKey < b.hostKey ? -1 : a.hostKey > b.hostKey ? 1 : 0));
      const hash = createHash('sha256');
      for (const { hostKey, weight, state, health, lastResort } of members) {
        hash.update(`${hostKey} ${weight} ${state} ${health} ${lastResort}\n`);
      }
      return { port, key: hash.digest('hex'), members };
    });
  memo.set(table, sets);
  return sets;
}

/** Numbers hosts and sets in the order of their first use. */
export class HostSetBuilder {
  readonly hosts: SnapshotHost[] = [];
  readonly hostSets: HostSet[] = [];
  readonly #hostIndex = new Map<string, number>();
  readonly #setIndex = new Map<string, number>();

  /** Index of the set, added if no equal one is there. */
  add({ key, members }: PlacedSet): number {
    const known = this.#setIndex.get(key);
    if (known !== undefined) return known;
    const index = this.hostSets.length;
    this.hostSets.push({ members: members.map((placed) => this.#member(placed)) });
    this.#setIndex.set(key, index);
    return index;
  }

  #member({ hostKey, host, weight, state, health, lastResort }: Placed): HostSetMember {
    let index = this.#hostIndex.get(hostKey);
    if (index === undefined) {
      index = this.hosts.length;
      this.hosts.push(host);
      this.#hostIndex.set(hostKey, index);
    }
    return { host: index, weight, state, health, lastResort };
  }
}
