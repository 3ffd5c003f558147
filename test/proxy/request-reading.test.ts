// What a listener may choose about the requests that it reads: paths, names with underscores, and the Forwarded field.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { DEFAULT_PATH_POLICY } from '../../src/http1/normalise.ts';
import type { ListenerConfig } from '../../src/model/listener-config.ts';
import type { SnapshotRoute } from '../../src/model/snapshot.ts';
import { assertNoSocketLeft, DataPlane, RawPeer, RawServer } from '../support/data-plane.ts';
import { listenerConfig, route, rule, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** `/admin` is answered by Portico and protected in this way; everything else goes to the target. */
const PROTECTED: readonly SnapshotRoute[] = [
  route([
    rule(
      { kind: 'respond', status: 403, body: 'no', headers: [] },
      {
        matches: [{ path: { kind: 'prefix', value: '/admin' }, method: null, headers: [], query: [] }],
      },
    ),
    rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] }),
  ]),
];

describe('the reading of a request', () => {
  let close: () => Promise<void>;
  afterEach(() => close());
  after(assertNoSocketLeft);

  /** The status that the client gets, and what the target got: its request line and fields, '' when nothing. */
  async function ask(
    target: string,
    over: Partial<ListenerConfig>,
    { fields = '', trusted = false } = {},
  ): Promise<{ status: number; line: string; seen: string }> {
    const plane = new DataPlane();
    let seen = '';
    const server = await new RawServer(async (peer) => {
      await peer.until(() => peer.received.includes('\r\n\r\n'));
      seen = peer.received;
      peer.send(OK);
    }).listen();
    close = async () => {
      await plane.close();
      await server.close();
    };
    plane.apply(
      snapshotOf({
        listeners: [listenerConfig(over)],
        pools: [{ targets: [server.at] }],
        routes: PROTECTED,
        trustedProxies: trusted ? ['127.0.0.0/8'] : [],
      }),
    );
    const client = await RawPeer.connect(plane.port());
    client.send(`GET ${target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${fields}\r\n`);
    const answer = await client.all();
    client.destroy();
    return { status: Number(answer.split(' ')[1]), line: seen.split('\r\n')[0]!, seen };
  }

  const paths = (policy: Partial<ListenerConfig['paths']>): Partial<ListenerConfig> => ({
    paths: { ...DEFAULT_PATH_POLICY, ...policy },
  });

  for (const [target, policy, status, line] of [
    ['/a/./b%7E?q=%2e', {}, 200, 'GET /a/b~?q=%2e HTTP/1.1'],
    ['/a/./b%7E?q=%2e', { forward: 'received' }, 200, 'GET /a/./b%7E?q=%2e HTTP/1.1'],
    ['http://a.example/a/./b', { forward: 'received' }, 200, 'GET /a/./b HTTP/1.1'],
    ['/x/../admin', { forward: 'received' }, 403, ''],
    ['/%61dmin/', { forward: 'received' }, 403, ''],
    ['//admin', {}, 200, 'GET //admin HTTP/1.1'],
    ['//admin', { mergeSlashes: true }, 403, ''],
    ['/x%2f..%2fadmin', {}, 400, ''],
    ['/x%2f..%2fadmin', { encodedSlash: 'decode' }, 403, ''],
    ['/%2Fadmin', { encodedSlash: 'decode', mergeSlashes: true }, 403, ''],
    ['/a%2Fb', { encodedSlash: 'decode' }, 200, 'GET /a/b HTTP/1.1'],
    ['/a%2Fb', { encodedSlash: 'refuse' }, 400, ''],
    ['/x\\..\\admin', {}, 400, ''],
    ['/x\\..\\admin', { backslash: 'slash' }, 403, ''],
    ['/x\\..\\admin', { backslash: 'keep' }, 400, ''],
    ['/a\\b', { backslash: 'keep' }, 200, 'GET /a\\b HTTP/1.1'],
    ['/admin;x=y', { parameters: 'refuse' }, 400, ''],
    ['/a;x=y', {}, 200, 'GET /a;x=y HTTP/1.1'],
    ['/a%00', { encodedSlash: 'decode', backslash: 'keep' }, 400, ''],
  ] as const) {
    it(`${target} with paths ${JSON.stringify(policy)}: ${status} ${line}`, async () => {
      const answer = await ask(target, paths(policy));
      assert.equal(answer.status, status);
      assert.equal(answer.line, line);
    });
  }

  for (const [target, route, failure] of [
    ['/x/../admin', 'protected', null],
    ['/x%2f..%2fadmin', 'protected', null],
    ['/a\\..\\admin', null, 'bad-request'],
  ] as const) {
    it(`is explained by the same policy: ${target}`, async () => {
      const plane = new DataPlane();
      close = () => plane.close();
      const [protecting] = PROTECTED;
      plane.apply(
        snapshotOf({
          listeners: [listenerConfig(paths({ encodedSlash: 'decode' }))],
          pools: [],
          routes: [{ ...protecting!, name: 'protected', rules: [protecting!.rules[0]!] }],
        }),
      );
      const url = `http://a.example:${plane.port()}${target}`;
      plane.worker.onMessage(
        { kind: 'ask', id: 1, question: { kind: 'route', method: 'GET', url, headers: [] } },
        null,
      );
      const answers = plane.said.flatMap((message) => (message.kind === 'answer' ? [message.answer] : []));
      const [answer] = answers;
      assert.ok(answer?.kind === 'route');
      assert.deepEqual([answer.route.route, answer.route.failure], [route, failure]);
    });
  }

  for (const [underscores, status, passes] of [
    ['drop', 200, false],
    ['pass', 200, true],
    ['refuse', 400, false],
  ] as const) {
    it(`names with an underscore: ${underscores}`, async () => {
      const fields = 'My_Field: 1\r\n';
      const answer = await ask('/', { underscores }, { fields });
      assert.equal(answer.status, status);
      assert.equal(answer.seen.includes('My_Field: 1\r\n'), passes);
    });
  }

  it('drops a name that reads like one of ours with an underscore, even where others pass', async () => {
    const fields = 'X_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\n';
    const { status, seen } = await ask('/', { underscores: 'pass' }, { fields });
    assert.equal(status, 200);
    assert.doesNotMatch(seen, /6\.6\.6\.6|Content_Length/);
  });

  it('replaces the Forwarded field of a client, and adds one where the listener says so', async () => {
    const fields = 'Forwarded: for=6.6.6.6\r\nProxy-Status: evil; error=none\r\n';
    const plain = await ask('/', {}, { fields });
    assert.doesNotMatch(plain.seen, /Forwarded: for|Proxy-Status/);
    await close();
    const added = await ask('/', { forwarded: true }, { fields });
    assert.deepEqual(added.seen.match(/^Forwarded: .*$/gm), [
      'Forwarded: for=127.0.0.1;proto=http;host="a.example"',
    ]);
  });

  it('adds itself behind the Forwarded field of a trusted proxy', async () => {
    const fields = 'Forwarded: for=6.6.6.6\r\n';
    const { seen } = await ask('/', { forwarded: true }, { fields, trusted: true });
    assert.deepEqual(seen.match(/^Forwarded: .*$/gm), [
      'Forwarded: for=6.6.6.6',
      'Forwarded: for=127.0.0.1;proto=http;host="a.example"',
    ]);
  });
});
