import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { type AdminServer, createAdminServer } from '../../../src/control/admin/admin-server.ts';
import type { AdminConfig } from '../../../src/model/config.ts';
import type { Snapshot } from '../../../src/model/snapshot.ts';
import { until } from '../../support/until.ts';
import { FakeSource } from './fake-source.ts';

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

let directory = '';
let source: FakeSource;
let server: AdminServer;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portico-admin-'));
});
after(() => rm(directory, { recursive: true }));

async function start(config: Partial<AdminConfig> = {}): Promise<void> {
  source = new FakeSource();
  server = createAdminServer({
    config: { host: '127.0.0.1', port: 0, unixPath: null, tokenFile: null, hosts: [], ...config },
    source,
    logger: pino({ level: 'silent' }),
  });
  await server.listen();
}

function ask({ method = 'GET', path, headers = {}, body }: Ask): Promise<Reply> {
  const where = server.address.startsWith('unix:')
    ? { socketPath: server.address.slice(5) }
    : { host: '127.0.0.1', port: Number(server.address.split(':').at(-1)) };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...where, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        const isJson = String(response.headers['content-type']).startsWith('application/json');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {},
        });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

const codeOf = (reply: Reply): unknown => (reply.json['error'] as { code?: unknown } | undefined)?.code;
const asJson = { 'content-type': 'application/json' };
/** Marks a request as one that a proxy on this machine passed on, which is how a test looks remote over loopback. */
const remote = { 'x-forwarded-for': '203.0.113.9' };

