import assert from 'node:assert/strict';
import dns from 'node:dns';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import { createSystemClock } from '../../../src/control/discovery/clock.ts';
import type { ProbeResult, ProbeTarget } from '../../../src/control/health/probe-result.ts';
import { createProber } from '../../../src/control/health/probes.ts';
import { ProbeTls } from '../../../src/control/tls/probe-tls.ts';
import type { PoolTls } from '../../../src/model/pool-config.ts';
import { certificateKey, type NamedSecrets } from '../../../src/model/secrets.ts';
import { Authority } from '../../support/authority.ts';

const secrets: { pairs: NamedSecrets['pairs']; files: Record<string, string> } = { pairs: {}, files: {} };
const probeTls = new ProbeTls(() => secrets);
const prober = createProber({
  clock: createSystemClock(),
  monotonic: () => performance.now(),
  tlsOptions: (tls, host, hostHeader) => probeTls.options(tls, host, hostHeader),
  lookup: dns.lookup as net.LookupFunction,
});
const servers: net.Server[] = [];
const sockets = new Set<net.Socket>();

after(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listen<S extends net.Server>(server: S): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address instanceof Object);
  return address.port;
}

async function closedPort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  servers.splice(servers.indexOf(server), 1);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs a probe to its very end and checks that there is exactly one result. */
async function probe(
  target: ProbeTarget,
  timeoutMs = 2000,
  signal = new AbortController().signal,
): Promise<ProbeResult> {
  const results: ProbeResult[] = [];
  await prober(target, timeoutMs, signal, (result) => results.push(result));
  assert.equal(results.length, 1);
  return results[0]!;
}

const raw = (answer: string, close = true): net.Server =>
  net.createServer((socket) => {
    socket.once('data', () => (close ? socket.end(answer) : socket.write(answer)));
  });
const httpTarget = (
  port: number,
  changes: Partial<Extract<ProbeTarget, { kind: 'http' }>> = {},
): ProbeTarget => ({
  kind: 'http',
  host: '127.0.0.1',
  port,
  path: '/_ping?deep=1',
  hostHeader: null,
  statuses: [[200, 299]],
  tls: null,
  ...changes,
});

