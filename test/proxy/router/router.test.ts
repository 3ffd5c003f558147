// HTTPRoute's precedence and the edges of host and path matching.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SnapshotRoute } from '../../../src/model/snapshot.ts';
import { createRouteMatch, createRouter } from '../../../src/proxy/router/router.ts';
import { compileRules } from '../../../src/proxy/router/rules.ts';
import { type RequestSample, request, route } from './samples.ts';

function chosen(routes: readonly SnapshotRoute[], host: string, sample: RequestSample = {}): string | null {
  const out = createRouteMatch();
  const found = createRouter(routes, 'web').match(request(host, sample), out);
  assert.equal(found, out.rule !== null);
  return out.rule?.rule.name ?? null;
}

const named = (name: string) => [{ name }];

describe('host precedence', () => {
  const routes = [
    route(['*'], named('any')),
    route(['*.example.com'], named('wildcard')),
    route(['{branch}.example.com'], named('capture')),
    route(['*.eu.example.com'], named('longer wildcard')),
    route(['www.example.com'], named('exact')),
    route(['pr-{n}.example.com'], named('capture with more letters')),
  ];
  const cases: readonly (readonly [string, string, string])[] = [
    ['an exact name wins over every pattern', 'www.example.com', 'exact'],
    ['a capture wins over a wildcard of the same suffix', 'feature.example.com', 'capture'],
    ['a capture with more literal characters goes first', 'pr-7.example.com', 'capture with more letters'],
    ['a wildcard spans several labels', 'a.b.example.com', 'wildcard'],
    ['the longest wildcard suffix wins', 'a.eu.example.com', 'longer wildcard'],
    ['the longest wildcard suffix wins over several labels', 'a.b.eu.example.com', 'longer wildcard'],
    ['a wildcard does not fit its bare suffix', 'example.com', 'any'],
    ['the bare suffix of a longer wildcard falls to the capture', 'eu.example.com', 'capture'],
    ['a suffix that is not a whole label does not count', 'www.badexample.com', 'any'],
    ['a wildcard needs a label before its dot', '.example.com', 'any'],
    ['an empty host is for any', '', 'any'],
    ['an address is for any', '[::1]', 'any'],
    ['an exact name is no prefix of another', 'www.example.com.evil', 'any'],
  ];
  for (const [behaviour, host, expected] of cases) {
    it(behaviour, () => assert.equal(chosen(routes, host), expected));
  }

  it('asks the next less specific host when no rule of the most specific one fits, and gives up at the last', () => {
    const layered = [
      route(['www.example.com'], [{ name: 'exact', matches: [{ path: '/exact' }] }]),
      route(['{b}.example.com'], [{ name: 'capture', matches: [{ path: '/capture' }] }]),
      route(['*.example.com'], [{ name: 'wildcard', matches: [{ path: '/wildcard' }] }]),
      route(['*.com'], [{ name: 'shorter', matches: [{ path: '/shorter' }] }]),
      route(['*'], [{ name: 'any', matches: [{ path: '/any' }] }]),
    ];
    for (const name of ['exact', 'capture', 'wildcard', 'shorter', 'any']) {
      assert.equal(chosen(layered, 'www.example.com', { path: `/${name}` }), name);
    }
    assert.equal(chosen(layered, 'www.example.com', { path: '/none' }), null);
  });

  it('prefers the host over the path: a shorter path on a more specific host wins', () => {
    const routes = [
      route(['*.example.com'], [{ name: 'long', matches: [{ path: '=/a/b' }] }]),
      route(['www.example.com'], [{ name: 'short', matches: [{ path: '/a' }] }]),
    ];
    assert.equal(chosen(routes, 'www.example.com', { path: '/a/b' }), 'short');
  });

  it('merges the rules of several routes with the same host', () => {
    const routes = [
      route(['a.example.com', 'b.example.com'], [{ name: 'first', matches: [{ path: '/one' }] }]),
      route(['b.example.com'], [{ name: 'second', matches: [{ path: '/one/two' }] }]),
    ];
    assert.equal(chosen(routes, 'b.example.com', { path: '/one/two' }), 'second');
    assert.equal(chosen(routes, 'b.example.com', { path: '/one' }), 'first');
    assert.equal(chosen(routes, 'a.example.com', { path: '/one/two' }), 'first');
  });

  it('keeps a route to its listeners, and one without listeners for all', () => {
    const routes = [route(['*'], named('other'), ['internal']), route(['*'], named('all'))];
    assert.equal(chosen(routes, 'x'), 'all');
    const out = createRouteMatch();
    createRouter(routes, 'internal').match(request('x'), out);
    assert.equal(out.rule?.rule.name, 'other');
  });
});

