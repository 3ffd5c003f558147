// The router of one listener: from a request head to the rule that answers it, by HTTPRoute's precedence.

import type { HostPattern } from '../../model/route-config.ts';
import type { SnapshotRoute } from '../../model/snapshot.ts';
import { type HostTable, HostTableBuilder } from './host-table.ts';
import type { RouteRequest } from './request.ts';
import { type CompiledRule, compileRules, type RouteMatch } from './rules.ts';

export type { RouteMatch, RouteRequest };

/** An empty match, to be filled by `Router.match`. */
export const createRouteMatch = (): RouteMatch => ({
  rule: null,
  match: null,
  captures: [],
  prefixLength: 0,
  refusal: null,
});

/**
 * Precedence (Gateway API, HTTPRoute): the host (exact, then the longest suffix, a capture before a wildcard, then
 * any), then the path (exact, regular expression by length, longest prefix), a method, more header fields, more query
 * parameters, and at last the order of the configuration. When no rule of a host pattern fits, the next less
 * specific pattern is asked; only when none is left is there no route.
 */
export class Router {
  readonly #hosts: HostTable;

  constructor(hosts: HostTable) {
    this.#hosts = hosts;
  }

  /**
   * Fills `out` and returns true, or clears it but for the refusal and returns false. Bounded work, no allocation unless a host
   * captures.
   */
  match(request: RouteRequest, out: RouteMatch): boolean {
    if (out.captures.length > 0) out.captures.length = 0;
    const fit = this.#hosts.match(request, out);
    out.refusal = fit === true || fit === false ? null : fit;
    if (fit === true) return true;
    out.rule = null;
    out.match = null;
    out.prefixLength = 0;
    return false;
  }
}

/**
 * The router for one listener. Built once for a snapshot; throws when a rule cannot be honoured, so that the caller
 * keeps the router it has.
 * @param rules the snapshot's rules when they are compiled already (several listeners share them)
 */
export function createRouter(
  routes: readonly SnapshotRoute[],
  listenerName: string,
  rules: readonly CompiledRule[] = compileRules(routes),
): Router {
  const hosts = new HostTableBuilder();
  for (const rule of rules) {
    const { route } = rule;
    if (route.listeners.length > 0 && !route.listeners.includes(listenerName)) continue;
    // HTTPRoute: a route without host names is for every host.
    const patterns: readonly HostPattern[] =
      route.hosts.length === 0 ? [{ kind: 'any', text: '*' }] : route.hosts;
    for (const pattern of patterns) hosts.add(pattern, route, rule.matches);
  }
  return new Router(hosts.build());
}
