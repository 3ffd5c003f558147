// HTTP/2 to targets through the whole data plane: Node's own server (nghttp2) behind it, clients of both versions before it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { BlackHole } from '../../support/black-hole.ts';
import { eventually, Stage } from '../../support/data-plane.ts';
import { answerOf, Http2Client } from '../../support/http2-client.ts';
import { connectionsOf, SYN_SENT } from '../../support/kernel-connections.ts';
import { allToFirstPool, RETRY, snapshotOf } from '../../support/snapshots.ts';

type OnStream = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

describe('http/2 to targets', () => {
  const stage = new Stage();
  const clients: Http2Client[] = [];
  const servers: http2.Http2Server[] = [];
  let sessions: http2.ServerHttp2Session[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    for (const session of sessions) session.destroy();
    sessions = [];
    await stage.clear();
    for (const server of servers.splice(0)) server.close();
  });
  after(() => stage.end());

  async function target(onStream: OnStream, settings: http2.Settings = {}): Promise<string> {
    const server = http2.createServer({ settings });
    servers.push(server);
    server.on('session', (session) => {
      sessions.push(session);
      session.on('error', () => {});
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      onStream(stream as http2.ServerHttp2Stream, headers);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function apply(...targets: string[]): Http2Client {
    const pools = [{ targets, protocol: 'http2' as const }];
    stage.plane.apply(snapshotOf({ pools, routes: allToFirstPool(RETRY) }));
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    clients.push(client);
    return client;
  }

  const echo: OnStream = (stream, headers) => {
    stream.respond({
      ':status': 200,
      'x-path': headers[':path'],
      'x-via': headers.via,
      'x-te': headers['te'],
    });
    stream.pipe(stream);
  };

  it('carries many requests on one connection, from clients of both versions', async () => {
    const client = apply(await target(echo));
    const bodies = Array.from({ length: 150 }, (_, index) => `body ${index}`);
    const answers = await Promise.all(
      bodies.map((body) => client.send({ ':path': '/a', ':method': 'POST', te: 'trailers' }, body)),
    );
    assert.deepEqual(
      answers.map(({ body }) => body),
      bodies,
    );
    assert.equal(answers[0]!.headers['x-path'], '/a');
    assert.equal(answers[0]!.headers['x-via'], '2.0 portico');
    assert.equal(answers[0]!.headers['x-te'], 'trailers');
    const peer = await stage.client();
    peer.send('POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    await peer.expect('\r\n3\r\nabc\r\n0\r\n\r\n');
    assert.match(peer.received, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(peer.received, /\r\nx-via: 1\.1 portico\r\n/);
    assert.ok(sessions.length <= 2, `${sessions.length} connections`);
  });

  it('obeys the number of streams that a target takes', async () => {
    let holds = false;
    const held: http2.ServerHttp2Stream[] = [];
    const answer = (stream: http2.ServerHttp2Stream): void => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    };
    const at = await target((stream) => (holds ? void held.push(stream) : answer(stream)), {
      maxConcurrentStreams: 4,
    });
    const client = apply(at);
    assert.equal((await client.get('/')).body, 'ok');
    holds = true;
    const answers = Array.from({ length: 20 }, () => client.get('/'));
    await eventually('all requests at the target', () => held.length === 20);
    assert.equal(sessions.length, 5);
    for (const stream of held) answer(stream);
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'ok');
    assert.equal(stage.plane.metric('portico_retries_total'), 0, 'none was refused by the target');
  });

  it('relays trailers and large bodies both ways', async () => {
    const client = apply(
      await target((stream) => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
        stream.pipe(stream);
      }),
    );
    const body = Buffer.alloc(3 * 1024 * 1024, 'x');
    const answer = await client.send({ ':path': '/', ':method': 'POST' }, body);
    assert.equal(answer.body.length, body.length);
    assert.equal(answer.trailers['x-sum'], '7');
  });

  it('sends the end of an upload of HTTP/1.1 whose last bytes have to wait for a window', async () => {
    const at = await target((stream) => {
      let length = 0;
      stream.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      stream.on('end', () => {
        stream.respond({ ':status': 200 });
        stream.end(`got ${length}`);
      });
    });
    apply(at);
    for (const size of [70_000, 100_000, 300_000, 1_000_000]) {
      const peer = await stage.client();
      peer.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
      peer.socket.write(Buffer.alloc(size));
      await peer.expect(`got ${size}`);
    }
  });

  it('gives up an upload whose client has ended before it was whole', async () => {
    let code = -1;
    const at = await target((stream) => {
      // It opens no window: what comes has to wait.
      stream.on('close', () => {
        code = stream.rstCode;
      });
    });
    apply(at);
    const peer = await stage.client();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    peer.socket.end(Buffer.alloc(1000));
    await eventually('the reset', () => code === http2.constants.NGHTTP2_CANCEL);
  });

  it('tries elsewhere, whatever the method, when a target refuses a stream unseen', async () => {
    const refusing = await target((stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM));
    const client = apply(refusing, await target(echo));
    for (let round = 0; round < 4; round += 1) {
      assert.equal((await client.send({ ':path': '/', ':method': 'POST' }, 'abc')).body, 'abc');
    }
    assert.ok(stage.plane.metric('portico_retries_total{pool="pool-0",reason="upstream-refused"') > 0);
  });

  it('does not repeat what a target gave up after it had begun', async () => {
    let seen = 0;
    const client = apply(
      await target((stream) => {
        seen += 1;
        stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
      }),
    );
    const answer = await client.get('/');
    assert.equal(answer.status, 502);
    assert.match(String(answer.headers['proxy-status']), /details="stream-reset"/);
    assert.equal(seen, 1);
  });

  it('goes on with a new connection when a target says goodbye', async () => {
    const client = apply(await target(echo));
    assert.equal((await client.send({ ':path': '/', ':method': 'POST' }, 'a')).body, 'a');
    sessions[0]!.close();
    await eventually('the end', () => sessions[0]!.destroyed || sessions[0]!.closed);
    assert.equal((await client.send({ ':path': '/', ':method': 'POST' }, 'b')).body, 'b');
  });

  it('gives up a dial that nobody waits for any more when its target leaves', async () => {
    const hole = await BlackHole.open();
    try {
      const connecting = (): number => connectionsOf('other', Number(hole.at.split(':')[1]), SYN_SENT).length;
      const before = connecting();
      const at = await target(echo);
      const timeouts = {
        connectMs: 60_000,
        responseHeaderMs: 10_000,
        streamIdleMs: 10_000,
        tunnelIdleMs: 60_000,
        tunnelLifetimeMs: 0,
        totalMs: 0,
      };
      const pool = { protocol: 'http2' as const, timeouts };
      const routes = allToFirstPool(RETRY);
      stage.plane.apply(snapshotOf({ pools: [{ ...pool, targets: [hole.at, at] }], routes }));
      const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
      clients.push(client);
      for (let asked = 0; connecting() === before; asked += 1) {
        assert.ok(asked < 4, 'each target is asked in its turn');
        assert.equal((await client.get('/')).headers[':status'], 200);
      }
      stage.plane.apply(snapshotOf({ version: 2, pools: [{ ...pool, targets: [at] }], routes }));
      await eventually('the end of the dial', () => connecting() === before);
    } finally {
      await hole.close();
    }
  });

  it('resets the stream of a request whose client has left', async () => {
    let code = -1;
    const client = apply(
      await target((stream) => {
        stream.respond({ ':status': 200 });
        stream.write('begin');
        stream.on('close', () => {
          code = stream.rstCode;
        });
      }),
    );
    const stream = client.open({ ':path': '/' });
    await once(stream, 'data');
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await eventually('the reset', () => code === http2.constants.NGHTTP2_CANCEL);
  });

  it('answers failures to gRPC calls as gRPC status, and obeys their deadline', async () => {
    let code = -1;
    const client = apply(
      await target((stream) => {
        stream.resume();
        stream.on('close', () => {
          code = stream.rstCode;
        });
      }),
    );
    const call = { ':path': '/a.B/C', ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const late = await client.send({ ...call, 'grpc-timeout': '100m' }, 'x');
    assert.equal(late.status, 200);
    assert.equal(late.headers['grpc-status'], '4');
    await eventually('the end at the target', () => code === http2.constants.NGHTTP2_CANCEL);
    stage.plane.apply(snapshotOf({ version: 2, pools: [{ targets: [], protocol: 'http2' }] }));
    const none = await client.send(call, 'x');
    assert.equal(none.headers['grpc-status'], '14');
    assert.equal(none.headers['content-type'], 'application/grpc');
    assert.match(String(none.headers['grpc-message']), /no-target/);
  });

  it('ends a gRPC answer that is cut with a status', async () => {
    const client = apply(
      await target((stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write('begin');
        setImmediate(() => stream.session?.destroy());
      }),
    );
    const stream = client.open({ ':path': '/', ':method': 'POST', 'content-type': 'application/grpc' });
    stream.end('x');
    const answer = await answerOf(stream);
    assert.equal(answer.trailers['grpc-status'], '14');
  });
});
