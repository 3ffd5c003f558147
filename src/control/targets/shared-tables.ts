// Owns the sharing of targets: pools that look at nothing but nodes use one table, however many they are.

import type { ProbeSpec } from '../health/scheduler.ts';
import { type DerivedSource, identityOf } from './derive.ts';
import type { SharedTargets, SourceState } from './source-state.ts';
import { TargetEntries } from './target-entries.ts';
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
    const fits = canShare(state, derived);
    const isFed = fits && state.sharedPort === derived.port && shared?.derived.members === derived.members;
    if (isFed) return;
    if (shared !== null && fits && shared.id === idOf(derived) && state.sharedPort === derived.port) {
      feed(shared, derived);
    } else if (shared !== null) {
      state.table = ownTable(shared.table ?? EMPTY_TABLE, state.sharedPort);
      state.isDirty = true;
      state.isTouched = true;
      this.leave(state);
    } else if (this.#wouldSaySame(state, derived)) this.#join(state, derived);
  }

  /** Whether the next `settle` moves the source to a shared table. */
  canJoin(state: SourceState): boolean {
    const { derived, shared } = state;
    return shared === null && derived !== null && this.#wouldSaySame(state, derived);
  }

  /** Nothing is in motion: neither the source's own table nor the shared one says anything that the other would not. */
  #wouldSaySame(state: SourceState, derived: DerivedSource): boolean {
    if (!canShare(state, derived) || !isSettled(state.table, derived.members.length, derived.port))
      return false;
    return isSettled(this.#tables.get(idOf(derived))?.table ?? null, derived.members.length, 0);
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

  #join(state: SourceState, derived: DerivedSource): void {
    const shared = this.#tables.get(idOf(derived)) ?? this.#add(idOf(derived), derived);
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

function canShare({ config }: SourceState, { nodesOnly, port }: DerivedSource): boolean {
  const { health, unknown, proxyProtocol } = config;
  return nodesOnly && health === null && proxyProtocol === null && unknown === 'serve' && port !== 0;
}

function idOf({ cluster, families }: DerivedSource): string {
  return `nodes ${cluster} ${families.join()}`;
}

/** Whether every member is a target that neither waits nor is held. A table that is yet to be filled is. */
function isSettled(table: TargetTable | null, members: number, wantedPort: number): boolean {
  if (table === null) return true;
  if (table.entries.size !== members) return false;
  if (table.calm !== null && table.calm.port === wantedPort) return true;
  for (const { hold, state, port } of table.entries.list) {
    if (hold !== null || state === 'filling' || port !== wantedPort) return false;
  }
  return true;
}

/** The shared targets as targets of one source. */
function ownTable(shared: TargetTable, port: number): TargetTable {
  const list = shared.entries.list.map((entry): TargetEntry => {
    const identity = identityOf(entry.candidate.address, port);
    return { ...entry, identity, port };
  });
  return { entries: TargetEntries.of(list), departures: shared.departures, lost: new Map(), calm: null };
}
