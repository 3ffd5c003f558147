// Who says what: fields that clients may not forge, edits of a rule, and trailers, which obey both.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import type { FilterConfig } from '../../src/model/route-config.ts';
import type { SnapshotAction } from '../../src/model/snapshot.ts';
import { answering, type RawPeer, Stage } from '../support/data-plane.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { route, rule, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const FORGED = [
  'X-Client-Cert-Verify: success',
  'Client-Cert: :AAAA:',
  'Proxy-Status: forged',
  'X-Forwarded-User: root',
];

const edit = (
  kind: 'request-headers' | 'response-headers',
  edits: { remove?: readonly string[]; set?: Readonly<Record<string, string>> },
): FilterConfig => ({
  kind,
  remove: edits.remove ?? [],
  set: Object.entries(edits.set ?? {}).map(([name, value]) => ({ name, value })),
  add: [],
});

/** The values of the lines with this name. */
const named = (text: string, name: string): string[] =>
  text
    .split('\r\n')
    .filter((line) => line.toLowerCase().startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 2));

describe('who says what', () => {
  const stage = new Stage();
  const closers: (() => void)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) close();
    await stage.clear();
  });
  after(() => stage.end());

  interface Rules {
    readonly filters?: readonly FilterConfig[];
    readonly trustedProxies?: readonly string[];
  }

  function serve(
    at: string,
    { filters = [], trustedProxies = [] }: Rules,
    protocol: 'http1' | 'http2' = 'http1',
  ): void {
    const routes = [route([rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] }, { filters })])];
    stage.plane.apply(snapshotOf({ pools: [{ targets: [at], protocol }], routes, trustedProxies }));
  }

  /** What an HTTP/1.1 target gets of a request whose bytes end with `last`, and what the client gets. */
  async function through(
    request: string,
    rules: Rules = {},
    answer = OK,
    last = '\r\n\r\n',
  ): Promise<{ seen: string; answer: string }> {
    let target: RawPeer | null = null;
    const server = await stage.backend((peer) => {
      target ??= peer;
      peer.when(last, () => peer.send(answer));
    });
    serve(server.at, rules);
    const client = await stage.client();
    client.send(request);
    await client.until(() => /\r\n\r\n(?:[\s\S]*(?:0\r\n(?:.+\r\n)*\r\n|ok))$/.test(client.received));
    return { seen: target!.received, answer: client.received };
  }

  describe('trailers of a request', () => {
    const post = (...trailers: string[]): string =>
      `POST /public HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n${trailers
        .map((line) => `${line}\r\n`)
        .join('')}\r\n`;

    it('do not go to an HTTP/1.1 target, which could take them for the next request or for fields of the head', async () => {
      const { seen } = await through(
        post('DELETE: /admin/user/7 HTTP/1.1', 'X-Sum: 1', ...FORGED),
        {},
        OK,
        '\r\n0\r\n\r\n',
      );
      assert.ok(seen.endsWith('\r\n\r\n2\r\nhi\r\n0\r\n\r\n'), seen);
      assert.doesNotMatch(seen, /DELETE|X-Sum|X-Client-Cert|Proxy-Status|Trailer/);
    });

    it('go to an HTTP/2 target but for what a client may not say, and what the rule edits', async () => {
      const server = http2.createServer();
      const seen = new Promise<http2.IncomingHttpHeaders>((resolve) => {
        server.on('stream', (stream: http2.ServerHttp2Stream) => {
          stream.on('trailers', resolve);
          stream.on('end', () => {
            stream.respond({ ':status': 200 });
            stream.end('ok');
          });
          stream.resume();
        });
      });
      server.listen(0, '127.0.0.1');
      closers.push(() => server.close());
      await once(server, 'listening');
      const filters = [
        edit('request-headers', { remove: ['X-Internal-Role'], set: { 'X-User': 'anonymous' } }),
      ];
      serve(`127.0.0.1:${(server.address() as AddressInfo).port}`, { filters }, 'http2');
      const client = await stage.client();
      client.send(post('X-Sum: 1', 'x-internal-role: admin', 'X-USER: admin', ...FORGED));
      await client.expect('ok');
      const trailers = Object.entries(await seen);
      assert.deepEqual(trailers, [['x-sum', '1']]);
    });
  });

  it('interim answers obey what the rule removes', async () => {
    const filters = [edit('response-headers', { remove: ['X-Secret'], set: { 'X-Late': '1' } })];
    const { answer } = await through(
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      { filters },
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Secret: s\r\n\r\n${OK}`,
    );
    assert.match(answer, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /X-Late: 1/i);
  });

  it('trailers of an answer obey the edits of the rule, in both versions', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nx-secret: s\r\n\r\n';
    const filters = [edit('response-headers', { remove: ['X-Secret'] })];
    const server = await stage.backend(answering(answer));
    serve(server.at, { filters });
    const old = await stage.client();
    old.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await old.expect('\r\n0\r\nX-Sum: 1\r\n\r\n');
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    const stream = client.open({ ':path': '/' });
    stream.end();
    const { trailers } = await answerOf(stream);
    await client.close();
    assert.equal(trailers['x-sum'], '1');
    assert.equal(trailers['x-secret'], undefined);
  });

  const CLAIMS = [
    'X-Forwarded-Ssl',
    'X-Forwarded-User',
    'X-Forwarded',
    'X-FORWARDED-Anything',
    'Front-End-Https',
  ];
  const MORE_CLAIMS = [
    'X-Scheme',
    'X-Original-URL',
    'X-Rewrite-Url',
    'X-Client-IP',
    'X-Cluster-Client-Ip',
    'True-Client-Ip',
  ];
  const DISGUISED = ['X!Forwarded!For', 'X~Real~Ip', "X'Forwarded*Ssl", 'X_Forwarded_Proto', 'X.Client.Ip'];

  it('what clients claim about themselves passes from trusted proxies alone', async () => {
    const claims = [...CLAIMS, ...MORE_CLAIMS].map((name) => `${name}: forged\r\n`).join('');
    const request = `GET / HTTP/1.1\r\nHost: a\r\nX-Forward: kept\r\n${claims}\r\n`;
    const { seen } = await through(request);
    assert.doesNotMatch(seen, /forged/);
    assert.match(seen, /X-Forward: kept/);
    const trusted = await through(request, { trustedProxies: ['127.0.0.0/8'] });
    for (const name of [...CLAIMS, ...MORE_CLAIMS])
      assert.match(trusted.seen, new RegExp(`\r\n${name}: forged\r\n`));
  });

  it('names that a server could read as a claim pass from nobody', async () => {
    const claims = DISGUISED.map((name) => `${name}: forged\r\n`).join('');
    const { seen } = await through(`GET / HTTP/1.1\r\nHost: a\r\nX!Mine: kept\r\n${claims}\r\n`, {
      trustedProxies: ['127.0.0.0/8'],
    });
    assert.doesNotMatch(seen, /forged/);
    assert.match(seen, /X!Mine: kept/);
  });

  it('a rule that sets or removes what Portico says itself has the last word', async () => {
    const filters = [
      edit('request-headers', {
        remove: ['X-Forwarded-Host', 'Via'],
        set: { 'X-Forwarded-Proto': 'https', 'X-Request-Id': 'mine', 'Max-Forwards': '7' },
      }),
      edit('response-headers', { set: { 'X-Request-Id': 'theirs' }, remove: ['Date'] }),
    ];
    const { seen, answer } = await through('OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n', {
      filters,
    });
    assert.deepEqual(named(seen, 'x-forwarded-proto'), ['https']);
    assert.deepEqual(named(seen, 'x-request-id'), ['mine']);
    assert.deepEqual(named(seen, 'max-forwards'), ['7']);
    assert.deepEqual(named(seen, 'x-forwarded-for'), ['127.0.0.1']);
    assert.deepEqual([...named(seen, 'x-forwarded-host'), ...named(seen, 'via')], []);
    assert.deepEqual(named(answer, 'x-request-id'), ['theirs']);
    assert.deepEqual(named(answer, 'date'), []);
  });

  it('a rule has the last word on the answers that it gives itself, too', async () => {
    const long = 'Thu, 01 Jan 1970 00:00:00 GMT';
    const set = edit('response-headers', {
      set: { Date: long, 'X-Request-Id': 'mine', Location: 'https://b/' },
    });
    const remove = edit('response-headers', { remove: ['Date', 'X-Request-Id', 'Location'] });
    const respond = (...headers: { name: string; value: string }[]): SnapshotAction => ({
      kind: 'respond',
      status: 200,
      body: 'ok',
      headers,
    });
    const redirect: SnapshotAction = {
      kind: 'redirect',
      scheme: null,
      host: null,
      port: null,
      path: null,
      status: 302,
    };
    const cases: [SnapshotAction, FilterConfig[], date: string[], id: string[], location: string[]][] = [
      [respond(), [set], [long], ['mine'], ['https://b/']],
      [respond(), [remove], [], [], []],
      [
        respond({ name: 'Date', value: long }, { name: 'X-Request-ID', value: 'mine' }),
        [],
        [long],
        ['mine'],
        [],
      ],
      [redirect, [set], [long], ['mine'], ['https://b/']],
      [redirect, [remove], [], [], []],
    ];
    for (const [action, filters, ...expected] of cases) {
      stage.plane.apply(snapshotOf({ pools: [], routes: [route([rule(action, { filters })])] }));
      const client = await stage.client();
      client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      const text = await client.all();
      const names = ['date', 'x-request-id', 'location'];
      assert.deepEqual(
        names.map((name) => named(text, name)),
        expected,
        text,
      );
      const http2Client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
      const { headers } = await http2Client.get('/');
      assert.deepEqual(
        names.map((name) => headers[name] ?? null),
        expected.map(([value]) => value ?? null),
      );
      await http2Client.close();
    }
  });

  it('a date that the connection alone was told of is said anew', async () => {
    const { answer } = await through(
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      {},
      'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: Date\r\nContent-Length: 2\r\n\r\nok',
    );
    assert.equal(answer.match(/^date: /gim)?.length, 1);
    assert.doesNotMatch(answer, /01 Jan 2026/);
  });

  it('a target that answers without wanting the body that it was asked about gets no other request on that connection', async () => {
    const server = await stage.backend(answering(OK));
    serve(server.at, {});
    const client = await stage.client();
    for (let round = 1; round <= 3; round += 1) {
      client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi');
      await client.expect('\r\n\r\nok');
      client.take();
    }
    assert.equal(server.connections, 3);
  });

  it('a target that says in an interim answer that it closes gets no other request on that connection', async () => {
    const server = await stage.backend(
      answering(`HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${OK}`),
    );
    serve(server.at, {});
    const client = await stage.client();
    for (let round = 1; round <= 2; round += 1) {
      client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.expect('\r\n\r\nok');
      client.take();
    }
    assert.equal(server.connections, 2);
  });

  it('a target that has asked for the body gets more requests on its connection', async () => {
    const server = await stage.backend((peer) => {
      peer.when('\r\n\r\n', () => peer.send('HTTP/1.1 100 Continue\r\n\r\n'));
      peer.when('\r\n\r\nhi', () => {
        peer.take();
        peer.send(OK);
        peer.when('GET', () => peer.send(OK));
      });
    });
    serve(server.at, {});
    const client = await stage.client();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    await client.expect('100 Continue');
    client.send('hi');
    await client.expect('\r\n\r\nok');
    client.take();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.expect('\r\n\r\nok');
    assert.equal(server.connections, 1);
  });
});
