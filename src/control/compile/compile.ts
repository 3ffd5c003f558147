// Owns the one pure function that makes a snapshot from configuration and targets.

import { createHash, type Hash } from 'node:crypto';
import type { Config } from '../../model/config.ts';
import type { PoolConfig } from '../../model/pool-config.ts';
import type { ActionConfig } from '../../model/route-config.ts';
import type { Snapshot, SnapshotAction, SnapshotPool, TargetGroup } from '../../model/snapshot.ts';
import { isSameShape } from '../../snapshot/pool-shape.ts';
import { identityOf } from '../targets/derive.ts';
import type { TargetTable } from '../targets/target-table.ts';
import type { ServiceAction } from './expand.ts';
import {
  createPlacedMemo,
  HostSetBuilder,
  type PlacedMemo,
  type PlacedSet,
  placedSets,
} from './host-sets.ts';
import { type SettingsMemo, settingsOf } from './pool-settings.ts';

/** The targets of one source. */
export interface SourceTargets {
  readonly table: TargetTable;
  /** Port of every target whose own is 0. */
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface PoolTargets {
  readonly name: string;
  readonly config: PoolConfig;
  readonly sources: readonly SourceTargets[];
}

export interface CompileInput {
  readonly config: Config;
  /** All pools, in the order of `expandPools`. */
  readonly pools: readonly PoolTargets[];
  readonly services: ReadonlyMap<ServiceAction, ReadonlyMap<string, string>>;
  readonly version: number;
  /** See `Snapshot.eventAtMs`. */
  readonly eventAtMs: number;
}

/** Remembers what is derived from objects that did not change; forgetting it changes nothing but time. */
export interface CompileMemo {
  readonly placed: PlacedMemo;
  /** Text of everything about a pool but its targets. */
  readonly settings: SettingsMemo;
  /** Digests that have taken in the configuration's own text, to be gone on with in copies. */
  readonly configs: WeakMap<Config, Hash>;
  /** By name, as last compiled. */
  readonly pools: Map<string, CompiledPool>;
  routes: CompiledRoutes | null;
  checked: CheckedPools | null;
}

interface CompiledPool {
  readonly config: PoolConfig;
  sources: readonly SourceTargets[];
  sets: readonly PlacedSet[];
  readonly pool: SnapshotPool;
}

/** Pools as they were last digested. */
interface CheckedPools {
  readonly pools: readonly SnapshotPool[];
  readonly digest: string;
}

interface CompiledRoutes {
  readonly config: Config;
  readonly services: CompileInput['services'];
  readonly pools: readonly string[];
  readonly routes: Snapshot['routes'];
}

export function createCompileMemo(): CompileMemo {
  return {
    placed: createPlacedMemo(),
    settings: new WeakMap(),
    configs: new WeakMap(),
    pools: new Map(),
    routes: null,
    checked: null,
  };
}

/**
 * Compiles a snapshot. Equal content gives an equal checksum, whatever the version, the event time and the order in
 * which objects came. A rule that names an unknown pool throws RangeError: validation lets none through.
 */
export function compile(input: CompileInput, memo: CompileMemo = createCompileMemo()): Snapshot {
  const { config, version, eventAtMs } = input;
  const builder = new HostSetBuilder(memo.placed);
  const pools = input.pools.map((pool) => compilePool(pool, builder, memo));
  memo.placed.last = builder.byKey();
  if (memo.pools.size > pools.length) forgetOthers(memo.pools, pools);
  const { listeners, trustedProxies, memory } = config;
  const accessLog = config.log.access;
  return {
    version,
    checksum: checksumOf(input, pools, builder, memo),
    eventAtMs,
    listeners,
    hostSets: builder.hostSets,
    pools,
    routes: compileRoutes(input, pools, memo),
    trustedProxies,
    accessLog,
    memory,
  };
}

function compileRoutes(
  { config, services }: CompileInput,
  pools: readonly SnapshotPool[],
  memo: CompileMemo,
): Snapshot['routes'] {
  const known = memo.routes;
  const isSame =
    known?.config === config &&
    known.services === services &&
    known.pools.length === pools.length &&
    known.pools.every((name, index) => name === pools[index]?.name);
  if (isSame) return known.routes;
  const names = pools.map(({ name }) => name);
  const index = new Map(names.map((name, position) => [name, position]));
  const indexOf = (name: string): number => {
    const found = index.get(name);
    if (found === undefined) throw new RangeError(`no pool is named ${name}`);
    return found;
  };
  const routes = config.routes.map(({ rules, ...route }) => ({
    ...route,
    rules: rules.map(({ action, ...rule }) => ({
      ...rule,
      action: compileAction(action, services, indexOf),
    })),
  }));
  memo.routes = { config, services, pools: names, routes };
  return routes;
}

function forgetOthers(known: Map<string, CompiledPool>, pools: readonly SnapshotPool[]): void {
  const names = new Set(pools.map(({ name }) => name));
  for (const name of known.keys()) if (!names.has(name)) known.delete(name);
}

/** The same object as last time when nothing of it has changed. */
function compilePool(
  { name, config, sources }: PoolTargets,
  builder: HostSetBuilder,
  memo: CompileMemo,
): SnapshotPool {
  const known = memo.pools.get(name);
  if (known !== undefined && known.config === config && isSameSources(known, sources, builder)) {
    return known.pool;
  }
  const groups: TargetGroup[] = [];
  const sets: PlacedSet[] = [];
  const lost: string[] = [];
  for (const { table, port, priority, weight } of sources) {
    for (const set of placedSets(table, memo.placed)) {
      sets.push(set);
      groups.push({ hostSet: builder.add(set), port: set.port === 0 ? port : set.port, priority, weight });
    }
    for (const { address, port: own } of table.lost.values())
      lost.push(identityOf(address, own === 0 ? port : own));
  }
  lost.sort();
  // What is in the sets is not told by the pool: a change of one node makes no pool another.
  const isSame = known?.config === config && isSameShape(known.pool, { groups, lost });
  if (isSame) {
    known.sources = sources;
    known.sets = sets;
    return known.pool;
  }
  const { text, ...settings } = settingsOf(config, memo.settings);
  const pool = { name, settings: text, groups, lost, ...settings };
  memo.pools.set(name, { config, sources, sets, pool });
  return pool;
}

/** The same tables, in sets that have the same numbers as before. */
function isSameSources(
  { sources: before, sets, pool }: CompiledPool,
  sources: readonly SourceTargets[],
  builder: HostSetBuilder,
): boolean {
  if (before !== sources && !isSameTables(before, sources)) return false;
  for (let index = 0; index < sets.length; index++) {
    if (builder.add(sets[index]!) !== pool.groups[index]!.hostSet) return false;
  }
  return true;
}

function isSameTables(before: readonly SourceTargets[], sources: readonly SourceTargets[]): boolean {
  if (before.length !== sources.length) return false;
  for (let index = 0; index < sources.length; index++) {
    const known = before[index]!;
    if (known === sources[index]) continue;
    const { table, port, priority, weight } = sources[index]!;
    const isSame =
      known.table === table && known.port === port && known.priority === priority && known.weight === weight;
    if (!isSame) return false;
  }
  return true;
}

function compileAction(
  action: ActionConfig,
  services: CompileInput['services'],
  indexOf: (pool: string) => number,
): SnapshotAction {
  switch (action.kind) {
    case 'pools':
      return {
        kind: 'pools',
        pools: action.pools.map(({ name, weight }) => ({ pool: indexOf(name), weight })),
      };
    case 'service': {
      const found = services.get(action) ?? new Map<string, string>();
      const pools = Object.fromEntries([...found].map(([service, pool]) => [service, indexOf(pool)]));
      return { kind: 'service', service: action.service, pools };
    }
    case 'redirect':
    case 'respond':
      return action;
  }
}

/** Targets are covered by the keys of the sets and by the pools, which name them; the rest is the configuration's own text. */
function checksumOf(
  { config, services }: CompileInput,
  pools: readonly SnapshotPool[],
  { hostSets }: HostSetBuilder,
  memo: CompileMemo,
): string {
  const { listeners, routes, trustedProxies, log, memory } = config;
  let begun = memo.configs.get(config);
  if (begun === undefined) {
    begun = createHash('sha256').update(
      JSON.stringify([listeners, routes, trustedProxies, log.access, memory]),
    );
    memo.configs.set(config, begun);
  }
  const hash = begun.copy();
  let keys = poolsDigest(pools, memo);
  for (const { key } of hostSets) keys += `\n${key}`;
  hash.update(keys);
  for (const found of services.values()) hash.update(`\n${JSON.stringify([...found])}`);
  return hash.digest('hex');
}

/** Of everything about the pools but what is in their sets. */
function poolsDigest(pools: readonly SnapshotPool[], memo: CompileMemo): string {
  const known = memo.checked;
  if (known !== null && isSameList(known.pools, pools)) return known.digest;
  let text = '';
  for (const { settings, groups, lost } of pools) text += `\n${settings} ${JSON.stringify([groups, lost])}`;
  const digest = createHash('sha256').update(text).digest('base64url');
  memo.checked = { pools, digest };
  return digest;
}

function isSameList<T>(one: readonly T[], other: readonly T[]): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}
