// Captures: each that a host declares is used, and each that is used is declared.

import type { PoolConfig } from '../../model/pool-config.ts';
import type {
  FilterConfig,
  HeaderValue,
  PathRewrite,
  RouteConfig,
  RuleConfig,
} from '../../model/route-config.ts';
import { captureNames } from '../host-pattern.ts';
import type { Path } from '../problem.ts';
import { quote } from '../refusal.ts';
import type { CheckContext } from './context.ts';

interface Use {
  readonly name: string;
  readonly path: Path;
  /** Braces in a header value may be meant as they stand, so there an unknown name is only worth a warning. */
  readonly inHeader: boolean;
}

export function checkCaptures(
  context: CheckContext,
  route: RouteConfig,
  index: number,
  pools: ReadonlyMap<string, PoolConfig>,
): void {
  const used = new Set<string>();
  let isComplete = !context.places.isIncomplete(index);
  for (const [position, rule] of route.rules.entries()) {
    const place = context.places.rule(index, position);
    for (const use of usesOf(rule, pools)) {
      used.add(use.name);
      checkDeclared(context, route, use, [...place, ...use.path]);
    }
    // A pool that was refused may have hashed by the capture.
    isComplete &&= rule.action.kind !== 'pools' || rule.action.pools.every(({ name }) => pools.has(name));
  }
  if (isComplete) {
    checkUsed(context, route, index, used);
  }
}

function checkDeclared(
  { problem, warning }: CheckContext,
  route: RouteConfig,
  { name, inHeader }: Use,
  path: Path,
): void {
  const declares = (host: RouteConfig['hosts'][number]): boolean =>
    host.kind === 'capture' && host.names.includes(name);
  const lacking = route.hosts.find((host) => !declares(host));
  if (lacking === undefined || (inHeader && !route.hosts.some(({ kind }) => kind === 'capture'))) {
    return;
  }
  const report = inHeader ? warning : problem;
  report(
    path,
    'capture-unknown',
    `the capture {${name}} is used here, but the host ${quote(lacking.text)} of this route has no such capture`,
    `Declare it in every host of the route, as in "{${name}}.example.com".`,
  );
}

function checkUsed(
  { places, problem }: CheckContext,
  route: RouteConfig,
  index: number,
  used: ReadonlySet<string>,
): void {
  for (const [position, host] of route.hosts.entries()) {
    for (const name of host.kind === 'capture' ? host.names : []) {
      if (used.has(name)) {
        continue;
      }
      const wildcard = host.text.replace(`{${name}}`, '*');
      const isPattern = wildcard.startsWith('*.') && !wildcard.includes('{');
      problem(
        [...places.at('routes', index), 'hosts', position],
        'capture-unused',
        `the capture {${name}} is not used by any rule of this route`,
        `Use it in a service, a hash key or a filter.${isPattern ? ` Write "${wildcard}" if the name does not matter.` : ''}`,
      );
    }
  }
}

function usesOf(rule: RuleConfig, pools: ReadonlyMap<string, PoolConfig>): Use[] {
  return [
    ...rule.filters.flatMap((filter, index) => inFilter(filter, ['filters', index])),
    ...inAction(rule, pools),
  ];
}

function inFilter(filter: FilterConfig, place: Path): Use[] {
  if (filter.kind === 'rewrite') {
    return inTarget(filter.host, filter.path, [...place, 'rewrite']);
  }
  const key = filter.kind === 'request-headers' ? 'requestHeaders' : 'responseHeaders';
  return [...inHeaders(filter.set, [...place, key, 'set']), ...inHeaders(filter.add, [...place, key, 'add'])];
}

function inAction({ action }: RuleConfig, pools: ReadonlyMap<string, PoolConfig>): Use[] {
  switch (action.kind) {
    case 'service':
      return [
        ...inText(action.service, ['service', 'name']),
        ...inKey(action.template, ['service', 'policy', 'key']),
      ];
    case 'pools':
      return action.pools.flatMap(({ name }, index) => inKey(pools.get(name), ['pools', index, 'name']));
    case 'redirect':
      return inTarget(action.host, action.path, ['redirect']);
    case 'respond':
      return inHeaders(action.headers, ['respond', 'headers']);
  }
}

function inTarget(host: string | null, path: PathRewrite | null, place: Path): Use[] {
  return [
    ...inText(host ?? '', [...place, 'host']),
    ...(path === null ? [] : inText(path.value, [...place, 'path', path.kind])),
  ];
}

function inKey(pool: PoolConfig | undefined, path: Path): Use[] {
  const key = pool?.policy.key;
  return key?.kind === 'capture' ? [{ name: key.name, path, inHeader: false }] : [];
}

function inHeaders(headers: readonly HeaderValue[], place: Path): Use[] {
  return headers.flatMap(({ name, value }) => inText(value, [...place, name], true));
}

function inText(text: string, path: Path, inHeader = false): Use[] {
  return captureNames(text).map((name) => ({ name, path, inHeader }));
}