describe('admin HTTP', () => {
  beforeEach(() => start());
  afterEach(() => server.close(100));

  it('gives up a barrier whose client has left', async () => {
    source.barrierWaits = true;
    const port = Number(server.address.split(':').at(-1));
    const client = connect({ port, host: '127.0.0.1' });
    client.write('GET /drained?cluster=iad&wait=300 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until('the barrier', () => source.barriers === 1);
    client.destroy();
    await until('its end', () => source.barriers === 0);
  });

  it('answers live, and ready with the reasons when it is not', async () => {
    assert.deepEqual((await ask({ path: '/live' })).json, { live: true });
    assert.equal((await ask({ path: '/ready' })).status, 200);
    source.ready = false;
    const reply = await ask({ path: '/ready' });
    assert.equal(reply.status, 503);
    assert.deepEqual(reply.json, { ready: false, reasons: ['No snapshot has been made yet.'] });
  });

  it('serves metrics in the text format', async () => {
    const reply = await ask({ path: '/metrics' });
    assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(reply.text, /^up 1$/m);
  });

  it('lists its calls at the root', async () => {
    const { text } = await ask({ path: '/' });
    for (const path of ['/live', '/targets', '/drain', '/reload']) assert.ok(text.includes(path));
  });

  it('gives targets with their filters, and refuses an unknown pool or cluster, or a misspelt filter', async () => {
    const reply = await ask({ path: '/targets?pool=unicorn&cluster=iad' });
    assert.equal((reply.json['targets'] as unknown[]).length, 2);
    assert.deepEqual(source.calls, ['targets unicorn iad']);
    assert.equal(codeOf(await ask({ path: '/targets?pool=absent' })), 'unknown-pool');
    assert.equal(codeOf(await ask({ path: '/targets?cluster=absent' })), 'unknown-cluster');
    assert.equal(codeOf(await ask({ path: '/targets?service=unicorn' })), 'bad-query');
    assert.equal(codeOf(await ask({ path: '/targets?pol=unicorn' })), 'bad-query');
    assert.equal(codeOf(await ask({ path: '/targets?pool=unicorn&pool=unicorn' })), 'bad-query');
    assert.equal(codeOf(await ask({ path: '/targets?__proto__=x' })), 'bad-query');
    for (const wrong of ['state=gone', 'reason=because', 'limit=0', 'limit=10001', 'limit=x'])
      assert.equal(codeOf(await ask({ path: `/targets?${wrong}` })), 'bad-query', wrong);
    const first = await ask({ path: '/targets?limit=1' });
    assert.deepEqual([(first.json['targets'] as unknown[]).length, first.json['truncated']], [1, true]);
    const out = await ask({ path: '/targets?state=excluded&reason=excluded-label&node=worker-2' });
    assert.deepEqual([(out.json['targets'] as unknown[]).length, out.json['truncated']], [1, false]);
  });

  it('explains nodes, services and urls with method and headers', async () => {
    assert.equal((await ask({ path: '/explain?node=worker-2' })).json['kind'], 'node');
    assert.equal((await ask({ path: '/explain?service=github-production/unicorn' })).status, 200);
    const url = encodeURIComponent('http://fix.example.com/a?b=c');
    const reply = await ask({ path: `/explain?url=${url}&method=POST&header=X-A:1&header=cookie:%20b=2` });
    assert.equal(reply.json['route'], 'github');
    assert.deepEqual(JSON.parse(source.calls.at(-1)!.slice('explain '.length)), {
      kind: 'url',
      url: 'http://fix.example.com/a?b=c',
      method: 'POST',
      headers: [
        { name: 'x-a', value: '1' },
        { name: 'cookie', value: 'b=2' },
      ],
    });
    assert.equal((await ask({ path: '/explain?node=absent' })).status, 404);
    for (const query of [
      '',
      'node=a&service=b/c',
      'service=nameonly',
      'node=',
      `node=&url=${url}`,
      'url=/relative',
      'url=ftp://x/',
      `url=${url}&header=nocolon`,
      'node=a&method=GET',
      `url=${url}&cluster=iad`,
    ]) {
      assert.equal(codeOf(await ask({ path: `/explain?${query}` })), 'bad-query', query);
    }
  });

  it('shows the snapshot without hash keys and credentials', async () => {
    assert.equal((await ask({ path: '/snapshot' })).status, 503);
    source.current = {
      version: 3,
      pools: [{ name: 'a', policy: { name: 'maglev', seed: 'feedface', hashKey: 'deadbeef' } }],
      routes: [
        {
          name: 'r',
          rules: [
            {
              matches: [{ headers: [{ name: 'Authorization', kind: 'exact', value: 'hunter2' }] }],
              filters: [
                {
                  kind: 'request-headers',
                  set: [
                    { name: 'Authorization', value: 'Basic hunter2' },
                    { name: 'X-Api-Key', value: 'hunter2' },
                    // A harmless name, and a value that may come out of the environment all the same.
                    { name: 'X-Shared', value: 'hunter2' },
                  ],
                },
                { kind: 'response-headers', set: [{ name: 'X-Color', value: 'blue' }] },
              ],
            },
          ],
        },
      ],
    } as unknown as Snapshot;
    const { text, json } = await ask({ path: '/snapshot' });
    assert.equal(json['version'], 3);
    assert.doesNotMatch(text, /feedface|deadbeef|hunter2/);
    assert.match(text, /blue/);
  });

  it('drains, undrains and says when a node is drained', async () => {
    const body = JSON.stringify({ cluster: 'iad', node: 'worker-1' });
    source.flows = 2;
    const drain = await ask({ method: 'POST', path: '/drain', headers: asJson, body });
    assert.deepEqual(drain.json, {
      cluster: 'iad',
      node: 'worker-1',
      state: 'draining',
      draining: true,
      drained: false,
      flows: 2,
      kept: true,
    });
    assert.equal((await ask({ path: '/drained?cluster=iad&node=worker-1' })).status, 409);
    source.flows = 0;
    assert.equal((await ask({ path: '/drained?cluster=iad&node=worker-1' })).status, 200);
    assert.equal((await ask({ method: 'POST', path: '/undrain', headers: asJson, body })).status, 200);
    assert.deepEqual(source.calls, [
      'drain iad worker-1',
      'drained iad worker-1',
      'drained iad worker-1',
      'undrain iad worker-1',
    ]);
    assert.equal(codeOf(await ask({ path: '/drained?cluster=iad&node=x' })), 'unknown-node');
    assert.equal(codeOf(await ask({ path: '/drained?node=x' })), 'bad-query');
  });

  it('drains a whole cluster only when nothing but a cluster is named', async () => {
    const post = (path: string, body: object) =>
      ask({ method: 'POST', path, headers: asJson, body: JSON.stringify(body) });
    assert.equal((await post('/drain', { cluster: 'iad' })).status, 200);
    assert.equal((await post('/undrain', { cluster: 'iad', node: null })).status, 200);
    assert.deepEqual(source.calls, ['drain iad null', 'undrain iad null']);
    assert.equal(codeOf(await post('/drain', { cluster: 'iad', nodes: 'worker-1' })), 'bad-body');
    assert.equal(codeOf(await post('/drain', { cluster: 'iad', node: '' })), 'bad-body');
    assert.equal(codeOf(await post('/drain', { cluster: 'sea' })), 'unknown-cluster');
  });

  it('waits at the barrier as long as it is asked to, and lists the drains', async () => {
    source.flows = 1;
    assert.equal((await ask({ path: '/drained?cluster=iad&wait=30' })).status, 409);
    assert.deepEqual(source.calls, ['drained 30000 iad null']);
    for (const wait of ['-1', '301', '1.5', 'x', '']) {
      assert.equal(codeOf(await ask({ path: `/drained?cluster=iad&wait=${wait}` })), 'bad-query', wait);
    }
    assert.match(
      (await ask({ path: '/tables' })).text,
      /"pool":"git-ssh","policy":"rendezvous","checksum":"c0ffee"/,
    );
    source.inForce = [{ cluster: 'iad', node: 'worker-1', sinceMs: 5 }];
    assert.deepEqual((await ask({ path: '/drains' })).json, { drains: source.inForce });
  });

  it('reloads, and gives the problems of a refused configuration', async () => {
    assert.equal((await ask({ method: 'POST', path: '/reload' })).json['version'], 8);
    source.reloadProblems = ['portico.yaml:3:1: unknown key'];
    const refused = await ask({ method: 'POST', path: '/reload' });
    assert.equal(refused.status, 422);
    assert.deepEqual(refused.json['problems'], source.reloadProblems);
  });

  it('answers errors as JSON with a code', async () => {
    assert.equal(codeOf(await ask({ path: '/absent' })), 'unknown-path');
    assert.equal(codeOf(await ask({ path: '//evil.example/live' })), 'unknown-path');
    const get = await ask({ path: '/reload' });
    assert.deepEqual([get.status, codeOf(get), get.headers['allow']], [405, 'method-not-allowed', 'POST']);
    const put = await ask({ method: 'DELETE', path: '/targets' });
    assert.deepEqual([put.status, put.headers['allow']], [405, 'GET, HEAD']);
    const post = { method: 'POST', path: '/drain' };
    assert.equal(codeOf(await ask({ ...post, headers: asJson, body: '{' })), 'bad-body');
    assert.equal(codeOf(await ask({ ...post, headers: asJson, body: '[]' })), 'bad-body');
    assert.equal(
      codeOf(await ask({ ...post, headers: asJson, body: '{"cluster":1,"node":"x"}' })),
      'bad-body',
    );
    assert.equal(
      codeOf(await ask({ ...post, headers: { 'content-type': 'text/plain' }, body: '{}' })),
      'unsupported-media-type',
    );
    const broken = await ask({
      ...post,
      headers: asJson,
      body: JSON.stringify({ cluster: 'iad', node: 'broken' }),
    });
    assert.deepEqual([broken.status, codeOf(broken)], [500, 'internal']);
    assert.doesNotMatch(broken.text, /fell over/);
  });

  it('refuses a body that is too large, announced or not', async () => {
    const body = 'x'.repeat(64 * 1024);
    const post = { method: 'POST', path: '/drain', body };
    assert.equal(codeOf(await ask({ ...post, headers: asJson })), 'body-too-large');
    assert.equal(
      codeOf(await ask({ ...post, headers: { ...asJson, 'transfer-encoding': 'chunked' } })),
      'body-too-large',
    );
    assert.equal((await ask({ path: '/live' })).status, 200);
  });

  it('answers HEAD without a body and sends security headers with everything', async () => {
    const head = await ask({ method: 'HEAD', path: '/live' });
    assert.deepEqual([head.status, head.text], [200, '']);
    for (const path of ['/live', '/absent', '/metrics']) {
      const { headers } = await ask({ path });
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['cache-control'], 'no-store');
      assert.match(String(headers['content-security-policy']), /default-src 'none'/);
    }
  });

  it('closes although a client holds its connection open', async () => {
    const port = Number(server.address.split(':').at(-1));
    const idle = connect(port, '127.0.0.1');
    await new Promise((resolve) => idle.once('connect', resolve));
    idle.write('GET /live HTTP/1.1\r\n');
    const ended = new Promise((resolve) => idle.once('close', resolve));
    idle.on('error', () => {});
    await server.close(20);
    await ended;
  });
});

