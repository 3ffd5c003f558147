// What becomes of a request that is too long for the conditions of a rule: it must not go around one that denies.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import type { MatchConfig } from '../../../src/model/config.ts';
import { answering, Stage } from '../../support/data-plane.ts';
import { route, rule, snapshotOf } from '../../support/snapshots.ts';

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
});
