// Owns the expansion of configured pools and of rules that name services by template into the pools there are.

import type { Config } from '../../model/config.ts';
import type { PoolConfig, SourceConfig } from '../../model/pool-config.ts';
import type { ActionConfig } from '../../model/route-config.ts';

/** A pool with its sources: written in the configuration, or made for one service that a template matches. */
export interface PoolInstance {
  readonly name: string;
  readonly config: PoolConfig;
  readonly sources: readonly SourceConfig[];
  /** True for a pool made from a template. */
  readonly dynamic: boolean;
}

export type ServiceAction = Extract<ActionConfig, { kind: 'service' }>;

export interface Expansion {
  readonly pools: readonly PoolInstance[];
  /** For each service action: `namespace/name` -> pool name, sorted. */
  readonly services: ReadonlyMap<ServiceAction, ReadonlyMap<string, string>>;
}

/**
 * Pools of the configuration in its order, then one for each route, service and port that a template matches, named
 * `route/namespace/name`; a name that is taken gets the port, then a number. Pure and deterministic.
 * @param servicesOf `namespace/name` of the services of a cluster, in any order
 */
export function expandPools(config: Config, servicesOf: (cluster: string) => Iterable<string>): Expansion {
  const pools = new Map<string, PoolInstance>();
  for (const pool of config.pools) {
    pools.set(pool.name, { name: pool.name, config: pool, sources: pool.sources, dynamic: false });
  }
  const services = new Map<ServiceAction, ReadonlyMap<string, string>>();
  const sorted = new Map<string, readonly string[]>();
  for (const route of config.routes) {
    for (const { action } of route.rules) {
      if (action.kind !== 'service') continue;
      const names = sorted.get(action.cluster) ?? [...servicesOf(action.cluster)].sort();
      sorted.set(action.cluster, names);
      const matches = matcherOf(action.service);
      const found = new Map<string, string>();
      for (const service of names) {
        if (matches(service)) found.set(service, addPool(pools, route.name, service, action));
      }
      services.set(action, found);
    }
  }
  return { pools: [...pools.values()], services };
}

/** Keeps the expansion, the same object, as long as the configuration and the services that templates look at stay. */
export class Expander {
  #config: Config | null = null;
  #names: ReadonlyMap<string, readonly string[]> = new Map();
  #expansion: Expansion | null = null;

  expand(config: Config, servicesOf: (cluster: string) => Iterable<string>): Expansion {
    const names = new Map<string, readonly string[]>();
    for (const { rules } of config.routes) {
      for (const { action } of rules) {
        if (action.kind !== 'service' || names.has(action.cluster)) continue;
        names.set(action.cluster, [...servicesOf(action.cluster)].sort());
      }
    }
    if (this.#expansion !== null && this.#config === config && isSameNames(this.#names, names))
      return this.#expansion;
    this.#config = config;
    this.#names = names;
    this.#expansion = expandPools(config, (cluster) => names.get(cluster) ?? []);
    return this.#expansion;
  }
}

function isSameNames(
  before: ReadonlyMap<string, readonly string[]>,
  after: ReadonlyMap<string, readonly string[]>,
): boolean {
  for (const [cluster, names] of after) {
    const known = before.get(cluster);
    if (known?.length !== names.length || !names.every((name, index) => name === known[index])) return false;
  }
  return true;
}

function addPool(
  pools: Map<string, PoolInstance>,
  route: string,
  service: string,
  action: ServiceAction,
): string {
  const slash = service.indexOf('/');
  const source: SourceConfig = {
    kind: 'service',
    cluster: action.cluster,
    namespace: service.slice(0, slash),
    service: service.slice(slash + 1),
    port: action.port,
    preferNodesWithEndpoints: action.template.sources[0]?.preferNodesWithEndpoints ?? false,
    addresses: [],
    priority: 0,
    weight: 1,
  };
  const base = `${route}/${service}`;
  for (let attempt = 0; ; attempt++) {
    const name =
      attempt === 0 ? base : attempt === 1 ? `${base}:${action.port}` : `${base}:${action.port}#${attempt}`;
    const taken = pools.get(name);
    if (taken === undefined) {
      pools.set(name, {
        name,
        config: { ...action.template, name, sources: [source] },
        sources: [source],
        dynamic: true,
      });
      return name;
    }
  }
}

/** A capture stands for one label's characters; the same capture twice must stand for the same text. */
function matcherOf(template: string): (service: string) => boolean {
  const seen = new Set<string>();
  const pattern = template.split(/(\{[^{}]*\})/).map((part) => {
    if (!part.startsWith('{')) return part.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
    const name = part.slice(1, -1);
    if (seen.has(name)) return `\\k<${name}>`;
    seen.add(name);
    return `(?<${name}>[a-z0-9-]{1,63})`;
  });
  const regex = new RegExp(`^${pattern.join('')}$`);
  return (service) => regex.test(service);
}
