// Streams are lent to connections for one request: never to two at once, and never again after an answer that was not whole.

import assert from 'node:assert/strict';
import { lookup } from 'node:dns';
import type net from 'node:net';
import process from 'node:process';
import { after, afterEach, describe, it } from 'node:test';
import type { HeadLimits } from '../../../src/http1/limits.ts';
import { RequestParser } from '../../../src/http1/request-parser.ts';
import { Workspace } from '../../../src/http2/workspace.ts';
import { Deadlines } from '../../../src/proxy/deadlines.ts';
import { ForwardedClient } from '../../../src/proxy/http/forwarded.ts';
import type { Http1Stream } from '../../../src/proxy/upstream/http1-stream.ts';
import { Http1Streams } from '../../../src/proxy/upstream/http1-streams.ts';
import { Pool, type PoolContext } from '../../../src/proxy/upstream/pool.ts';
import { Target } from '../../../src/proxy/upstream/target.ts';
import type { UpstreamConnection } from '../../../src/proxy/upstream/upstream-connection.ts';
import type { StreamUser, UpstreamSide } from '../../../src/proxy/upstream/upstream-stream.ts';
import { BufferPool } from '../../../src/proxy/wire/buffer-pool.ts';
import { loadPoller } from '../../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../../src/proxy/wire/epoll/tls.ts';
import { PassShare } from '../../../src/proxy/wire/pass-share.ts';
import { ReadMemory } from '../../../src/proxy/wire/read-memory.ts';
import { loadTcpBinding } from '../../../src/proxy/wire/tcp-binding.ts';
import { Turn } from '../../../src/proxy/wire/turn.ts';
import { MetricsBoard } from '../../../src/telemetry/metrics-board.ts';
import { eventually, type RawPeer, Stage } from '../../support/data-plane.ts';
import { fc } from '../../support/properties.ts';
import { allToFirstPool, RETRY, snapshotOf } from '../../support/snapshots.ts';

const LIMITS: HeadLimits = {
  headerBytes: 65_536,
  lineBytes: 65_536,
  headerCount: 256,
  chunkExtensionBytes: 4096,
  trailerBytes: 8192,
};
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CLIENT = new ForwardedClient('192.0.2.1', {
  protocol: 'http',
  trusted: false,
  forwarded: false,
  certificateLines: '',
});

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
function requestHead(): RequestParser['head'] {
  const parser = new RequestParser(LIMITS);
  parser.next(REQUEST, 0, REQUEST.length);
  return parser.head;
}

/** One request on a stream: what came of it. */
class Request implements StreamUser {
  readonly own = null;
  outcome = '';
  side: UpstreamSide | null = null;
  body = '';
  readonly stream: Http1Stream;

  constructor(connection: UpstreamConnection) {
    this.stream = connection.open(this) as Http1Stream;
    this.stream.sendHead(requestHead(), {
      target: '/',
      authority: 'a',
      scheme: 'http',
      webSocketKey: '',
      grpcType: '',
      client: CLIENT,
      requestId: '1',
      edits: null,
      captures: [],
    });
  }

  onUpstreamInterim(): void {}
  onUpstreamHead(): void {}
  onUpstreamDrain(): void {}
  onUpstreamBody(buffer: Buffer, start: number, end: number): void {
    this.body += buffer.latin1Slice(start, end);
  }
  onUpstreamEnd(): void {
    this.outcome = 'end';
  }
  onUpstreamFailure(code: string): void {
    this.outcome = code;
    this.stream.close();
  }
  onUpstreamSwitch(side: UpstreamSide): void {
    this.outcome = 'switch';
    this.side = side;
  }
}

