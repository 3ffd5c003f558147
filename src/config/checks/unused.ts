// Warnings: what is configured but takes no part, and what is open to more people than may be meant.

import { isIPv4 } from 'node:net';
import { quote } from '../refusal.ts';
import type { CheckContext } from './context.ts';

export function checkUnused(context: CheckContext): void {
  const { config, places, warning } = context;
  const { clusters, pools } = used(context);
  for (const [index, { name }] of config.pools.entries()) {
    if (!pools.has(name)) {
      warning(
        [...places.at('pools', index), 'name'],
        'pool-unused',
        `the pool ${quote(name)} is not used by any rule or tcp listener`,
        'Use it, or remove it: it is probed all the same.',
      );
    }
  }
  for (const [index, { name }] of config.clusters.entries()) {
    if (!clusters.has(name)) {
      warning(
        [...places.at('clusters', index), 'name'],
        'cluster-unused',
        `the cluster ${quote(name)} is not used by any pool, rule or certificate`,
        'Use it, or remove it.',
      );
    }
  }
  const http = config.listeners.filter(({ protocol }) => protocol === 'http' || protocol === 'https');
  const forAll = config.routes.some(({ listeners }) => listeners.length === 0);
  const named = new Set(config.routes.flatMap(({ listeners }) => listeners));
  for (const [index, listener] of config.listeners.entries()) {
    if (
      http.includes(listener) &&
      listener.redirectToHttps === null &&
      !forAll &&
      !named.has(listener.name)
    ) {
      warning(
        [...places.at('listeners', index), 'name'],
        'listener-unused',
        `no route answers on the listener ${quote(listener.name)}: every request gets 404`,
        'Add a route.',
      );
    }
  }
  if (http.length === 0 && config.routes.length > 0) {
    warning(
      ['routes'],
      'route-unused',
      'there are routes, but no http or https listener',
      'Add a listener, or remove the routes.',
      'key',
    );
  }
  checkAdmin(context);
}

function used({ config }: CheckContext): {
  readonly clusters: ReadonlySet<string>;
  readonly pools: ReadonlySet<string>;
} {
  const clusters = new Set(
    config.pools.flatMap(({ sources }) => sources.flatMap(({ cluster }) => cluster ?? [])),
  );
  for (const { tls } of config.listeners) {
    for (const source of tls?.certificates ?? []) if (source.kind === 'secret') clusters.add(source.cluster);
  }
  const pools = new Set(
    config.listeners.flatMap(({ pool, tlsRoutes }) => [
      ...(pool === null ? [] : [pool]),
      ...tlsRoutes.flatMap(({ pools }) => pools.map(({ name }) => name)),
    ]),
  );
  for (const { action } of config.routes.flatMap(({ rules }) => rules)) {
    if (action.kind === 'service') {
      clusters.add(action.cluster);
    } else if (action.kind === 'pools') {
      for (const { name } of action.pools) {
        pools.add(name);
      }
    }
  }
  return { clusters, pools };
}

function checkAdmin({ config, warning }: CheckContext): void {
  const { host, unixPath, tokenFile } = config.admin;
  const loopback = unixPath !== null || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
  if (!loopback && tokenFile === null) {
    warning(
      ['admin', 'bind'],
      'admin-open',
      'the admin interface can be reached from other machines: they may read everything but change nothing',
      'Bind it to 127.0.0.1, or set admin.tokenFile so that changes can be allowed.',
    );
  }
}
