// What becomes of a request that is too long for the conditions of a rule: it must not go around one that denies.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import type { MatchConfig } from '../../../src/model/route-config.ts';
import { createRouteMatch, createRouter } from '../../../src/proxy/router/router.ts';
import { answering, DataPlane, Stage } from '../../support/data-plane.ts';
import { route, rule, snapshotOf } from '../../support/snapshots.ts';
import { type MatchSample, type RequestSample, request, route as routeOf } from './samples.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const LONG = 'a'.repeat(4100);
const DENIED = /^HTTP\/1\.1 403 /;

const match = (over: Partial<MatchConfig>): MatchConfig => ({
  path: null,
  method: null,
  headers: [],
  query: [],
  ...over,
});

describe('a request that is too long for a condition', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function ask(
    denied: Partial<MatchConfig>,
    ...requests: readonly string[]
  ): Promise<readonly string[]> {
    const server = await stage.backend(answering(OK));
    const deny = rule(
      { kind: 'respond', status: 403, headers: [], body: 'no' },
      { matches: [match(denied)] },
    );
    const pass = rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], routes: [route([deny, pass])] }));
    const answers: string[] = [];
    for (const request of requests) {
      const client = await stage.client();
      client.send(request);
      await client.until(() => /\r\n\r\n[\s\S]/.test(client.received));
      answers.push(client.received);
    }
    return answers;
  }

  const get = (target: string, fields = ''): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

  it('by its path is answered 414', async () => {
    const [denied, long, other] = await ask(
      { path: { kind: 'regex', value: '/admin(/.*)?' } },
      ...[get('/admin/x'), get(`/admin/${LONG}`), get('/other')],
    );
    assert.match(denied!, DENIED);
    assert.match(long!, /^HTTP\/1\.1 414 [\s\S]*details="target-too-long"/);
    assert.match(other!, /ok$/);
  });

  it('by a header field is answered 431, but not by the one that no condition asks for', async () => {
    const [denied, long, other] = await ask(
      { headers: [{ kind: 'regex', name: 'user-agent', value: '.*bot.*' }] },
      ...['a bot', `${LONG}bot`].map((agent) => get('/', `User-Agent: ${agent}\r\n`)),
      get('/', `X-Other: ${LONG}\r\n`),
    );
    assert.match(denied!, DENIED);
    assert.match(long!, /^HTTP\/1\.1 431 [\s\S]*details="header-too-large"/);
    assert.match(other!, /ok$/);
  });

  it('by its query is answered 414, in the number of parameters and in characters', async () => {
    const [denied, many, long, other] = await ask(
      { query: [{ kind: 'exact', name: 'debug', value: '1' }] },
      ...['debug=1', `${'x&'.repeat(256)}debug=1`, `x=${'a'.repeat(9000)}&debug=1`, 'x&'.repeat(256)].map(
        (query) => get(`/?${query}`),
      ),
    );
    assert.match(denied!, DENIED);
    assert.match(many!, /^HTTP\/1\.1 414 /);
    assert.match(long!, /^HTTP\/1\.1 414 /);
    assert.match(other!, /ok$/);
  });
});