describe('admin HTTP against foreign pages', () => {
  // The attack: a page at http://evil.example makes its name point to 127.0.0.1 and then calls the admin address as
  // its own origin. The browser lets it read everything, the only trace is the name in Host. Without rebinding, the
  // page can still send simple requests across origins, which carry Origin or Sec-Fetch-Site.
  beforeEach(() => start({ hosts: ['admin.example.com'] }));
  afterEach(() => server.close(100));

  const forbidden = async (headers: Record<string, string>, method = 'GET', path = '/live') => {
    const reply = await ask({ method, path, headers });
    assert.equal(reply.status, 403, JSON.stringify(headers));
    return codeOf(reply);
  };

  it('refuses a Host that is not its own, on reading and changing calls', async () => {
    for (const host of [
      'evil.example',
      'evil.example:9901',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.9.8.7',
      '127.0.0.1@evil',
      '[::1',
      '-',
    ]) {
      assert.equal(await forbidden({ host }), 'foreign-host');
      assert.equal(await forbidden({ host }, 'POST', '/reload'), 'foreign-host');
    }
    assert.deepEqual(source.calls, []);
  });

  it('accepts its own names', async () => {
    for (const host of [
      'localhost',
      'LOCALHOST:1',
      '127.0.0.1:9901',
      '127.0.0.2',
      '[::1]:9901',
      'admin.example.com',
    ]) {
      assert.equal((await ask({ path: '/live', headers: { host } })).status, 200, host);
    }
  });

  it('refuses a foreign Origin and what the browser marks as cross-site', async () => {
    for (const origin of [
      'http://evil.example',
      'null',
      'http://localhost:3000',
      'http://127.0.0.1.evil.example',
    ]) {
      assert.equal(await forbidden({ origin }), 'foreign-origin');
      assert.equal(await forbidden({ origin }, 'POST', '/reload'), 'foreign-origin');
    }
    assert.equal(await forbidden({ 'sec-fetch-site': 'cross-site' }), 'foreign-origin');
    assert.equal(await forbidden({ 'sec-fetch-site': 'same-site' }), 'foreign-origin');
    assert.deepEqual(source.calls, []);
    const host = 'localhost:9901';
    const own = await ask({
      path: '/live',
      headers: { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' },
    });
    assert.equal(own.status, 200);
  });
});

describe('admin HTTP and the token', () => {
  afterEach(() => server.close(100));

  it('takes changing calls that come through a proxy only with the token, and reads a new one without a restart', async () => {
    const tokenFile = join(directory, 'token');
    await writeFile(tokenFile, 's3cret\n');
    await start({ tokenFile });
    const change = (authorization?: string) =>
      ask({
        method: 'POST',
        path: '/reload',
        headers: authorization === undefined ? remote : { ...remote, authorization },
      });
    const denied = await change();
    assert.deepEqual([denied.status, denied.headers['www-authenticate']], [401, 'Bearer realm="portico"']);
    for (const wrong of ['Bearer wrong', 'Basic s3cret', 'Bearer', 'Bearer s3cret2', 'bearer  ']) {
      assert.equal((await change(wrong)).status, 401, wrong);
    }
    assert.deepEqual(source.calls, []);
    assert.equal((await change('Bearer s3cret')).status, 200);
    await writeFile(tokenFile, 'renewed');
    assert.equal((await change('Bearer s3cret')).status, 401);
    assert.equal((await change('Bearer renewed')).status, 200);
    assert.equal((await ask({ path: '/targets', headers: remote })).status, 200, 'reading needs none');
  });

  it('refuses everyone remote while the token file is empty, missing or absurd', async () => {
    const tokenFile = join(directory, 'bad-token');
    await start({ tokenFile });
    const call = { method: 'POST', path: '/reload', headers: { ...remote, authorization: 'Bearer x' } };
    assert.equal((await ask(call)).status, 401);
    await writeFile(tokenFile, ' \n');
    assert.equal((await ask(call)).status, 401);
    await writeFile(tokenFile, 'x'.repeat(5000));
    const long = { ...call, headers: { ...remote, authorization: `Bearer ${'x'.repeat(5000)}` } };
    assert.equal((await ask(long)).status, 401);
    assert.equal((await ask({ method: 'POST', path: '/reload' })).status, 200, 'loopback needs none');
  });

  it('refuses remote changes when no token file is configured', async () => {
    await start();
    const reply = await ask({ method: 'POST', path: '/reload', headers: remote });
    assert.deepEqual([reply.status, codeOf(reply)], [403, 'local-only']);
  });
});

describe('admin HTTP on a UNIX socket', () => {
  it('is private to its owner, needs no token, and replaces the socket of a dead process', async () => {
    const unixPath = join(directory, 'admin.sock');
    await start({ unixPath });
    assert.equal((await stat(unixPath)).mode & 0o777, 0o600);
    assert.equal((await ask({ method: 'POST', path: '/reload' })).status, 200);
    const first = server;
    const second = createAdminServer({
      config: { host: '', port: 0, unixPath, tokenFile: null, hosts: [] },
      source,
      logger: pino({ level: 'silent' }),
    });
    await assert.rejects(second.listen(), { code: 'EADDRINUSE' });
    await first.close(100);
    await leaveDeadSocket(unixPath);
    await start({ unixPath });
    assert.equal((await ask({ path: '/live' })).status, 200);
    await server.close(100);
  });
});

/** A socket file that nobody listens on, as a killed process leaves it. */
async function leaveDeadSocket(path: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    execFileSync(process.execPath, ['-e', script]);
  } catch {
    // Killed, as intended.
  }
  await assert.doesNotReject(stat(path));
}

it('rejects listen when the address is taken', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  await assert.rejects(start({ port }), { code: 'EADDRINUSE' });
  taken.close();
});
