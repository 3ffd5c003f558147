// The router against a naive reference: score every match of every route, take the best.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostPattern, MatchConfig, ValueMatch } from '../../../src/model/route-config.ts';
import type { SnapshotRoute } from '../../../src/model/snapshot.ts';
import type { RouteRequest } from '../../../src/proxy/router/request.ts';
import { createRouteMatch, createRouter } from '../../../src/proxy/router/router.ts';
import { fc } from '../../support/properties.ts';
import { type MatchSample, request, route } from './samples.ts';

type Score = readonly number[];

/** Larger is more specific, element by element; null does not fit. */
function hostScore(pattern: HostPattern, host: string): Score | null {
  if (pattern.kind === 'any') return [0, 0, 0, 0];
  if (pattern.kind === 'exact') return pattern.host === host ? [2, 0, 0, 0] : null;
  if (pattern.kind === 'wildcard') {
    const fits = host.endsWith(`.${pattern.suffix}`) && host.length > pattern.suffix.length + 1;
    return fits ? [1, pattern.suffix.length, 0, 0] : null;
  }
  const suffix = pattern.text
    .slice(pattern.text.lastIndexOf('}') + 1)
    .split('.')
    .slice(1)
    .join('.');
  if (!new RegExp(`^${pattern.regex}$`).test(host)) return null;
  return [suffix === '' ? 0 : 1, suffix.length, 1, pattern.text.replace(/\{\w+\}/g, '').length];
}

function pathScore(match: MatchConfig, path: string): Score | null {
  const { kind, value } = match.path ?? { kind: 'prefix', value: '/' };
  if (kind === 'exact') return path === value ? [2, 0] : null;
  if (kind === 'regex') return new RegExp(`^(?:${value})$`).test(path) ? [1, value.length] : null;
  const prefix = value.replace(/\/$/, '');
  const fits = prefix === '' || path === prefix || path.startsWith(`${prefix}/`);
  return fits ? [0, prefix.length] : null;
}

const fits = (condition: ValueMatch, value: string | null | undefined): boolean => {
  if (value === null || value === undefined) return false;
  if (condition.kind === 'present') return true;
  if (condition.kind === 'exact') return condition.value === value;
  return new RegExp(`^(?:${condition.value})$`).test(value);
};

function scoreOf(pattern: HostPattern, match: MatchConfig, asked: RouteRequest): Score | null {
  const host = hostScore(pattern, asked.host);
  const path = pathScore(match, asked.path);
  if (host === null || path === null) return null;
  if (match.method !== null && match.method !== asked.method) return null;
  if (!match.headers.every((header) => fits(header, asked.header(header.name.toLowerCase())))) return null;
  const parameters = new URLSearchParams(asked.query);
  if (!match.query.every((query) => fits(query, parameters.get(query.name)))) return null;
  return [...host, ...path, match.method === null ? 0 : 1, match.headers.length, match.query.length];
}

const everything: MatchConfig = { path: null, method: null, headers: [], query: [] };

function reference(routes: readonly SnapshotRoute[], asked: RouteRequest): string | null {
  let best: Score | null = null;
  let name: string | null = null;
  for (const { hosts, rules } of routes) {
    for (const rule of rules) {
      for (const match of rule.matches.length === 0 ? [everything] : rule.matches) {
        for (const pattern of hosts) {
          const score = scoreOf(pattern, match, asked);
          if (score === null || (best !== null && !isGreater(score, best))) continue;
          best = score;
          name = rule.name;
        }
      }
    }
  }
  return name;
}

function isGreater(a: Score, b: Score): boolean {
  for (const [i, value] of a.entries()) {
    if (value !== b[i]) return value > (b[i] as number);
  }
  return false;
}

// Few names, so that patterns collide, nest and shadow each other all the time.
const segment = fc.constantFrom('a', 'b', 'aa', 'a-b');
const name = fc.array(segment, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const hostText = fc.oneof(
  fc.constant('*'),
  name,
  name.map((suffix) => `*.${suffix}`),
  name.map((suffix) => `{x}.${suffix}`),
  name.map((suffix) => `a{x}.${suffix}`),
  fc.constant('{x}'),
);
const pathText = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
const requestPath = fc.tuple(pathText, fc.constantFrom('', '/', '//', 'x')).map((parts) => parts.join(''));
const matchPath = fc.oneof(
  pathText,
  pathText.map((text) => `${text}/`.replace('//', '/')),
  requestPath.map((text) => `=${text}`),
  fc.constantFrom('~/a.*', '~/(?:a|b)/.*', '~/[ab]+'),
);
const small = fc.constantFrom('1', '2');
const condition = fc
  .tuple(fc.constantFrom('p', 'q'), fc.constantFrom('=1', '=2', '', '~[12]'))
  .map((parts) => parts.join(''));
const conditions = fc.uniqueArray(condition, { maxLength: 2, selector: (text) => text[0] });
const matchSample: fc.Arbitrary<MatchSample> = fc.record(
  { path: matchPath, method: fc.constantFrom('GET', 'POST'), headers: conditions, query: conditions },
  { requiredKeys: [] },
);
const routesArbitrary = fc
  .array(
    fc.tuple(
      fc.uniqueArray(hostText, { minLength: 1, maxLength: 3 }),
      fc.array(fc.array(matchSample, { maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    ),
    { maxLength: 6 },
  )
  .map((drafts) =>
    drafts.map(([hosts, rules], r) =>
      route(
        hosts,
        rules.map((matches, n) => ({ name: `${r}.${n}`, matches })),
      ),
    ),
  );
const values = fc.record({ p: small, q: small }, { requiredKeys: [] });
const requestArbitrary = fc
  .record({
    host: fc.oneof(name, name, fc.constant('')),
    path: requestPath,
    method: fc.constantFrom('GET', 'POST'),
    headers: values,
    query: values,
  })
  .map(({ host, query, headers, ...rest }) =>
    request(host, {
      ...rest,
      headers: headers as Record<string, string>,
      query: new URLSearchParams(query as Record<string, string>).toString(),
    }),
  );

describe('router', () => {
  it('chooses the same rule as a linear reference matcher, for any routes and requests', () => {
    fc.assert(
      fc.property(
        routesArbitrary,
        fc.array(requestArbitrary, { minLength: 5, maxLength: 20 }),
        (routes, requests) => {
          const router = createRouter(routes, 'web');
          const out = createRouteMatch();
          for (const asked of requests) {
            router.match(asked, out);
            assert.equal(out.rule?.rule.name ?? null, reference(routes, asked));
          }
        },
      ),
      { numRuns: 1500 },
    );
  });
});
