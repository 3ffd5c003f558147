// What the parts of one rule say together: weights, filters that fit the action, prefix rewrites, captures.

import type { Config, PathRewrite, PoolConfig, RouteConfig, RuleConfig } from '../../model/config.ts';
import type { Path } from '../problem.ts';
import { quote } from '../refusal.ts';
import type { CheckContext } from './context.ts';

export function checkRules(context: CheckContext): void {
  const pools = new Map(context.config.pools.map((pool) => [pool.name, pool]));
  for (const [index, route] of context.config.routes.entries()) {
    for (const [ruleIndex, rule] of route.rules.entries()) {
      const place = context.places.rule(index, ruleIndex);
      checkWeights(context, rule, place);
      checkFilters(context, rule, place);
    }
    checkCaptures(context, route, index, pools);
  }
}

function checkWeights({ problem }: CheckContext, { action }: RuleConfig, place: Path): void {
  if (action.kind !== 'pools') {
    return;
  }
  if (action.pools.every(({ weight }) => weight === 0)) {
    problem(
      [...place, 'pools'],
      'weight-zero',
      'every pool of this rule has weight 0, so it could answer nothing',
      'Give one of them a weight of at least 1.',
      'key',
    );
  }
  for (const [index, { name }] of action.pools.entries()) {
    if (action.pools.findIndex((other) => other.name === name) < index) {
      problem(
        [...place, 'pools', index, 'name'],
        'duplicate',
        `the pool ${quote(name)} stands twice in this rule`,
        'Keep one, with the sum of the weights.',
      );
    }
  }
}

function checkFilters({ problem }: CheckContext, rule: RuleConfig, place: Path): void {
  const { action, filters } = rule;
  const reachesTarget = action.kind === 'pools' || action.kind === 'service';
  let rewrites = 0;
  for (const [index, filter] of filters.entries()) {
    const key =
      filter.kind === 'rewrite'
        ? 'rewrite'
        : filter.kind === 'request-headers'
          ? 'requestHeaders'
          : 'responseHeaders';
    const filterPlace = [...place, 'filters', index, key];
    if (!reachesTarget && filter.kind !== 'response-headers') {
      problem(
        filterPlace,
        'no-effect',
        `${key} has no effect: the action ${action.kind} sends no request to a target`,
        'Remove the filter.',
        'key',
      );
    }
    if (filter.kind === 'rewrite') {
      rewrites++;
      if (rewrites === 2) {
        problem(
          filterPlace,
          'duplicate',
          'there are two rewrites in this rule',
          'Put host and path into one.',
          'key',
        );
      }
      checkPrefix(problem, rule, filter.path, [...filterPlace, 'path', 'prefix']);
    }
  }
  if (action.kind === 'redirect') {
    checkPrefix(problem, rule, action.path, [...place, 'redirect', 'path', 'prefix']);
  }
}

/** A prefix can be replaced only where one was matched (HTTPRoute, `ReplacePrefixMatch`). */
function checkPrefix(
  problem: CheckContext['problem'],
  rule: RuleConfig,
  path: PathRewrite | null,
  place: Path,
): void {
  if (
    path?.kind === 'prefix' &&
    rule.matches.some((match) => match.path !== null && match.path.kind !== 'prefix')
  ) {
    problem(
      place,
      'prefix-unmatched',
      'a prefix is replaced, but a match of this rule is not by prefix',
      'Use path: { full: ... }, or match by prefix only.',
      'key',
    );
  }
}

/** Captures are used by a rule's `service` and by hash keys, and must then be declared by every host of the route. */
function checkCaptures(
  { places, problem }: CheckContext,
  route: RouteConfig,
  index: number,
  pools: ReadonlyMap<string, PoolConfig>,
): void {
  const place = places.at('routes', index);
  const used = new Set<string>();
  for (const [ruleIndex, rule] of route.rules.entries()) {
    for (const { name, path } of capturesOf(rule, pools)) {
      used.add(name);
      const lacking = route.hosts.find((host) => host.kind !== 'capture' || !host.names.includes(name));
      if (lacking !== undefined) {
        problem(
          [...places.rule(index, ruleIndex), ...path],
          'capture-unknown',
          `the capture {${name}} is used here, but the host ${quote(lacking.text)} of this route has no such capture`,
          `Declare it in every host of the route, as in "{${name}}.example.com".`,
        );
      }
    }
  }
  if (places.isIncomplete(index)) {
    return;
  }
  for (const [position, host] of route.hosts.entries()) {
    for (const name of host.kind === 'capture' ? host.names : []) {
      if (!used.has(name)) {
        const wildcard = host.text.replace(`{${name}}`, '*');
        const hint =
          wildcard.startsWith('*.') && !wildcard.includes('{')
            ? ` Write "${wildcard}" if the name does not matter.`
            : '';
        problem(
          [...place, 'hosts', position],
          'capture-unused',
          `the capture {${name}} is not used by any rule of this route`,
          `Use it in a service, as in "review-lab-{${name}}/unicorn", or as a hash key.${hint}`,
        );
      }
    }
  }
}

function capturesOf(
  { action }: RuleConfig,
  pools: ReadonlyMap<string, Config['pools'][number]>,
): { readonly name: string; readonly path: Path }[] {
  const found: { name: string; path: Path }[] = [];
  if (action.kind === 'service') {
    for (const [, name = ''] of action.service.matchAll(/\{([^}]*)\}/g)) {
      found.push({ name, path: ['service', 'name'] });
    }
    if (action.template.policy.key?.kind === 'capture') {
      found.push({ name: action.template.policy.key.name, path: ['service', 'policy', 'key'] });
    }
  } else if (action.kind === 'pools') {
    for (const [position, { name }] of action.pools.entries()) {
      const key = pools.get(name)?.policy.key;
      if (key?.kind === 'capture') {
        found.push({ name: key.name, path: ['pools', position, 'name'] });
      }
    }
  }
  return found;
}