describe('a condition that a request is too long for', () => {
  function outcome(hosts: readonly string[], denied: MatchSample, sample: RequestSample): string | null {
    const routes = [
      routeOf(hosts, [{ name: 'deny', matches: [denied] }]),
      routeOf(['*'], [{ name: 'pass' }]),
    ];
    const out = createRouteMatch();
    createRouter(routes, 'web').match(request('www.example.com', sample), out);
    return out.refusal ?? out.rule?.rule.name ?? null;
  }

  const agent = { 'user-agent': LONG };
  const byAgent = 'user-agent~.*bot.*';
  const cases: readonly (readonly [string, MatchSample, RequestSample, string])[] = [
    [
      'a field, behind an expression that does not fit the path',
      { path: '~/admin(/.*)?', headers: [byAgent] },
      { path: '/other', headers: agent },
      'pass',
    ],
    [
      'a field, behind an expression that fits the path',
      { path: '~/admin(/.*)?', headers: [byAgent] },
      { path: '/admin/x', headers: agent },
      'header-too-large',
    ],
    [
      'a field, before another that is not there',
      { headers: [byAgent, 'x-env=prod'] },
      { headers: agent },
      'pass',
    ],
    [
      'a field, before another that fits',
      { headers: [byAgent, 'x-env=prod'] },
      { headers: { ...agent, 'x-env': 'prod' } },
      'header-too-large',
    ],
    [
      'a field, before a parameter that is not there',
      { headers: [byAgent], query: ['debug=1'] },
      { headers: agent },
      'pass',
    ],
    [
      'a field, before a parameter that may be there',
      { headers: [byAgent], query: ['debug=1'] },
      { headers: agent, query: 'x&'.repeat(257) },
      'header-too-large',
    ],
    ['a parameter, before another', { query: ['a~b.*', 'debug=1'] }, { query: `a=${LONG}` }, 'pass'],
    [
      'the path, beside a field that is not there',
      { path: '~/.*', headers: ['x-env=prod'] },
      { path: `/${LONG}` },
      'pass',
    ],
    ['a field, under a prefix', { path: '/admin', headers: [byAgent] }, { headers: agent }, 'pass'],
    ['a field, under a method', { method: 'POST', headers: [byAgent] }, { headers: agent }, 'pass'],
  ];
  for (const [of, denied, sample, expected] of cases) {
    const told = expected === 'pass' ? 'counts for nothing' : 'refuses the request';
    it(`${told}: ${of}`, () => {
      for (const host of ['www.example.com', '{name}.example.com', '*.example.com'])
        assert.equal(outcome([host], denied, sample), expected, host);
    });
  }

  it('is not come to when a rule before it fits', () => {
    const routes = [
      routeOf(['*'], [{ name: 'exact', matches: [{ path: '=/' }] }, { matches: [{ headers: [byAgent] }] }]),
    ];
    const out = createRouteMatch();
    assert.equal(createRouter(routes, 'web').match(request('a', { headers: agent }), out), true);
    assert.deepEqual([out.rule?.rule.name, out.refusal], ['exact', null]);
  });

  it('leaves nothing to the next request', () => {
    const router = createRouter(
      [routeOf(['{b}.example.com'], [{ matches: [{ headers: [byAgent] }] }])],
      'web',
    );
    const out = createRouteMatch();
    assert.equal(router.match(request('a.example.com', { headers: { 'user-agent': 'bot' } }), out), true);
    assert.equal(router.match(request('a.example.com', { headers: agent }), out), false);
    assert.deepEqual([out.rule, out.captures, out.refusal], [null, [], 'header-too-large']);
    assert.equal(router.match(request('a.example.com'), out), false);
    assert.equal(out.refusal, null);
  });

  for (const [what, path, headers, failure] of [
    ['path', `/admin/${LONG}`, [], 'target-too-long'],
    ['header', '/', [{ name: 'User-Agent', value: LONG }], 'header-too-large'],
  ] as const) {
    it(`is named by an explanation: ${what}`, () => {
      const plane = new DataPlane();
      const denied = [
        match({ path: { kind: 'regex', value: '/admin(/.*)?' } }),
        match({ headers: [{ kind: 'regex', name: 'user-agent', value: '.*bot.*' }] }),
      ];
      const deny = rule({ kind: 'respond', status: 403, headers: [], body: '' }, { matches: denied });
      plane.apply(snapshotOf({ pools: [], routes: [route([deny])] }));
      const url = `http://a.example:${plane.port()}${path}`;
      const question = { kind: 'route', method: 'GET', url, headers } as const;
      plane.worker.onMessage({ kind: 'ask', id: 1, question }, null);
      const said = plane.said.flatMap((message) => (message.kind === 'answer' ? [message.answer] : []));
      plane.close();
      assert.ok(said[0]?.kind === 'route');
      assert.deepEqual([said[0].route.failure, said[0].route.route], [failure, null]);
    });
  }
});

describe('OPTIONS *', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  it('stays what it is under a rewrite', async () => {
    let seen = '';
    const server = await stage.backend((peer) => {
      peer.when('\r\n\r\n', () => {
        seen = peer.take();
        peer.send(OK);
      });
    });
    const filters = [{ kind: 'rewrite', host: null, path: { kind: 'prefix', value: '/tenant-a' } }] as const;
    const routes = [route([rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] }, { filters })])];
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], routes }));
    const client = await stage.client();
    client.send('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.expect('ok');
    assert.match(seen, /^OPTIONS \* HTTP\/1\.1\r\n/);
  });

  for (const [kind, location] of [
    ['prefix', '/v2/'],
    ['full', '/v2'],
  ] as const) {
    it(`is a path when it is redirected to another (${kind})`, async () => {
      const path = { kind, value: '/v2' } as const;
      const action = {
        kind: 'redirect',
        scheme: 'https',
        host: null,
        port: null,
        path,
        status: 308,
      } as const;
      stage.plane.apply(snapshotOf({ pools: [], routes: [route([rule(action)])] }));
      const client = await stage.client();
      client.send('OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n');
      await client.expect('\r\n\r\n');
      assert.ok(client.received.includes(`\r\nLocation: https://a.example${location}\r\n`), client.received);
    });
  }
});