describe('http/1.1 streams', () => {
  const stage = new Stage();
  const opened: UpstreamConnection[] = [];
  let peers: RawPeer[] = [];
  let streams = new Http1Streams(LIMITS);
  afterEach(async () => {
    for (const connection of opened.splice(0)) connection.close();
    peers = [];
    streams = new Http1Streams(LIMITS);
    await stage.clear();
  });
  after(() => stage.end());

  /** A connected connection, and the other end of it. */
  async function connect(): Promise<readonly [UpstreamConnection, RawPeer]> {
    const server = await stage.backend((peer) => void peers.push(peer));
    const [config] = snapshotOf({ pools: [{ targets: [server.at] }] }).pools;
    const now = (): number => performance.now();
    const deadlines = new Deadlines(now);
    const context: PoolContext = {
      board: new MetricsBoard(),
      wires: {
        lookup,
        turn: new Turn({ clock: now, defer: setImmediate }),
        share: new PassShare({ now, defer: setImmediate }),
        pool: new BufferPool(),
        deadlines,
        now,
        tcp: loadTcpBinding(process, loadPoller(), loadTls()),
        reads: new ReadMemory(),
      },
      limits: LIMITS,
      streams,
      load: { idle: 0 },
      http2: new Workspace(),
      random: () => 0.5,
      log: { warn: () => {}, info: () => {} },
      onLocalLimit: () => {},
      onProven: () => {},
    };
    const pool = new Pool(
      config!,
      [],
      null,
      () => assert.fail('nothing is picked'),
      null,
      context,
      deadlines,
    );
    const { port } = server.server.address() as net.AddressInfo;
    const facts = { identity: server.at, address: '127.0.0.1', port, cluster: null, node: null };
    const target = new Target(facts, config!.ejection, pool.life, deadlines);
    const known = peers.length;
    const connection = await new Promise<UpstreamConnection>((resolve, reject) => {
      const user = {
        onUpstreamConnected: resolve,
        onUpstreamConnectFailed: (_: unknown, code: string) => reject(new Error(code)),
        proxyHeader: () => Buffer.alloc(0),
      };
      opened.push(pool.connector.connect(target, user, 'none', '')!);
    });
    await eventually('its other end', () => peers.length > known);
    return [connection, peers.at(-1)!];
  }

  async function ask(connection: UpstreamConnection, peer: RawPeer, answer: string): Promise<Request> {
    const request = new Request(connection);
    await peer.expect('\r\n\r\n');
    peer.take();
    peer.send(answer);
    await eventually('an outcome', () => request.outcome !== '');
    return request;
  }

  it('one serves one connection after the other, and an idle connection has none', async () => {
    const [[one, first], [two, second]] = [await connect(), await connect()];
    const before = await ask(one, first, OK);
    assert.deepEqual([before.outcome, before.body, streams.free], ['end', 'ok', 1]);
    assert.equal(before.stream.connection, null);
    const request = new Request(two);
    assert.equal(request.stream, before.stream);
    assert.equal(request.stream.connection, two);
    assert.equal(streams.free, 0);
    one.use();
    const beside = new Request(one);
    assert.notEqual(beside.stream, request.stream);
    second.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n');
    first.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    await eventually('both answers', () => request.outcome === 'end' && beside.outcome === 'end');
    assert.deepEqual([request.body, beside.body, streams.free], ['two', 'one', 2]);
  });

  it('one whose answer ended comes back, though its connection does not serve again', async () => {
    for (const [answer, end] of [
      ['HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok', false],
      [`${OK}more than was asked for`, false],
      ['HTTP/1.1 200 OK\r\n\r\nuntil the end', true],
    ] as const) {
      const [connection, peer] = await connect();
      const request = new Request(connection);
      await peer.expect('\r\n\r\n');
      peer.send(answer);
      if (end) peer.socket.end();
      await eventually('an outcome', () => request.outcome === 'end');
      assert.deepEqual([connection.connected, streams.free, request.stream.connection], [false, 1, null]);
      const [next, other] = await connect();
      const again = await ask(next, other, OK);
      assert.deepEqual([again.stream, again.body], [request.stream, 'ok'], 'nothing of it is left');
    }
  });

  it('one does not come back after a failure, a cut, a loss, a tunnel or a user that gave it up', async () => {
    const ends: Readonly<
      Record<string, (peer: RawPeer, one: Request, connection: UpstreamConnection) => void>
    > = {
      'status-invalid': (peer) => peer.send('nonsense\r\n\r\n'),
      'upstream-protocol': (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'),
      'cut in the head': (peer) => peer.socket.end('HTTP/1.1 200'),
      'cut in the body': (peer) => peer.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'),
      reset: (peer) => peer.socket.resetAndDestroy(),
      lost: (_, __, connection) => connection.lose(),
      tunnel: (peer) =>
        peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
      'given up': (_, one) => {
        one.stream.close();
        one.outcome = 'given up';
      },
    };
    const seen = new Set<Http1Stream>();
    for (const [name, end] of Object.entries(ends)) {
      const [connection, peer] = await connect();
      const request = new Request(connection);
      await peer.expect('\r\n\r\n');
      end(peer, request, connection);
      await eventually(name, () => request.outcome !== '');
      assert.notEqual(request.outcome, 'end', name);
      assert.equal(streams.free, 0, name);
      seen.add(request.stream);
      request.side?.close();
      connection.close();
      await eventually('the end of the connection', () => peer.ended || peer.closed);
      assert.equal(streams.free, 0, name);
    }
    assert.equal(seen.size, Object.keys(ends).length, 'each had one of its own');
  });

  it('bytes that nobody asked for drop an idle connection, and the stream that it had serves others', async () => {
    const [[one, first], [two, second]] = [await connect(), await connect()];
    const { stream } = await ask(one, first, OK);
    const request = new Request(two);
    assert.equal(request.stream, stream);
    first.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await eventually('the end of the idle connection', () => first.ended || first.closed);
    second.send(OK);
    await eventually('the answer', () => request.outcome === 'end');
    assert.deepEqual([request.body, two.connected, one.connected], ['ok', true, false]);
  });

  it('however requests end, no client gets the answer to another', async () => {
    const kinds = [
      'ok',
      'chunked',
      'pieces',
      'close',
      'surplus',
      'garbage',
      'cut',
      'silence',
      'switch',
    ] as const;
    const answerOf = (name: string): string =>
      `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`;
    const asked = new Set<string>();
    const serve = (peer: RawPeer): void => {
      let rest = '';
      peer.socket.on('data', (chunk: Buffer) => {
        rest += chunk.toString('latin1');
        for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
          const [, name = '', kind = ''] = /^GET \/((\w+)-\d+)/.exec(rest) ?? [];
          rest = rest.slice(end + 4);
          asked.add(name);
          const answer = answerOf(name);
          if (kind === 'chunked')
            peer.send(
              `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${name.length.toString(16)}\r\n${name}\r\n0\r\n\r\n`,
            );
          else if (kind === 'pieces') {
            peer.send(answer.slice(0, 20));
            setImmediate(() => peer.send(answer.slice(20)));
          } else if (kind === 'close')
            peer.socket.end(answer.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
          else if (kind === 'surplus') peer.send(`${answer}${answerOf('evil')}`);
          else if (kind === 'garbage') peer.send('garbage\r\n\r\n');
          else if (kind === 'cut') peer.socket.end(answer.slice(0, -1));
          else if (kind === 'switch')
            peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nevil');
          else if (kind !== 'silence') peer.send(answer);
        }
      });
    };
    const servers = [await stage.backend(serve), await stage.backend(serve), await stage.backend(serve)];
    stage.plane.apply(
      snapshotOf({ pools: [{ targets: servers.map(({ at }) => at) }], routes: allToFirstPool(RETRY) }),
    );
    let number = 0;
    const request = async (kind: (typeof kinds)[number]): Promise<void> => {
      const peer = await stage.client();
      number += 1;
      const name = `${kind}-${number}`;
      peer.send(`GET /${name} HTTP/1.1\r\nHost: a\r\n\r\n`);
      // The client gives up while its request is at the target.
      if (kind === 'silence') await eventually('the request', () => asked.has(name));
      else await peer.until(() => peer.closed || peer.received.includes('\r\n\r\n'));
      if (kind === 'garbage' || kind === 'switch') assert.match(peer.received, /^HTTP\/1\.1 502 /);
      else if (kind === 'cut') await peer.until(() => peer.closed);
      else if (kind !== 'silence') {
        await peer.until(() => peer.closed || peer.received.includes(name));
        assert.ok(peer.received.includes(name) && !peer.received.includes('evil'), peer.received);
      }
      peer.destroy();
    };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 24 }), async (list) => {
        await Promise.all(list.map(request));
      }),
      { numRuns: 25 },
    );
  });
});
