// Which namespaces each cluster's services and endpoint slices are read from: no more than the configuration names.

import type { Config } from '../model/config.ts';
import type { Scopes, SecretNames } from './discovery/discovery.ts';
import { certificateSources } from './tls/read-secrets.ts';

/** A rule with a `{capture}` in its namespace needs the whole cluster; otherwise only the named namespaces are read. */
export function scopesOf(config: Config): Scopes {
  const named = new Map<string, Set<string>>();
  const whole = new Set<string>();
  for (const pool of config.pools) {
    for (const source of pool.sources) {
      if (source.cluster === null || source.namespace === null) continue;
      const namespaces = named.get(source.cluster) ?? new Set();
      named.set(source.cluster, namespaces.add(source.namespace));
    }
  }
  for (const { rules } of config.routes) {
    for (const { action } of rules) {
      if (action.kind !== 'service') continue;
      const [namespace = ''] = action.service.split('/');
      if (namespace.includes('{')) whole.add(action.cluster);
      else named.set(action.cluster, (named.get(action.cluster) ?? new Set()).add(namespace));
    }
  }
  return Object.fromEntries(
    config.clusters.map(({ name }) => [name, whole.has(name) ? 'all' : [...(named.get(name) ?? [])].sort()]),
  );
}

/** The Secrets that listeners name, by cluster. */
export function secretsOf(config: Config): SecretNames {
  const named = new Map<string, Set<string>>();
  for (const source of certificateSources(config).values()) {
    if (source.kind !== 'secret') continue;
    const names = named.get(source.cluster) ?? new Set();
    named.set(source.cluster, names.add(`${source.namespace}/${source.name}`));
  }
  return Object.fromEntries([...named].map(([cluster, names]) => [cluster, [...names].sort()]));
}
