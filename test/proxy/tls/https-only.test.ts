// Redirects to https and Strict-Transport-Security, of listeners and of routes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import tls from 'node:tls';
import type { ListenerConfig } from '../../../src/model/listener-config.ts';
import type { FilterConfig } from '../../../src/model/route-config.ts';
import type { SnapshotRoute } from '../../../src/model/snapshot.ts';
import { type CertificatePair, certificateFor } from '../../support/certificates.ts';
import { answering, RawPeer, Stage } from '../../support/data-plane.ts';
import { requirePeers, runPeerSoon } from '../../support/peers.ts';
import { listenerConfig, route, rule, snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, secretsOf } from '../../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nStrict-Transport-Security: max-age=1\r\n\r\nok';
const VALUE = 'max-age=63072000';

describe('https only', () => {
  const stage = new Stage();
  let pair: CertificatePair;
  let target = '';

  before(async () => {
    pair = await certificateFor('*.example.com');
  });
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function apply(
    over: { web?: Partial<ListenerConfig>; tls?: Partial<ListenerConfig> },
    routes: readonly Partial<SnapshotRoute>[],
  ): Promise<void> {
    target = (await stage.backend(answering(OK))).at;
    const toPool = rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] });
    stage.plane.apply(
      snapshotOf({
        listeners: [listenerConfig(over.web), httpsListener(1, {}, over.tls)],
        pools: [{ targets: [target] }],
        routes: routes.map((parts) => route([toPool], parts)),
      }),
      secretsOf([pair]),
    );
  }

  const exact = (host: string): SnapshotRoute['hosts'] => [{ kind: 'exact', text: host, host }];

  async function ask(secure: boolean, host: string, path = '/a%20b?c=d', method = 'GET'): Promise<string> {
    let peer: RawPeer;
    if (secure) {
      const options = { host: '127.0.0.1', port: stage.plane.port('tls'), rejectUnauthorized: false };
      const servername = host.endsWith('.org') ? 'b.example.com' : host;
      const socket = tls.connect({ ...options, servername });
      await once(socket, 'secureConnect');
      peer = new RawPeer(socket);
      stage.clients.push(peer);
    } else {
      peer = await stage.client();
    }
    peer.send(
      `${method} ${path} HTTP/1.1\r\nHost: ${host}${secure ? '' : ':8080'}\r\nConnection: close\r\n\r\n`,
    );
    return await peer.all();
  }

  const field = (answer: string, name: string): readonly string[] =>
    [...answer.matchAll(new RegExp(`^${name}: (.*)\\r$`, 'gim'))].map(([, value]) => value!);

  it('sends every request of a redirecting listener to https, method and query kept', async () => {
    await apply({ web: { redirectToHttps: { port: null, status: 308 } } }, [{}]);
    const answer = await ask(false, 'a.example.com', '/a%20b?c=d', 'POST');
    assert.match(answer, /^HTTP\/1\.1 308 /);
    assert.deepEqual(field(answer, 'location'), ['https://a.example.com/a%20b?c=d']);
    assert.deepEqual(field(answer, 'strict-transport-security'), [], 'not over cleartext');
    assert.match(await ask(true, 'a.example.com'), /^HTTP\/1\.1 200 /);
    await apply({ web: { redirectToHttps: { port: 8443, status: 301 } } }, []);
    const other = await ask(false, 'unknown.example.net');
    assert.match(other, /^HTTP\/1\.1 301 /);
    assert.deepEqual(field(other, 'location'), ['https://unknown.example.net:8443/a%20b?c=d']);
  });

  it('redirects the requests of one route, and leaves the others', async () => {
    await apply({}, [
      { name: 'secure', hosts: exact('a.example.com'), redirectToHttps: { port: null, status: 308 } },
      { name: 'both', hosts: exact('b.example.com') },
    ]);
    assert.match(await ask(false, 'a.example.com'), /^HTTP\/1\.1 308 /);
    assert.match(await ask(false, 'b.example.com'), /^HTTP\/1\.1 200 /);
    assert.match(await ask(true, 'a.example.com'), /^HTTP\/1\.1 200 /);
  });

  it('sets Strict-Transport-Security once, over TLS only: a route before the listener, a filter before both', async () => {
    const own: FilterConfig = {
      kind: 'response-headers',
      set: [{ name: 'strict-transport-security', value: 'max-age=5' }],
      add: [],
      remove: [],
    };
    const respond = { kind: 'respond' as const, status: 200, body: 'ok', headers: [] };
    await apply({ tls: { hsts: VALUE } }, [
      { name: 'a', hosts: exact('a.example.com') },
      { name: 'b', hosts: exact('b.example.com'), hsts: 'max-age=7' },
      { name: 'c', hosts: exact('c.example.com'), rules: [rule(respond, { filters: [own] })] },
      { name: 'd', hosts: exact('d.example.com'), rules: [rule(respond)] },
    ]);
    const sent = async (host: string): Promise<readonly string[]> =>
      field(await ask(true, host), 'strict-transport-security');
    assert.deepEqual(await sent('a.example.com'), [VALUE], "in place of the target's");
    assert.deepEqual(await sent('b.example.com'), ['max-age=7']);
    assert.deepEqual(await sent('c.example.com'), ['max-age=5']);
    assert.deepEqual(await sent('d.example.com'), [VALUE]);
    assert.deepEqual(field(await ask(false, 'd.example.com'), 'strict-transport-security'), []);
  });

  it('says it in every answer that is its own: redirects, failures of a rule, and those that no rule is known for', async () => {
    const redirect = {
      kind: 'redirect' as const,
      scheme: null,
      host: 'z.example.com',
      port: null,
      path: null,
      status: 302,
    };
    await apply({ tls: { hsts: VALUE } }, [
      { name: 'a', hosts: exact('a.example.com'), rules: [rule(redirect)] },
      { name: 'b', hosts: exact('b.example.com') },
      { name: 'c', hosts: exact('c.example.com'), hsts: 'max-age=7' },
    ]);
    await stage.servers[0]!.close();
    for (const [status, value, host, path, method] of [
      [302, VALUE, 'a.example.com', '/', 'GET'],
      [502, VALUE, 'b.example.com', '/', 'GET'],
      [502, 'max-age=7', 'c.example.com', '/', 'GET'],
      [404, VALUE, 'unknown.example.com', '/', 'GET'],
      [400, VALUE, 'b.example.com', '/%zz', 'GET'],
      [400, VALUE, 'b.example.com', '/ /', 'GET'],
      [421, VALUE, 'elsewhere.example.org', '/', 'GET'],
    ] as const) {
      const answer = await ask(true, host, path, method);
      assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer);
      assert.deepEqual(field(answer, 'strict-transport-security'), [value], `${status} ${host}`);
      const plain = await ask(false, host, path, method);
      assert.deepEqual(field(plain, 'strict-transport-security'), [], 'not over cleartext');
    }
  });

  it('says it in its own answers over HTTP/2, and in the one to a head that is refused', async () => {
    await apply({ tls: { hsts: VALUE } }, [{ name: 'a', hosts: exact('a.example.com') }]);
    const { curl } = requirePeers(['curl']);
    const port = stage.plane.port('tls');
    const ask2 = (...more: string[]): Promise<string> =>
      runPeerSoon(curl, [
        ...['-sSk', '--http2', '-D', '-', '-o', '/dev/null', '--max-time', '10'],
        ...['--resolve', `b.example.com:${port}:127.0.0.1`, ...more, `https://b.example.com:${port}/`],
      ]);
    for (const [status, answer] of [
      [404, await ask2()],
      [431, await ask2('-H', `X-Long: ${'a'.repeat(40_000)}`)],
    ] as const) {
      assert.ok(answer.startsWith(`HTTP/2 ${status}`), answer);
      assert.deepEqual(field(answer, 'strict-transport-security'), [VALUE]);
    }
  });
});