describe('http', () => {
  test('a status in range is a success; path, host and agent are sent', async () => {
    const seen: string[] = [];
    const port = await listen(
      http.createServer((request, response) => {
        seen.push(
          `${request.method} ${request.url} ${request.headers.host} ${request.headers['user-agent']}`,
        );
        response.end('pong');
      }),
    );
    assert.equal((await probe(httpTarget(port))).failure, null);
    assert.equal((await probe(httpTarget(port, { hostHeader: 'app.example.com' }))).failure, null);
    assert.deepEqual(seen, [
      `GET /_ping?deep=1 127.0.0.1:${port} portico-probe`,
      'GET /_ping?deep=1 app.example.com portico-probe',
    ]);
  });
  for (const [status, statuses, failure] of [
    [204, [[200, 299]], null],
    [302, [[200, 299]], 'answered'],
    [
      302,
      [
        [200, 299],
        [302, 302],
      ],
      null,
    ],
    [503, [[200, 399]], 'answered'],
  ] as const) {
    test(`status ${status} against ${JSON.stringify(statuses)}: ${failure ?? 'success'}`, async () => {
      const port = await listen(http.createServer((_request, response) => response.writeHead(status).end()));
      const result = await probe(httpTarget(port, { statuses }));
      assert.equal(result.failure, failure);
      if (failure !== null) assert.equal(result.detail, `status ${status}`);
    });
  }
  test('a closed port is refused', async () => {
    assert.equal((await probe(httpTarget(await closedPort()))).failure, 'refused');
  });
  test('a server that says nothing is a timeout', async () => {
    const port = await listen(net.createServer());
    assert.equal((await probe(httpTarget(port), 50)).failure, 'timeout');
  });
  test('a head that never ends is a timeout', async () => {
    const port = await listen(raw('HTTP/1.1 200 OK\r\nX-Slow: ', false));
    assert.equal((await probe(httpTarget(port), 50)).failure, 'timeout');
  });
  test('a body that never ends does not undo a good status, and the socket is closed at the deadline', async () => {
    const port = await listen(raw('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', false));
    assert.equal((await probe(httpTarget(port), 50)).failure, null);
  });
  test('an endless body is cut', async () => {
    const port = await listen(
      http.createServer((_request, response) => {
        const write = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(16384)));
          if (!response.destroyed) response.once('drain', write);
        };
        write();
      }),
    );
    assert.equal((await probe(httpTarget(port), 5000)).failure, null);
  });
  for (const [name, answer] of [
    ['another protocol', 'SSH-2.0-OpenSSH_9.9\r\n'],
    ['binary', '\0\x01\x02\xff\xfe\r\n\r\n'],
    ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [
      '101 that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ],
  ] as const) {
    test(`nonsense: ${name}`, async () => {
      assert.equal((await probe(httpTarget(await listen(raw(answer))))).failure, 'nonsense');
    });
  }
  test('a head is as large as clients would get it', async () => {
    const lines = `X: ${'a'.repeat(20_000)}\r\n`.repeat(3) + 'Y: b\r\n'.repeat(250);
    const port = await listen(raw(`HTTP/1.1 200 OK\r\n${lines}\r\n`));
    assert.equal((await probe(httpTarget(port), 5000)).failure, null);
  });
  test('a head that is larger is nonsense', async () => {
    const port = await listen(raw(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`));
    assert.equal((await probe(httpTarget(port), 5000)).failure, 'nonsense');
  });
  test('a connection closed before the answer', async () => {
    assert.equal((await probe(httpTarget(await listen(raw(''))))).failure, 'closed');
  });
  test('a path that HTTP does not allow is a result and no exception', async () => {
    assert.equal((await probe(httpTarget(1, { path: '/a b\r\n' }))).failure, 'nonsense');
  });
  test('a name that does not resolve is unreachable', async () => {
    assert.equal((await probe(httpTarget(80, { host: 'portico.invalid' }), 5000)).failure, 'unreachable');
  });
});

describe('kube-proxy', () => {
  test('200 is healthy, 503 is its word against the node', async () => {
    let status = 200;
    const urls: (string | undefined)[] = [];
    const port = await listen(
      http.createServer((request, response) => {
        urls.push(request.url);
        response.writeHead(status).end('{"lastUpdated":"x"}');
      }),
    );
    const target = { kind: 'kube-proxy', host: '127.0.0.1', port } as const;
    assert.equal((await probe(target)).failure, null);
    status = 503;
    assert.deepEqual([(await probe(target)).failure, urls], ['answered', ['/healthz', '/healthz']]);
  });
  for (const [name, status, headers, body, failure, weight] of [
    [
      'weight from the header',
      200,
      { 'X-Load-Balancing-Endpoint-Weight': '3' },
      '{"localEndpoints":2}',
      null,
      3,
    ],
    [
      'weight from the body',
      200,
      {},
      '{"service":{"namespace":"a","name":"b"},"localEndpoints":2,"serviceProxyHealthy":true}',
      null,
      2,
    ],
    ['a body of another proxy', 200, {}, 'ok', null, null],
    [
      'a weight that is no number',
      200,
      { 'X-Load-Balancing-Endpoint-Weight': 'many' },
      '{"localEndpoints":2}',
      null,
      null,
    ],
    ['a weight out of bounds', 200, { 'X-Load-Balancing-Endpoint-Weight': '99999999' }, '', null, null],
    [
      'no local endpoint',
      503,
      { 'X-Load-Balancing-Endpoint-Weight': '0' },
      '{"localEndpoints":0}',
      'answered',
      null,
    ],
  ] as const) {
    test(`healthCheckNodePort: ${name}`, async () => {
      const port = await listen(
        http.createServer((_request, response) => response.writeHead(status, headers).end(body)),
      );
      const result = await probe({ kind: 'health-check-node-port', host: '127.0.0.1', port });
      assert.deepEqual([result.failure, result.weight], [failure, weight]);
    });
  }
});

describe('tcp', () => {
  test('a connect is a success, whatever the server says', async () => {
    const port = await listen(net.createServer((socket) => socket.end('hello\r\n')));
    assert.equal((await probe({ kind: 'tcp', host: '127.0.0.1', port })).failure, null);
  });
  test('a server that never closes is left at the deadline, with its success', async () => {
    const server = net.createServer({ allowHalfOpen: true });
    const port = await listen(server);
    assert.equal((await probe({ kind: 'tcp', host: '127.0.0.1', port }, 50)).failure, null);
  });
  test('a closed port is refused', async () => {
    assert.equal(
      (await probe({ kind: 'tcp', host: '127.0.0.1', port: await closedPort() })).failure,
      'refused',
    );
  });
});

describe('ssh', () => {
  const banner = async (...lines: string[]): Promise<ProbeResult> => {
    const port = await listen(
      net.createServer((socket) => {
        for (const line of lines) socket.write(line);
      }),
    );
    return probe({ kind: 'ssh', host: '127.0.0.1', port }, 100);
  };
  test('our own identification line is sent before we leave', async () => {
    const heard: Promise<string>[] = [];
    const port = await listen(
      net.createServer((socket) => {
        socket.write('SSH-2.0-OpenSSH_9.9\r\n');
        let text = '';
        heard.push(
          new Promise((resolve) => {
            socket.on('data', (chunk) => {
              text += chunk.toString('latin1');
            });
            socket.once('end', () => resolve(text));
          }),
        );
      }),
    );
    assert.equal((await probe({ kind: 'ssh', host: '127.0.0.1', port })).failure, null);
    assert.equal(await heard[0], 'SSH-2.0-Portico\r\n');
  });
  for (const [name, lines, failure] of [
    ['version 2', ['SSH-2.0-x\r\n'], null],
    ['version 1.99', ['SSH-1.99-x\n'], null],
    ['byte by byte', [...'SSH-2.0-x\r\n'], null],
    ['other lines first (RFC 4253, section 4.2)', ['welcome\r\n', 'to us\r\nSSH-2.0-x\r\n'], null],
    ['version 1', ['SSH-1.5-x\r\n'], 'nonsense'],
    ['another protocol that waits', ['220 mail ESMTP\r\n'], 'timeout'],
    ['endless greeting', ['x'.repeat(9000)], 'nonsense'],
    ['a line without an end', ['SSH-2.0-x'], 'timeout'],
    ['silence', [], 'timeout'],
  ] as const) {
    test(`${name}: ${failure ?? 'success'}`, async () =>
      assert.equal((await banner(...lines)).failure, failure));
  }
  test('closed before the identification', async () => {
    const port = await listen(net.createServer((socket) => socket.end('hello\n')));
    assert.equal((await probe({ kind: 'ssh', host: '127.0.0.1', port })).failure, 'closed');
  });
});

test('a probe that is cancelled says so and closes its socket', async () => {
  const server = net.createServer();
  const port = await listen(server);
  const abort = new AbortController();
  const running = probe(httpTarget(port), 5000, abort.signal);
  await once(server, 'connection');
  abort.abort();
  assert.equal((await running).failure, 'cancelled');
  assert.equal((await probe(httpTarget(port), 5000, AbortSignal.abort())).failure, 'cancelled');
});

describe('http over TLS', () => {
  const TLS: PoolTls = {
    verify: true,
    ca: '/ca',
    serverName: null,
    serverNameFromHost: false,
    certificate: null,
  };

  test('the certificate is verified for the name that is asked for, the address by default', async () => {
    const authority = await Authority.create();
    try {
      const { cert, key } = await authority.issue({ names: ['app.example.com'] });
      const byAddress = await authority.issue({ names: ['IP:127.0.0.1'] });
      const names: (string | false)[] = [];
      const serve = (pair: { cert: string; key: string }): Promise<number> =>
        listen(
          https.createServer(
            {
              ...pair,
              SNICallback: (name, done) => {
                names.push(name);
                done(null);
              },
            },
            (_q, answer) => answer.end(),
          ),
        );
      const named = await serve({ cert, key });
      const plain = await serve(byAddress);
      secrets.files['/ca'] = authority.cert;
      const ask = async (
        port: number,
        tls: PoolTls,
        hostHeader: string | null = null,
      ): Promise<string | null> => {
        const { failure, detail } = await probe(httpTarget(port, { tls, hostHeader }));
        return failure === null ? null : `${failure} ${detail}`;
      };
      assert.equal(await ask(plain, TLS), null);
      assert.equal(await ask(named, TLS), 'nonsense ERR_TLS_CERT_ALTNAME_INVALID');
      assert.equal(await ask(named, { ...TLS, serverName: 'app.example.com' }), null);
      assert.equal(await ask(named, { ...TLS, serverNameFromHost: true }, 'app.example.com'), null);
      assert.equal(
        await ask(named, { ...TLS, ca: null, serverName: 'app.example.com' }),
        'nonsense UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      );
      assert.equal(await ask(named, { ...TLS, ca: null, verify: false }), null);
      assert.deepEqual(names, ['app.example.com', 'app.example.com', 'app.example.com']);
      const answer = await probe(httpTarget(await listen(raw('HTTP/1.1 200 OK\r\n\r\n')), { tls: TLS }));
      assert.equal(answer.failure, 'nonsense', 'a target that speaks no TLS');
    } finally {
      await authority.close();
    }
  });

  test('a client certificate is shown to a target that asks for one', async () => {
    const authority = await Authority.create();
    try {
      const pair = await authority.issue({ names: ['IP:127.0.0.1'] });
      const client = await authority.issue({ subject: '/CN=portico' });
      const options = { cert: pair.cert, key: pair.key, ca: authority.cert, requestCert: true };
      const port = await listen(https.createServer(options, (_request, answer) => answer.end()));
      secrets.files['/ca'] = authority.cert;
      probeTls.changed();
      const certificate = { kind: 'files' as const, cert: '/c', key: '/k', ocsp: null };
      assert.notEqual((await probe(httpTarget(port, { tls: TLS }))).failure, null);
      secrets.pairs = { [certificateKey(certificate)]: { ...client, staple: null } };
      assert.equal((await probe(httpTarget(port, { tls: { ...TLS, certificate } }))).failure, null);
    } finally {
      await authority.close();
    }
  });
});