describe('path precedence', () => {
  const routes = [
    route(
      ['*'],
      [
        { name: 'root', matches: [{ path: '/' }] },
        { name: 'regex', matches: [{ path: '~/users/[0-9]+' }] },
        { name: 'longer regex', matches: [{ path: '~/users/[0-9]+(?:/repos)?' }] },
        { name: 'api', matches: [{ path: '/api/' }] },
        { name: 'api v2', matches: [{ path: '/api/v2' }] },
        { name: 'exact', matches: [{ path: '=/api/v2' }] },
        { name: 'exact slash', matches: [{ path: '=/api/v2/' }] },
        { name: 'users', matches: [{ path: '/users/42' }] },
      ],
    ),
  ];
  const cases: readonly (readonly [string, string, string])[] = [
    ['an exact path wins over an equal prefix', '/api/v2', 'exact'],
    ['an exact path counts its trailing slash', '/api/v2/', 'exact slash'],
    ['the longest prefix wins', '/api/v2/x', 'api v2'],
    ['a trailing slash of a configured prefix is ignored', '/api', 'api'],
    ['a prefix fits whole segments', '/api/x', 'api'],
    ['a prefix does not fit a part of a segment', '/apix', 'root'],
    ['a longer prefix does not fit a part of a segment', '/api/v2x', 'api'],
    ['an empty segment is a segment', '/api//v2', 'api'],
    ['case counts', '/API', 'root'],
    ['a regular expression wins over any prefix', '/users/42', 'longer regex'],
    ['the longer of two regular expressions goes first', '/users/7', 'longer regex'],
    ['a regular expression has to fit the whole path', '/users/42/x', 'users'],
    ['the prefix / fits what is no path', '*', 'root'],
  ];
  for (const [behaviour, path, expected] of cases) {
    it(behaviour, () => assert.equal(chosen(routes, 'x', { path }), expected));
  }

  it('falls back to the next shorter prefix when the conditions of the longest do not fit', () => {
    const routes = [
      route(
        ['*'],
        [
          { name: 'a', matches: [{ path: '/a' }] },
          { name: 'a/b', matches: [{ path: '/a/b', method: 'POST' }] },
          { name: 'a/b/c/d', matches: [{ path: '/a/b/c/d', method: 'PUT' }] },
        ],
      ),
    ];
    assert.equal(chosen(routes, 'x', { path: '/a/b/c/d/e', method: 'PUT' }), 'a/b/c/d');
    assert.equal(chosen(routes, 'x', { path: '/a/b/c/d/e', method: 'POST' }), 'a/b');
    assert.equal(chosen(routes, 'x', { path: '/a/b/c/d/e' }), 'a');
    assert.equal(chosen(routes, 'x', { path: '/b' }), null);
  });

  it('never runs a regular expression on a path over the limit, nor takes the next rule instead', () => {
    const routes = [
      route(
        ['*'],
        [
          { name: 'regex', matches: [{ path: '~/.*' }] },
          { name: 'root', matches: [{ path: '/' }] },
        ],
      ),
    ];
    assert.equal(chosen(routes, 'x', { path: `/${'a'.repeat(4095)}` }), 'regex');
    assert.equal(chosen(routes, 'x', { path: `/${'a'.repeat(4096)}` }), null);
  });

  it('tells how much of the path the match stands for', () => {
    const out = createRouteMatch();
    const router = createRouter(routes, 'web');
    const lengths = ['/api/v2/x', '/api/v2', '/zzz', '/users/7'].map((path) => {
      router.match(request('x', { path }), out);
      return out.prefixLength;
    });
    assert.deepEqual(lengths, ['/api/v2'.length, '/api/v2'.length, 0, '/users/7'.length]);
  });
});

