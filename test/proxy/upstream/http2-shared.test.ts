// What the requests on one connection to an HTTP/2 target do to each other: windows that one of them holds.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { listen, OPTIONS } from '../../http2/endpoint.ts';
import { goaway } from '../../http2/frames.ts';
import { eventually, Stage } from '../../support/data-plane.ts';
import { Http2Client } from '../../support/http2-client.ts';
import { allToFirstPool, RETRY, snapshotOf } from '../../support/snapshots.ts';

describe('requests that share a connection to an HTTP/2 target', () => {
  const stage = new Stage();
  const clients: Http2Client[] = [];
  const ends: (() => unknown)[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await stage.clear();
    for (const end of ends.splice(0)) await end();
  });
  after(() => stage.end());

  function apply(at: string, perTarget = 4096): void {
    const pools = [{ targets: [at], protocol: 'http2' as const, connections: { perTarget } }];
    stage.plane.apply(snapshotOf({ pools, routes: allToFirstPool(RETRY) }));
  }

  function connect(settings: http2.Settings = {}): Http2Client {
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`, { settings });
    clients.push(client);
    return client;
  }

  it('are not held up by those whose clients do not read', async () => {
    const piece = Buffer.alloc(16 * 1024, 'x');
    const sessions: http2.ServerHttp2Session[] = [];
    let sent = 0;
    const server = http2.createServer();
    server.on('session', (session) => sessions.push(session));
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/small') return void stream.end('ok');
      let left = headers[':path'] === '/large' ? 64 : Number.POSITIVE_INFINITY;
      const write = (): void => {
        while (left-- > 0) if (!stream.write(piece, () => sent++)) return;
        stream.end();
      };
      stream.on('drain', write);
      write();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(
      () => server.close(),
      () => {
        for (const session of sessions) session.destroy();
      },
    );
    apply(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    const client = connect();
    assert.equal((await client.get('/small')).body, 'ok');
    // A window that is shut for a while gets company, which is another test's.
    stage.plane.freeze();
    const slow = connect({ initialWindowSize: 0 });
    let heads = 0;
    for (let i = 0; i < 90; i++) slow.open({ ':path': '/endless' }).on('response', () => heads++);
    await eventually('slow answers', () => heads === 90);
    let before = 0;
    await eventually('full windows', () => {
      const isSame = sent > 0 && sent === before;
      before = sent;
      return isSame;
    });
    assert.equal((await client.get('/small')).body, 'ok');
    assert.equal((await client.get('/large')).body.length, 64 * piece.length);
    assert.equal(sessions.length, 1);
  });

  it('go over a new connection when those that stand say goodbye one after the other', async () => {
    const held: (() => void)[] = [];
    let connections = 0;
    let isLeaving = false;
    const server = await listen(
      (end) => {
        connections += 1;
        const isOld = connections <= 4;
        end.onMessage = (stream) => {
          const answer = (): void => end.answer(stream, 200, '', Buffer.from('ok'));
          if (!isLeaving) {
            held.push(() => {
              answer();
              end.connection.flush();
            });
          } else if (isOld) end.write(goaway(stream.id - 2, 0));
          else answer();
        };
      },
      { ...OPTIONS, maxStreams: 1 },
    );
    ends.push(() => server.close());
    apply(`127.0.0.1:${server.port}`);
    const client = connect();
    const first = Array.from({ length: 4 }, () => client.get('/'));
    await eventually('four connections', () => held.length === 4);
    for (const answer of held) answer();
    for (const { body } of await Promise.all(first)) assert.equal(body, 'ok');
    isLeaving = true;
    assert.equal((await client.send({ ':path': '/', ':method': 'POST' }, 'once')).body, 'ok');
    assert.equal(connections, 5);
  });

  it('go over another that stands when theirs says goodbye and there may be no new one', async () => {
    const held: (() => void)[] = [];
    let connections = 0;
    const server = await listen(
      (end) => {
        const isFirst = ++connections === 1;
        end.onMessage = (stream) => {
          const answer = (): void => end.answer(stream, 200, '', Buffer.from('ok'));
          if (stream.head.path === '/held') held.push(answer);
          else if (isFirst) end.write(goaway(stream.id - 2, 0));
          else answer();
        };
      },
      { ...OPTIONS, maxStreams: 2 },
    );
    ends.push(() => server.close());
    apply(`127.0.0.1:${server.port}`, 2);
    const client = connect();
    const [first] = Array.from({ length: 3 }, () => client.open({ ':path': '/held' }));
    await eventually('two connections', () => held.length === 3);
    first!.close(8);
    await eventually('a free place', () => stage.plane.metric('portico_requests_active') === 2);
    assert.equal((await client.get('/')).body, 'ok');
    assert.equal(connections, 2);
  });

  describe('with an upload that is not read and has used the window up', () => {
    let connections = 0;

    async function hang(perTarget?: number): Promise<http2.ClientHttp2Stream> {
      let unread = 0;
      connections = 0;
      const server = await listen(
        (end) => {
          connections += 1;
          const take = end.onData.bind(end);
          end.onData = (stream, buffer, from, to) => {
            if (stream.head.path !== '/hang') take(stream, buffer, from, to);
            else unread += to - from;
          };
          end.onMessage = (stream, { body }) =>
            end.answer(stream, 200, '', Buffer.from(`got ${body.length}`));
        },
        { ...OPTIONS, connectionWindow: 65_535 },
      );
      ends.push(() => server.close());
      apply(`127.0.0.1:${server.port}`, perTarget);
      const hung = connect().open({ ':path': '/hang', ':method': 'POST' }, { endStream: false });
      hung.write(Buffer.alloc(200_000));
      await eventually('a full window', () => unread === 65_535);
      await stage.plane.skip(150);
      return hung;
    }

    it('go over another connection', async () => {
      await hang();
      const client = connect();
      for (let i = 0; i < 3; i++)
        assert.equal((await client.send({ ':path': '/', ':method': 'POST' }, 'hello')).body, 'got 5');
      assert.equal(connections, 2);
    });

    it('wait for it where there may be no other', async () => {
      const hung = await hang(1);
      const client = connect();
      const late = client.send({ ':path': '/', ':method': 'POST' }, 'hello');
      await eventually('the late one', () => stage.plane.metric('portico_requests_active') === 2);
      hung.close(8);
      assert.equal((await late).body, 'got 5');
      assert.equal(connections, 1);
    });
  });
});
