// Matches that can never be reached, because an equal one comes first.

import type { HostPattern, MatchConfig, RouteConfig } from '../../model/route-config.ts';
import type { CheckContext } from './context.ts';

/** Where a match stands: indexes into the checked configuration; -1 is the match of a rule without any. */
interface Owner {
  readonly route: number;
  readonly rule: number;
}

interface RouteClaims {
  /** Every listener and host pattern that the route answers for. */
  readonly territory: ReadonlySet<string>;
  readonly matches: ReadonlyMap<string, Owner>;
}

/**
 * HTTPRoute precedence sets a more specific match before a less specific one wherever they stand, so only equal
 * matches take everything from each other: there the earlier route wins, then the earlier rule. Reports matches
 * that lose everywhere as problems, and those that lose on some hosts or listeners as warnings.
 */
export function checkReachable(context: CheckContext): void {
  const { config, places } = context;
  const httpListeners = config.listeners
    .filter(({ protocol }) => protocol === 'http' || protocol === 'https')
    .map(({ name }) => name);
  const byTerritory = new Map<string, RouteClaims[]>();
  const counts = countMatches(config.routes);
  for (const [index, route] of config.routes.entries()) {
    checkHostsOnce(context, route, index);
    const territory = territoryOf(route, httpListeners);
    const own = new Map<string, Owner>();
    for (const [rule, { matches }] of route.rules.entries()) {
      const rulePlace = places.rule(index, rule);
      for (const [position, match] of (matches.length === 0 ? [EVERYTHING] : matches).entries()) {
        const key = matchKey(match);
        const path = matches.length === 0 ? rulePlace : [...rulePlace, 'matches', position];
        const earlier = own.get(key);
        if (earlier !== undefined) {
          unreachable(context, path, earlier, earlier.rule === rule);
        } else {
          own.set(key, { route: index, rule });
          if ((counts.get(key) ?? 0) > 1) {
            checkAgainstOthers(context, path, key, territory, byTerritory);
          }
        }
      }
    }
    for (const place of territory) {
      const claims = byTerritory.get(place) ?? [];
      claims.push({ territory, matches: own });
      byTerritory.set(place, claims);
    }
  }
}

const EVERYTHING: MatchConfig = { path: null, method: null, headers: [], query: [] };

function checkAgainstOthers(
  context: CheckContext,
  path: readonly (string | number)[],
  key: string,
  territory: ReadonlySet<string>,
  byTerritory: ReadonlyMap<string, readonly RouteClaims[]>,
): void {
  let taken = 0;
  let owner: Owner | undefined;
  for (const place of territory) {
    const found = byTerritory
      .get(place)
      ?.find(({ matches }) => matches.has(key))
      ?.matches.get(key);
    if (found !== undefined) {
      taken++;
      owner ??= found;
    }
  }
  if (owner === undefined) {
    return;
  }
  if (taken === territory.size) {
    unreachable(context, path, owner, false);
  } else {
    context.warning(
      path,
      'match-overlap',
      `${ruleName(context, owner)} takes this match on some hosts or listeners of this route`,
      'Remove those hosts from one of the two routes if that is not meant.',
    );
  }
}

function unreachable(
  context: CheckContext,
  path: readonly (string | number)[],
  owner: Owner,
  sameRule: boolean,
): void {
  const message = sameRule
    ? 'this match repeats an earlier one of the same rule'
    : `this can never match: ${ruleName(context, owner)} has the same match and comes first`;
  context.problem(
    path,
    'match-unreachable',
    message,
    'Remove one of the two, or make this match more specific (path, method, headers, query).',
  );
}

function ruleName({ config, places }: CheckContext, { route, rule }: Owner): string {
  const index = places.rule(route, rule)[3];
  const name = config.routes[route]?.rules[rule]?.name;
  return `rule ${name === null || name === undefined ? '' : `"${name}" `}${typeof index === 'number' ? index + 1 : rule + 1} of the route "${config.routes[route]?.name ?? ''}"`;
}

function checkHostsOnce({ places, problem }: CheckContext, route: RouteConfig, index: number): void {
  const seen = new Set<string>();
  for (const [position, host] of route.hosts.entries()) {
    const key = hostKey(host);
    if (seen.has(key)) {
      problem(
        [...places.at('routes', index), 'hosts', position],
        'host-duplicate',
        `the host "${host.text}" stands twice in this route`,
        'Remove one.',
      );
    }
    seen.add(key);
  }
}

function countMatches(routes: readonly RouteConfig[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const route of routes) {
    const keys = new Set(
      route.rules.flatMap(({ matches }) => (matches.length === 0 ? [EVERYTHING] : matches)).map(matchKey),
    );
    for (const key of keys) {
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

function territoryOf(route: RouteConfig, httpListeners: readonly string[]): ReadonlySet<string> {
  const listeners = route.listeners.length === 0 ? httpListeners : route.listeners;
  return new Set(
    listeners.flatMap((listener) => route.hosts.map((host) => `${listener}\u0000${hostKey(host)}`)),
  );
}

/** Captures of other names in the same places stand for the same hosts. */
function hostKey(host: HostPattern): string {
  return host.kind === 'capture' ? host.text.replace(/\{[^}]*\}/g, '{}') : host.text;
}

/** Equal for matches that fit the same requests; no path and the prefix `/` are one. */
function matchKey(match: MatchConfig): string {
  const path = match.path ?? { kind: 'prefix', value: '/' };
  const values = (list: MatchConfig['headers']) =>
    list.map(({ name, kind, value }) => [name, kind, value]).sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
  return JSON.stringify([path.kind, path.value, match.method, values(match.headers), values(match.query)]);
}
