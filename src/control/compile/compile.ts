// Owns the one pure function that makes a snapshot from configuration and targets.

import { createHash } from 'node:crypto';
import type { ActionConfig, Config, PoolConfig } from '../../model/config.ts';
import type { Snapshot, SnapshotAction, SnapshotPool, TargetGroup } from '../../model/snapshot.ts';
import { identityOf } from '../targets/derive.ts';
import type { TargetTable } from '../targets/target-table.ts';
import type { ServiceAction } from './expand.ts';
import { HostSetBuilder, type PlacedMemo, placedSets } from './host-sets.ts';

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
  readonly pools: WeakMap<PoolConfig, string>;
  readonly configs: WeakMap<Config, string>;
}

export function createCompileMemo(): CompileMemo {
  return { placed: new WeakMap(), pools: new WeakMap(), configs: new WeakMap() };
}

/**
 * Compiles a snapshot. Equal content gives an equal checksum, whatever the version, the event time and the order in
 * which objects came. A rule that names an unknown pool throws RangeError: validation lets none through.
 */
export function compile(input: CompileInput, memo: CompileMemo = createCompileMemo()): Snapshot {
  const { config, version, eventAtMs } = input;
  const builder = new HostSetBuilder();
  const pools = input.pools.map((pool) => compilePool(pool, builder, memo));
  const index = new Map(pools.map(({ name }, position) => [name, position]));
  const indexOf = (name: string): number => {
    const found = index.get(name);
    if (found === undefined) throw new RangeError(`no pool is named ${name}`);
    return found;
  };
  const routes = config.routes.map(({ name, listeners, hosts, rules }) => ({
    name,
    listeners,
    hosts,
    rules: rules.map(({ action, ...rule }) => ({
      ...rule,
      action: compileAction(action, input.services, indexOf),
    })),
  }));
  const { listeners, trustedProxies } = config;
  const accessLog = config.log.access;
  return {
    version,
    checksum: checksumOf(input, pools, memo),
    eventAtMs,
    listeners,
    hosts: builder.hosts,
    hostSets: builder.hostSets,
    pools,
    routes,
    trustedProxies,
    accessLog,
  };
}

function compilePool(
  { name, config, sources }: PoolTargets,
  builder: HostSetBuilder,
  memo: CompileMemo,
): SnapshotPool {
  const {
    policy,
    unknown,
    ejection,
    slowStartMs,
    panicThreshold,
    spilloverThreshold,
    timeouts,
    connections,
    proxyProtocol,
  } = config;
  const settings = {
    policy,
    unknown,
    ejection,
    slowStartMs,
    panicThreshold,
    spilloverThreshold,
    timeouts,
    connections,
    proxyProtocol,
  };
  const settingsText = remember(memo.pools, config, () => JSON.stringify(settings));
  const hash = createHash('sha256').update(JSON.stringify(name)).update(settingsText);
  const groups: TargetGroup[] = [];
  const lost: string[] = [];
  for (const { table, port, priority, weight } of sources) {
    for (const set of placedSets(table, memo.placed)) {
      const group = { hostSet: builder.add(set), port: set.port === 0 ? port : set.port, priority, weight };
      hash.update(`\n${set.key} ${group.port} ${priority} ${weight}`);
      groups.push(group);
    }
    for (const { address, port: own } of table.lost.values())
      lost.push(identityOf(address, own === 0 ? port : own));
  }
  if (lost.length > 0) hash.update(`\nlost ${lost.sort().join(' ')}`);
  return { name, checksum: hash.digest('hex'), groups, lost, ...settings };
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

/** Pools are covered by their checksums, which cover hosts and sets; the rest is the configuration's own text. */
function checksumOf(
  { config, services }: CompileInput,
  pools: readonly SnapshotPool[],
  memo: CompileMemo,
): string {
  const { listeners, routes, trustedProxies, log } = config;
  const text = remember(memo.configs, config, () =>
    JSON.stringify([listeners, routes, trustedProxies, log.access]),
  );
  const hash = createHash('sha256').update(text);
  for (const { name, checksum } of pools) hash.update(`\n${JSON.stringify(name)} ${checksum}`);
  for (const found of services.values()) hash.update(`\n${JSON.stringify([...found])}`);
  return hash.digest('hex');
}

function remember<K extends object>(memo: WeakMap<K, string>, key: K, make: () => string): string {
  const known = memo.get(key);
  if (known !== undefined) return known;
  const made = make();
  memo.set(key, made);
  return made;
}