describe('precedence among matches of one path', () => {
  const rules = [
    { name: 'plain', matches: [{ path: '/' }] },
    { name: 'two queries', matches: [{ path: '/', query: ['a=1', 'b=2'] }] },
    { name: 'one query', matches: [{ path: '/', query: ['a=1'] }] },
    { name: 'one header', matches: [{ path: '/', headers: ['X-Env=canary'] }] },
    { name: 'two headers', matches: [{ path: '/', headers: ['X-Env=canary', 'X-User~[0-9]+'] }] },
    { name: 'method', matches: [{ path: '/', method: 'POST' }] },
    { name: 'later plain', matches: [{ path: '/' }] },
  ];
  const routes = [route(['*'], rules)];
  const canary = { 'x-env': 'canary' };
  const cases: readonly (readonly [string, RequestSample, string])[] = [
    ['the first of equal rules wins', {}, 'plain'],
    ['a method counts more than any header', { method: 'POST', headers: canary }, 'method'],
    ['more headers count more', { headers: { ...canary, 'x-user': '12' } }, 'two headers'],
    [
      'a header regular expression fits the whole value',
      { headers: { ...canary, 'x-user': '12a' } },
      'one header',
    ],
    ['a header counts more than a query', { headers: canary, query: 'a=1&b=2' }, 'one header'],
    ['more query parameters count more', { query: 'b=2&a=1' }, 'two queries'],
    ['a query value has to fit', { query: 'b=3&a=1' }, 'one query'],
    ['the first value of a repeated parameter counts', { query: 'a=2&a=1' }, 'plain'],
    ['names and values are decoded', { query: '%61=%31' }, 'one query'],
    ['a header value is compared with its case', { headers: { 'x-env': 'Canary' } }, 'plain'],
  ];
  for (const [behaviour, sample, expected] of cases) {
    it(behaviour, () => assert.equal(chosen(routes, 'x', sample), expected));
  }

  it('breaks ties between routes by their order', () => {
    const routes = [route(['*'], named('older')), route(['*'], named('newer'))];
    assert.equal(chosen(routes, 'x'), 'older');
  });

  it('counts only the first of several conditions on the same header', () => {
    const routes = [route(['*'], [{ name: 'hit', matches: [{ headers: ['X-A=1', 'x-a=2'] }] }])];
    assert.equal(chosen(routes, 'x', { headers: { 'x-a': '1' } }), 'hit');
    assert.equal(chosen(routes, 'x', { headers: { 'x-a': '2' } }), null);
  });

  it('takes a rule when any of its matches fits, with the precedence of that match', () => {
    const routes = [
      route(
        ['*'],
        [
          { name: 'either', matches: [{ path: '/a', headers: ['v=2'] }, { path: '/v2/a' }] },
          { name: 'a', matches: [{ path: '/a' }] },
        ],
      ),
    ];
    assert.equal(chosen(routes, 'x', { path: '/v2/a/b' }), 'either');
    assert.equal(chosen(routes, 'x', { path: '/a' }), 'a');
    assert.equal(chosen(routes, 'x', { path: '/a', headers: { v: '2' } }), 'either');
  });
});

describe('captures', () => {
  it('come in the order of the names of the route, whatever the host pattern calls first', () => {
    const routes = [route(['{app}.{branch}.lab.test', '{branch}.lab.test', 'lab.test'], named('lab'))];
    const router = createRouter(routes, 'web');
    const out = createRouteMatch();
    router.match(request('web.fix-1.lab.test'), out);
    assert.deepEqual(out.rule?.captureNames, ['app', 'branch']);
    assert.deepEqual(out.captures, ['web', 'fix-1']);
    router.match(request('fix-2.lab.test'), out);
    assert.deepEqual(out.captures, ['', 'fix-2']);
    router.match(request('lab.test'), out);
    assert.deepEqual(out.captures, []);
    assert.equal(router.match(request('other.test'), out), false);
    assert.deepEqual([out.rule, out.match, out.captures], [null, null, []]);
  });

  it('keep the names of each route when two routes have the same pattern under different names', () => {
    const routes = [
      route(['{a}.lab.test'], [{ name: 'a', matches: [{ path: '/a' }] }]),
      route(['{b}.lab.test'], [{ name: 'b', matches: [{ path: '/a/b' }] }]),
    ];
    const out = createRouteMatch();
    createRouter(routes, 'web').match(request('x.lab.test', { path: '/a/b' }), out);
    assert.deepEqual([out.rule?.captureNames, out.captures], [['b'], ['x']]);
  });

  it('span one label', () => {
    const routes = [route(['{branch}.lab.test'], named('lab'))];
    assert.equal(chosen(routes, 'a.b.lab.test'), null);
  });

  it('never hold what could leave a header line, a path or a service name', () => {
    const routes = [route(['{branch}.lab.test'], named('lab'))];
    for (const label of ['a\r\nx', 'a/b', 'a b', '{b}', 'é', 'A', 'a%2f']) {
      assert.equal(chosen(routes, `${label}.lab.test`), null, JSON.stringify(label));
    }
  });
});

describe('compiled rules', () => {
  it('are numbered over the whole snapshot, so that every listener shares the slots', () => {
    const routes = [
      route(['a'], [{ name: '0' }, { name: '1' }], ['other']),
      route(['*'], [{ name: '2' }, { name: '3', matches: [{ path: '/x' }] }]),
    ];
    const rules = compileRules(routes);
    assert.deepEqual(
      rules.map(({ index, rule }) => [index, rule.name]),
      [
        [0, '0'],
        [1, '1'],
        [2, '2'],
        [3, '3'],
      ],
    );
    const out = createRouteMatch();
    createRouter(routes, 'web', rules).match(request('a', { path: '/x' }), out);
    assert.equal(out.rule, rules[3]);
  });
});

describe('the label of a rule', () => {
  it('is its name, or its place in its own route, counted from one', () => {
    const routes = [route(['a.example'], [{}, { name: 'api' }, {}]), route(['b.example'], [{}, {}])];
    assert.deepEqual(
      compileRules(routes).map(({ label }) => label),
      ['#1', 'api', '#3', '#1', '#2'],
    );
  });
});
