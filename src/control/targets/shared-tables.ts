// Owns the sharing of targets: pools that look at nothing but nodes use one table, however many they are.

import type { ProbeSpec } from '../health/scheduler.ts';
import { type DerivedSource, identityOf } from './derive.ts';
import type { SharedTargets, SourceState } from './source-state.ts';
import { EMPTY_TABLE, type TargetEntry, type TargetTable } from './target-table.ts';
import { ViewMemo } from './target-views.ts';

/** Without it 5,000 nodes and 500 services would be 2.5 million entries. While anything is in motion a source has its own. */
export class SharedTables {
  readonly #tables = new Map<string, SharedTargets>();
  readonly #setProbes: (group: string, specs: readonly ProbeSpec[]) => void;

  constructor(setProbes: (group: string, specs: readonly ProbeSpec[]) => void) {
    this.#setProbes = setProbes;
  }

  get all(): Iterable<SharedTargets> {
    return this.#tables.values();
  }

  get(id: string): SharedTargets | undefined {
    return this.#tables.get(id);
  }

  /** Moves a source that was derived anew to the table that fits it: a shared one, or its own. */
  settle(state: SourceState): void {
    const { derived, shared } = state;
    if (derived === null) return;
    const { health, unknown, proxyProtocol } = state.config;
    const canShare =
      derived.nodesOnly &&
      health === null &&
      proxyProtocol === null &&
      unknown === 'serve' &&
      derived.port !== 0;
    const isFed =
      canShare && state.sharedPort === derived.port && shared?.derived.members === derived.members;
    if (isFed) return;
    const id = `nodes ${derived.cluster} ${derived.families.join()}`;
    if (shared !== null && canShare && shared.id === id && state.sharedPort === derived.port) {
      feed(shared, derived);
    } else if (shared !== null) {
      state.table = ownTable(shared.table ?? EMPTY_TABLE, state.sharedPort);
      state.isDirty = true;
      state.isTouched = true;
      this.leave(state);
    } else if (canShare && isSettled(state.table, derived)) this.#join(state, id, derived);
  }

  /** The source uses no shared table any more; the last user takes the table with it. */
  leave(state: SourceState): void {
    const { shared } = state;
    if (shared === null) return;
    state.shared = null;
    shared.users.delete(state);
    if (shared.users.size > 0) {
      shared.proofPort = Math.min(...[...shared.users].map(({ sharedPort }) => sharedPort));
      shared.isDirty = true;
      shared.isTouched = true;
      return;
    }
    this.#tables.delete(shared.id);
    this.#setProbes(shared.id, []);
  }

  #join(state: SourceState, id: string, derived: DerivedSource): void {
    const shared = this.#tables.get(id) ?? this.#add(id, derived);
    feed(shared, derived);
    shared.users.add(state);
    shared.proofPort = Math.min(shared.proofPort, derived.port);
    state.shared = shared;
    state.sharedPort = derived.port;
    state.table = null;
    state.dueAtMs = null;
    state.planned = [];
    this.#setProbes(state.id, []);
  }

  #add(id: string, derived: DerivedSource): SharedTargets {
    const shared: SharedTargets = {
      id,
      cluster: derived.cluster ?? '',
      derived: { ...derived, port: 0 },
      table: null,
      isDirty: true,
      isTouched: true,
      dueAtMs: null,
      proofPort: derived.port,
      planned: [],
      users: new Set(),
      views: new ViewMemo(),
    };
    this.#tables.set(id, shared);
    return shared;
  }
}

function feed(shared: SharedTargets, derived: DerivedSource): void {
  // The list is made anew whenever any node of the cluster changed, so it stands for all that is derived from nodes.
  if (shared.derived.members === derived.members) return;
  shared.derived = { ...derived, port: 0 };
  shared.isDirty = true;
}

/** Whether an own table says nothing that the shared one would not say. */
function isSettled(table: TargetTable | null, derived: DerivedSource): boolean {
  if (table === null) return true;
  if (table.entries.size !== derived.members.length) return false;
  for (const { hold, state, port } of table.entries.values()) {
    if (hold !== null || state === 'filling' || port !== derived.port) return false;
  }
  return true;
}

/** The shared targets as targets of one source. */
function ownTable(shared: TargetTable, port: number): TargetTable {
  const entries = new Map<string, TargetEntry>();
  for (const entry of shared.entries.values()) {
    const identity = identityOf(entry.candidate.address, port);
    entries.set(identity, { ...entry, identity, port });
  }
  return { entries, departures: shared.departures, lost: new Map() };
}
