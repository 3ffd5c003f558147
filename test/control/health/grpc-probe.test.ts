// The gRPC probe against grpc-js with its health service, Node's HTTP/2 server, and answers made by hand.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import tls from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { createSystemClock } from '../../../src/control/discovery/clock.ts';
import type { ProbeResult, ProbeTarget } from '../../../src/control/health/probe-result.ts';
import { createProber } from '../../../src/control/health/probes.ts';
import { ProbeTls } from '../../../src/control/tls/probe-tls.ts';
import type { RequestHead } from '../../../src/http1/request-head.ts';
import type { PoolTls } from '../../../src/model/pool-config.ts';
import { listen, type ServerEnd, type TestStream } from '../../http2/endpoint.ts';
import { goaway } from '../../http2/frames.ts';
import { Authority } from '../../support/authority.ts';

const files: Record<string, string> = {};
const probeTls = new ProbeTls(() => ({ pairs: {}, files }));
const prober = createProber({
  clock: createSystemClock(),
  monotonic: () => performance.now(),
  tlsOptions: (options, host, hostHeader) => probeTls.options(options, host, hostHeader),
  lookup: dns.lookup as net.LookupFunction,
});
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.splice(0)) await close();
});

type GrpcTarget = Extract<ProbeTarget, { kind: 'grpc' }>;

/** The one result of a probe that has run to its end, as `failure detail`; `healthy` is success. */
async function ask(port: number, changes: Partial<GrpcTarget> = {}, timeoutMs = 5000): Promise<string> {
  const results: ProbeResult[] = [];
  const target: GrpcTarget = {
    kind: 'grpc',
    host: '127.0.0.1',
    port,
    service: '',
    hostHeader: null,
    tls: null,
    ...changes,
  };
  await prober(target, timeoutMs, new AbortController().signal, (result) => results.push(result));
  assert.equal(results.length, 1);
  const { failure, detail, weight } = results[0]!;
  assert.equal(weight, null);
  return failure === null ? 'healthy' : `${failure} ${detail}`;
}

describe('against grpc-js', () => {
  async function serve(
    credentials: grpc.ServerCredentials,
    statuses: ConstructorParameters<typeof HealthImplementation>[0] | null,
  ): Promise<number> {
    const server = new grpc.Server();
    if (statuses !== null) new HealthImplementation(statuses).addToServer(server);
    closing.push(() => server.forceShutdown());
    return await new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  test('the service that is named is asked for, the whole server without a name', async () => {
    const port = await serve(grpc.ServerCredentials.createInsecure(), {
      '': 'SERVING',
      'calls.v1.Calls': 'SERVING',
      'calls.v1.Old': 'NOT_SERVING',
      'calls.v1.New': 'UNKNOWN',
    });
    assert.equal(await ask(port), 'healthy');
    assert.equal(await ask(port, { service: 'calls.v1.Calls' }), 'healthy');
    assert.equal(await ask(port, { service: 'calls.v1.Old' }), 'answered NOT_SERVING');
    assert.equal(await ask(port, { service: 'calls.v1.New' }), 'answered UNKNOWN');
    assert.equal(await ask(port, { service: 'calls.v1.Others' }), 'answered grpc-status 5');
  });

  test('a service name of more than 127 bytes arrives', async () => {
    const service = `${'a'.repeat(120)}.${'ü'.repeat(7)}`;
    const port = await serve(grpc.ServerCredentials.createInsecure(), { [service]: 'SERVING' });
    assert.equal(await ask(port, { service }), 'healthy');
    assert.equal(await ask(port, { service: service.slice(0, -1) }), 'answered grpc-status 5');
  });

  test('a server without the health service is unhealthy', async () => {
    const port = await serve(grpc.ServerCredentials.createInsecure(), null);
    assert.equal(await ask(port), 'answered grpc-status 12');
  });

  test('TLS is that of the pool: the certificate is verified, HTTP/2 is agreed on', async () => {
    const authority = await Authority.create();
    try {
      const { cert, key } = await authority.issue({ names: ['calls.example.com'] });
      const port = await serve(
        grpc.ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) },
        ]),
        { '': 'SERVING' },
      );
      files['/ca'] = authority.cert;
      const pool: PoolTls = {
        verify: true,
        ca: '/ca',
        serverName: 'calls.example.com',
        serverNameFromHost: false,
        certificate: null,
      };
      assert.equal(await ask(port, { tls: pool }), 'healthy');
      assert.equal(
        await ask(port, { tls: { ...pool, serverName: null } }),
        'nonsense ERR_TLS_CERT_ALTNAME_INVALID',
      );
      assert.equal(
        await ask(port, {
          tls: { ...pool, serverName: null, serverNameFromHost: true },
          hostHeader: 'calls.example.com',
        }),
        'healthy',
      );
      assert.match(await ask(port), /^closed /, 'no TLS to a target that expects it');
      const other = tls.createServer({ cert, key, ALPNProtocols: ['http/1.1'] });
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      closing.push(() => other.close());
      const { port: otherPort } = other.address() as net.AddressInfo;
      assert.match(await ask(otherPort, { tls: pool }), /^nonsense .*ALERT_NO_APPLICATION_PROTOCOL/);
      const silent = tls.createServer({ cert, key });
      silent.listen(0, '127.0.0.1');
      await once(silent, 'listening');
      closing.push(() => silent.close());
      const { port: silentPort } = silent.address() as net.AddressInfo;
      assert.equal(await ask(silentPort, { tls: pool }), 'nonsense HTTP/2 was not agreed on');
    } finally {
      await authority.close();
    }
  });
});

