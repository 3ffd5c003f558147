// What the parts of one rule say together: weights, filters that fit the action, prefix rewrites.

import type { PathRewrite, RuleConfig } from '../../model/route-config.ts';
import type { Path } from '../problem.ts';
import { quote } from '../refusal.ts';
import { checkCaptures } from './captures.ts';
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
