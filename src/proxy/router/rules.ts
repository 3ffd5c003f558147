// Rules compiled from a snapshot's routes: everything about a rule that can be worked out before a request comes.

import type { PathMatch } from '../../model/route-config.ts';
import type { SnapshotRoute, SnapshotRule } from '../../model/snapshot.ts';
import { type CompiledAction, compileAction } from './actions.ts';
import { type Conditions, compileConditions, fullRegex, type TooLong } from './conditions.ts';
import { compileFilters, type FilterPlan } from './filters.ts';

export interface CompiledRule {
  readonly route: SnapshotRoute;
  readonly rule: SnapshotRule;
  /** Dense over all rules of the snapshot, in order, equal for every listener. */
  readonly index: number;
  /** For people: its name, or `#n` counting from 1 in its route. */
  readonly label: string;
  /** The names behind `RouteMatch.captures`, by index: every capture of the route's hosts, first seen first. */
  readonly captureNames: readonly string[];
  readonly matches: readonly CompiledMatch[];
  readonly filters: FilterPlan;
  readonly action: CompiledAction;
}

export interface CompiledMatch {
  readonly rule: CompiledRule;
  readonly kind: PathMatch['kind'];
  /** The path; a prefix is without its trailing slash, so that `/` is the empty text. */
  readonly path: string;
  readonly regex: RegExp | null;
  readonly conditions: Conditions;
  /** Position among all matches of the snapshot: the last tie-break. */
  readonly order: number;
}

/** Filled by `Router.match`; one object may serve every request of a connection. */
export interface RouteMatch {
  rule: CompiledRule | null;
  match: CompiledMatch | null;
  /** Values by the index of `rule.captureNames`: lower-case letters, digits, `-`, `_` and `.` only. */
  captures: string[];
  /** Characters of the path that the match stands for: those of a prefix without trailing slash, else the whole path. */
  prefixLength: number;
  /** Why there is no rule where the request is too long to tell; else null. */
  refusal: TooLong | null;
}

/** Compiles every rule of a snapshot once; the routers of its listeners share the result. Throws on what can't be honoured. */
export function compileRules(routes: readonly SnapshotRoute[]): readonly CompiledRule[] {
  const rules: CompiledRule[] = [];
  let order = 0;
  for (const route of routes) {
    const captureNames = captureNamesOf(route);
    for (const [place, rule] of route.rules.entries()) {
      const filters = compileFilters(rule.filters, captureNames);
      const matches: CompiledMatch[] = [];
      const compiled: CompiledRule = {
        route,
        rule,
        index: rules.length,
        label: rule.name ?? `#${place + 1}`,
        captureNames,
        matches,
        filters,
        action: compileAction(rule.action, rule.filters, captureNames),
      };
      for (const match of rule.matches.length === 0 ? [null] : rule.matches) {
        const path: PathMatch = match?.path ?? { kind: 'prefix', value: '/' };
        matches.push({
          rule: compiled,
          kind: path.kind,
          path: path.kind === 'prefix' ? withoutTrailingSlash(path.value) : path.value,
          regex: path.kind === 'regex' ? fullRegex(path.value) : null,
          conditions: compileConditions(match),
          order: order++,
        });
      }
      rules.push(compiled);
    }
  }
  return rules;
}

/**
 * HTTPRoute's order among matches with the same path: a method first, then more header fields, then more query
 * parameters, then the order of the configuration.
 */
export function comparePrecedence(a: CompiledMatch, b: CompiledMatch): number {
  return (
    Number(b.conditions.method !== null) - Number(a.conditions.method !== null) ||
    b.conditions.headers.length - a.conditions.headers.length ||
    b.conditions.query.length - a.conditions.query.length ||
    a.order - b.order
  );
}

function captureNamesOf(route: SnapshotRoute): readonly string[] {
  const names = new Set<string>();
  for (const host of route.hosts) {
    if (host.kind === 'capture') for (const name of host.names) names.add(name);
  }
  return [...names];
}

function withoutTrailingSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