test('the request is a call of Health.Check, from a client that says who it is, and leaves with GOAWAY', async () => {
  const server = http2.createServer();
  let seen: http2.IncomingHttpHeaders = {};
  const body: Buffer[] = [];
  const left = new Promise<number>((resolve) => {
    server.on('session', (session) => session.on('goaway', resolve));
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    seen = headers;
    stream.on('data', (chunk: Buffer) => body.push(chunk));
    stream.on('end', () => {
      stream.respond({ 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  assert.equal(await ask(port, { service: 'a.B' }), 'healthy');
  assert.equal(seen[':method'], 'POST');
  assert.equal(seen[':path'], '/grpc.health.v1.Health/Check');
  assert.equal(seen[':scheme'], 'http');
  assert.equal(seen[':authority'], `127.0.0.1:${port}`);
  assert.equal(seen['te'], 'trailers');
  assert.equal(seen['content-type'], 'application/grpc');
  assert.equal(seen['user-agent'], 'portico-probe');
  assert.deepEqual(Buffer.concat(body), Buffer.from([0, 0, 0, 0, 5, 10, 3, 0x61, 0x2e, 0x42]));
  assert.equal(await left, 0);
});

describe('answers that are not what they should be', () => {
  const GRPC = 'content-type: application/grpc\r\n';
  const message = (...bytes: number[]): Buffer => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);
  const answer =
    (lines: string, body: Buffer, trailers: string, status = 200) =>
    (end: ServerEnd, stream: TestStream<RequestHead>): void =>
      end.answer(stream, status, lines, body, trailers);
  const OK = 'grpc-status: 0\r\n';

  for (const [name, respond, expected] of [
    ['serving', answer(GRPC, message(8, 1), OK), 'healthy'],
    [
      'fields of later versions are passed over',
      answer(GRPC, message(16, 0x96, 1, 26, 2, 9, 9, 8, 1), OK),
      'healthy',
    ],
    ['an empty message is UNKNOWN', answer(GRPC, message(), OK), 'answered UNKNOWN'],
    ['a status of later versions', answer(GRPC, message(8, 9), OK), 'answered serving status 9'],
    ['SERVICE_UNKNOWN', answer(GRPC, message(8, 3), OK), 'answered SERVICE_UNKNOWN'],
    ['another HTTP status', answer('', Buffer.alloc(0), '', 404), 'answered status 404'],
    [
      'a page',
      answer('content-type: text/html\r\n', message(8, 1), OK),
      'nonsense an answer that is not gRPC',
    ],
    [
      'gRPC-Web',
      answer('content-type: application/grpc-web+proto\r\n', message(8, 1), OK),
      'nonsense an answer that is not gRPC',
    ],
    [
      'a type of another name',
      answer('content-type: application/grpcx\r\n', message(8, 1), OK),
      'nonsense an answer that is not gRPC',
    ],
    [
      'a type with format and parameters, in any case',
      answer('content-type: Application/gRPC+proto ; charset=utf-8\r\n', message(8, 1), OK),
      'healthy',
    ],
    ['no grpc-status', answer(GRPC, message(8, 1), ''), 'nonsense an answer without grpc-status'],
    [
      'serving, and then an error',
      answer(GRPC, message(8, 1), 'grpc-status: 14\r\n'),
      'answered grpc-status 14',
    ],
    [
      'a grpc-status in words',
      answer(GRPC, message(8, 1), 'grpc-status: fine\r\n'),
      'nonsense a grpc-status that is no number',
    ],
    [
      'status without a message',
      answer(`${GRPC}${OK}`, Buffer.alloc(0), ''),
      'nonsense not a HealthCheckResponse',
    ],
    [
      'two messages',
      answer(GRPC, Buffer.concat([message(8, 1), message(8, 1)]), OK),
      'nonsense not a HealthCheckResponse',
    ],
    [
      'a compressed message',
      answer(GRPC, Buffer.from([1, 0, 0, 0, 2, 8, 1]), OK),
      'nonsense not a HealthCheckResponse',
    ],
    ['a number without end', answer(GRPC, message(8, 0x81), OK), 'nonsense not a HealthCheckResponse'],
    [
      'a field longer than the message',
      answer(GRPC, message(18, 9, 8, 1), OK),
      'nonsense not a HealthCheckResponse',
    ],
    [
      'a message shorter than it says',
      answer(GRPC, Buffer.from([0, 0, 0, 0, 9, 8, 1]), OK),
      'nonsense not a HealthCheckResponse',
    ],
    ['an endless answer', answer(GRPC, Buffer.alloc(4096), OK), 'nonsense an answer of more than 1024 bytes'],
    [
      'a reset',
      (end: ServerEnd, stream: TestStream<RequestHead>) => end.connection.reset(stream, 2),
      'closed reset with code 2',
    ],
    [
      'GOAWAY that leaves the call out',
      (end: ServerEnd) => end.write(goaway(0, 0)),
      'closed reset with code 7',
    ],
    ['silence', () => {}, 'timeout nothing within 300 ms'],
  ] as const) {
    test(`${name}: ${expected}`, async () => {
      const listening = await listen((end) => {
        end.onMessage = (stream) => respond(end, stream);
      });
      closing.push(() => listening.close());
      assert.equal(await ask(listening.port, {}, name === 'silence' ? 300 : 5000), expected);
    });
  }

  for (const [name, bytes, expected] of [
    ['an HTTP/1.1 server', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n', /^nonsense /],
    ['an SSH server', 'SSH-2.0-OpenSSH_9.9\r\n', /^nonsense /],
    ['a server that closes', '', /^closed /],
  ] as const) {
    test(`${name}: ${expected.source}`, async () => {
      const server = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.end(bytes);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      closing.push(() => server.close());
      assert.match(await ask((server.address() as net.AddressInfo).port), expected);
    });
  }

  test('nobody listens', async () => {
    const server = net.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, 'close');
    assert.equal(await ask(port), 'refused ECONNREFUSED');
    const pool: PoolTls = {
      verify: false,
      ca: null,
      serverName: null,
      serverNameFromHost: false,
      certificate: null,
    };
    assert.equal(await ask(port, { tls: pool }), 'refused ECONNREFUSED');
  });
});

test('the PROXY header comes first, and says that the connection is our own', async () => {
  const heard = new Promise<string>((resolve) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        resolve(bytes.toString('latin1'));
        socket.destroy();
      });
    });
    server.listen(0, '127.0.0.1', () => {
      void ask((server.address() as net.AddressInfo).port, { proxyProtocol: 1 });
    });
    closing.push(() => server.close());
  });
  assert.match(await heard, /^PROXY UNKNOWN\r\n/);
});
