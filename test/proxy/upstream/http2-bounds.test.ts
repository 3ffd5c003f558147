// Bounds of connections to HTTP/2 targets: each counts once, however many requests it carries, and requests wait for their streams.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import type { UpstreamLimits } from '../../../src/model/pool-config.ts';
import { eventually, Stage } from '../../support/data-plane.ts';
import { type Answer, Http2Client } from '../../support/http2-client.ts';
import { allToFirstPool, NO_RETRY, snapshotOf } from '../../support/snapshots.ts';

describe('bounds of connections to HTTP/2 targets', () => {
  const stage = new Stage();
  let client: Http2Client;
  const servers: http2.Http2Server[] = [];
  const sessions: http2.ServerHttp2Session[] = [];
  /** Requests at the targets, in the order in which they came. */
  let arrived: { readonly path: string; readonly port: number; readonly stream: http2.ServerHttp2Stream }[] =
    [];

  afterEach(async () => {
    await client.close();
    for (const session of sessions.splice(0)) session.destroy();
    arrived = [];
    await stage.clear();
    for (const server of servers.splice(0)) server.close();
  });
  after(() => stage.end());

  async function target(streams: number): Promise<string> {
    const server = http2.createServer({ settings: { maxConcurrentStreams: streams } });
    servers.push(server);
    server.on('session', (session) => {
      sessions.push(session);
      session.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      stream.on('error', () => {});
      arrived.push({ path: String(headers[':path']), port, stream });
    });
    return `127.0.0.1:${port}`;
  }

  /** Targets that let a connection carry so many requests at once. */
  async function serve(
    connections: Partial<UpstreamLimits>,
    targets = 1,
    streams = 1,
    retry = NO_RETRY,
  ): Promise<void> {
    const at: string[] = [];
    for (let index = 0; index < targets; index += 1) at.push(await target(streams));
    const pools = [{ targets: at, protocol: 'http2' as const, connections }];
    stage.plane.apply(snapshotOf({ pools, routes: allToFirstPool(retry) }));
    client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
  }

  /** A target that looks at no request. */
  async function refusing(): Promise<string> {
    const at = await target(50);
    servers
      .at(-1)!
      .removeAllListeners('stream')
      .on('stream', (stream: http2.ServerHttp2Stream) => {
        stream.on('error', () => {}).close(http2.constants.NGHTTP2_REFUSED_STREAM);
      });
    return at;
  }

  function answer(index: number): void {
    const { stream } = arrived[index]!;
    stream.respond({ ':status': 200 });
    stream.end('ok');
  }

  const open = (): number => sessions.filter((session) => !session.closed && !session.destroyed).length;
  const pending = (): number => stage.plane.metric('portico_upstream_pending');
  const reasonOf = ({ headers }: Answer): string | undefined =>
    /details="([^"]+)"/.exec(String(headers['proxy-status']))?.[1];

  it('perTarget: a request waits for a stream, and gets it in the order in which it came', async () => {
    await serve({ perTarget: 1, pending: 10 });
    const answers = [client.get('/0')];
    await eventually('the first request', () => arrived.length === 1);
    for (let index = 1; index < 4; index += 1) {
      answers.push(client.get(`/${index}`));
      await eventually('a place in the queue', () => pending() === index);
    }
    for (let index = 0; index < 4; index += 1) {
      await eventually(`request ${index}`, () => arrived.length === index + 1);
      answer(index);
      assert.equal((await answers[index]!).body, 'ok');
    }
    assert.deepEqual(
      arrived.map(({ path }) => path),
      ['/0', '/1', '/2', '/3'],
    );
    assert.equal(sessions.length, 1);
    assert.equal(pending(), 0);
  });

  it('perTarget: all that wait go on when the target lets a connection carry more', async () => {
    await serve({ perTarget: 1, pending: 10, pendingTimeoutMs: 60_000 });
    stage.plane.freeze();
    const answers = [client.get('/0')];
    await eventually('the first request', () => arrived.length === 1);
    for (let index = 1; index < 5; index += 1) {
      answers.push(client.get(`/${index}`));
      await eventually('a place in the queue', () => pending() === index);
    }
    sessions[0]!.settings({ maxConcurrentStreams: 4 });
    await eventually('what there is room for', () => arrived.length === 4);
    assert.equal(pending(), 1);
    for (let index = 0; index < 4; index += 1) answer(index);
    await eventually('the last', () => arrived.length === 5);
    answer(4);
    await Promise.all(answers);
    assert.equal(sessions.length, 1);
  });

  it('perTarget: a request gets a new connection in place of one that was closed', async () => {
    await serve({ perTarget: 1, pending: 10 });
    const first = client.get('/0').catch(() => null);
    await eventually('the first request', () => arrived.length === 1);
    const second = client.get('/1');
    await eventually('a place in the queue', () => pending() === 1);
    sessions[0]!.destroy();
    await eventually('the second request', () => arrived.length === 2);
    answer(1);
    assert.equal((await second).body, 'ok');
    await first;
  });

  it('perTarget: what a connection carries at once is not bounded by it', async () => {
    await serve({ perTarget: 1, pending: 0 }, 1, 50);
    const answers = Array.from({ length: 50 }, (_, index) => client.get(`/${index}`));
    await eventually('all requests', () => arrived.length === 50);
    for (let index = 0; index < 50; index += 1) answer(index);
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
    assert.equal(sessions.length, 1);
  });

  for (const [bound, connections] of [
    ['requests', { perTarget: 1, pending: 0, requests: 2 }],
    ['perPool and requests', { perPool: 1, pending: 0, requests: 2 }],
    ['age', { perTarget: 1, pending: 0, ageMs: 1 }],
  ] as const) {
    it(`a connection that its long stream keeps goes on past its bound of ${bound} where no other may be made`, async () => {
      await serve(connections, 1, 50);
      const long = client.get('/long');
      await eventually('the long stream', () => arrived.length === 1);
      for (let count = 1; count <= 4; count += 1) {
        const answered = client.get(`/${count}`);
        await Promise.race([answered, eventually('the request', () => arrived.length === count + 1)]);
        if (arrived.length === count + 1) answer(count);
        assert.equal((await answered).status, 200);
      }
      assert.equal(sessions.length, 1);
      answer(0);
      assert.equal((await long).body, 'ok');
      await eventually('its end, now that nothing keeps it', () => open() === 0);
    });
  }

  it('a connection past its number of requests goes on while it is young', async () => {
    await serve({ perTarget: 2, pending: 0, requests: 2, leastAgeMs: 1000 }, 1, 50);
    stage.plane.freeze();
    const ask = async (): Promise<void> => {
      const index = arrived.length;
      const answered = client.get('/');
      await eventually('the request', () => arrived.length === index + 1);
      answer(index);
      assert.equal((await answered).status, 200);
    };
    for (let count = 0; count < 10; count += 1) await ask();
    assert.equal(sessions.length, 1);
    await stage.plane.skip(1100);
    await ask();
    await ask();
    assert.equal(sessions.length, 2);
  });

  it('a connection past its bound takes nothing more where another may be made', async () => {
    await serve({ perTarget: 2, pending: 0, requests: 2 }, 1, 50);
    const long = client.get('/long');
    await eventually('the long stream', () => arrived.length === 1);
    for (let count = 1; count <= 3; count += 1) {
      const answered = client.get(`/${count}`);
      await eventually('the request', () => arrived.length === count + 1);
      answer(count);
      assert.equal((await answered).status, 200);
    }
    assert.equal(sessions.length, 2);
    answer(0);
    await long;
  });

  it('perPool: no more connections to all targets together', async () => {
    await serve({ perTarget: 10, perPool: 2, pending: 10 }, 3);
    const answers = [client.get('/0'), client.get('/1')];
    await eventually('two requests', () => arrived.length === 2);
    answers.push(client.get('/2'), client.get('/3'));
    await eventually('the others in the queue', () => pending() === 2);
    assert.equal(open(), 2);
    for (let index = 0; index < 4; index += 1) {
      await eventually(`request ${index}`, () => arrived.length > index);
      answer(index);
    }
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'ok');
    assert.ok(open() <= 2);
  });

  it('perPool: without a queue the answer is 503 at once, and connections that stand go on', async () => {
    await serve({ perPool: 1, pending: 0 }, 2, 2);
    const first = client.get('/0');
    await eventually('the first request', () => arrived.length === 1);
    // The other target has no connection and gets none; the one that stands has a stream left.
    const second = client.get('/1');
    await eventually('the second request', () => arrived.length === 2);
    assert.equal(arrived[0]!.port, arrived[1]!.port);
    const third = await client.get('/2');
    assert.deepEqual([third.status, reasonOf(third)], [503, 'connection-limit']);
    answer(0);
    answer(1);
    assert.equal((await first).body, 'ok');
    assert.equal((await second).body, 'ok');
    assert.equal(sessions.length, 1);
  });

  it('perPool: an idle connection to another target is given up for a new one', async () => {
    await serve({ perPool: 1, pending: 10 }, 2);
    const ports = new Set<number>();
    for (let round = 0; round < 40 && ports.size < 2; round += 1) {
      const next = client.get(`/${round}`);
      await eventually('the request', () => arrived.length === round + 1);
      ports.add(arrived[round]!.port);
      answer(round);
      assert.equal((await next).body, 'ok');
      await eventually('one connection', () => open() <= 1);
    }
    assert.equal(ports.size, 2, 'each target is reached');
  });

  it('startsPerSecond: counts connections, not requests', async () => {
    await serve({ startsPerSecond: 1 }, 1, 2);
    stage.plane.freeze();
    const answers = [client.get('/0'), client.get('/1')];
    await eventually('two requests', () => arrived.length === 2);
    const third = await client.get('/2');
    assert.deepEqual([third.status, reasonOf(third)], [503, 'connection-limit']);
    await stage.plane.skip(1100);
    answers.push(client.get('/3'));
    await eventually('the next connection', () => arrived.length === 3);
    for (let index = 0; index < 3; index += 1) answer(index);
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'ok');
    assert.equal(sessions.length, 2);
  });

  it('a target that takes no streams yet has not connected: its requests fail with the connect timeout, on few connections', async () => {
    await serve({ perTarget: 100 }, 1, 0);
    stage.plane.freeze();
    const answers = Array.from({ length: 5 }, (_, index) => client.get(`/${index}`));
    await eventually('a connection', () => sessions.length > 0);
    for (let steps = 0; steps < 11; steps += 1) await stage.plane.skip(100);
    for (const answer of await Promise.all(answers))
      assert.deepEqual([answer.status, reasonOf(answer)], [504, 'connect-timeout']);
    assert.ok(sessions.length <= 5, `${sessions.length} connections`);
  });

  it('a target that takes streams a moment later gets the requests that wait for it', async () => {
    await serve({ perTarget: 1 }, 1, 0);
    stage.plane.freeze();
    const answers = [client.get('/0'), client.get('/1')];
    await eventually('a connection', () => sessions.length === 1);
    await stage.plane.skip(600);
    sessions[0]!.settings({ maxConcurrentStreams: 5 });
    await eventually('both requests', () => arrived.length === 2);
    answer(0);
    answer(1);
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'ok');
  });

  it('requests that came while a connection was made, and are more than it takes, wait for room like others', async () => {
    await serve({ perTarget: 1, pending: 10, pendingTimeoutMs: 500 }, 1, 1);
    stage.plane.freeze();
    const answers = Array.from({ length: 4 }, (_, index) => client.get(`/${index}`));
    await eventually('one of them, the others in the queue', () => arrived.length === 1 && pending() === 3);
    answer(0);
    await eventually('the next', () => arrived.length === 2);
    await stage.plane.skip(600);
    answer(1);
    const statuses = (await Promise.all(answers)).map((each) => reasonOf(each) ?? each.status);
    assert.deepEqual(statuses.sort(), [200, 200, 'pending-timeout', 'pending-timeout']);
    assert.equal(sessions.length, 1);
  });

  it('requests that came while a connection was made, and are more than it takes, get another where one may be made', async () => {
    await serve({ perTarget: 4 }, 1, 1);
    const answers = Array.from({ length: 4 }, (_, index) => client.get(`/${index}`));
    await eventually('all of them', () => arrived.length === 4);
    for (let index = 0; index < 4; index += 1) answer(index);
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'ok');
    assert.equal(sessions.length, 4);
  });

  it('a target that refuses streams gets no new connection for each', async () => {
    await serve({ perTarget: 100 }, 1, 50);
    stage.plane.apply(
      snapshotOf({
        version: 2,
        pools: [{ targets: [await refusing()], protocol: 'http2' }],
        routes: allToFirstPool({ attempts: 2, statuses: [], budget: 1 }),
      }),
    );
    for (let count = 0; count < 20; count += 1) {
      const answer = await client.get(`/${count}`);
      assert.deepEqual([answer.status, reasonOf(answer)], [502, 'upstream-refused']);
    }
    assert.equal(stage.plane.metric('portico_retries_total'), 40);
    assert.equal(sessions.length, 1);
  });

  it('requests of a connection that is lost are repeated on one new connection together', async () => {
    await serve({ perTarget: 100 }, 1, 50, { attempts: 2, statuses: [], budget: 1 });
    const first = client.get('/first');
    await eventually('the first request', () => arrived.length === 1);
    answer(0);
    await first;
    const answers = Array.from({ length: 10 }, (_, index) => client.get(`/${index}`));
    await eventually('all requests', () => arrived.length === 11);
    (sessions[0]!.socket as Socket).resetAndDestroy();
    await eventually('all of them again', () => arrived.length === 21);
    for (let index = 11; index < 21; index += 1) answer(index);
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'ok');
    assert.equal(sessions.length, 2);
  });

  it('a connection that was made with other bounds takes no request any more, and ends with its last', async () => {
    const at = await target(50);
    const bounded = (version: number, requests: number): void =>
      stage.plane.apply(
        snapshotOf({
          version,
          pools: [{ targets: [at], protocol: 'http2', connections: { requests } }],
          routes: allToFirstPool(NO_RETRY),
        }),
      );
    bounded(1, 0);
    client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    const first = client.get('/first');
    await eventually('the first request', () => arrived.length === 1);
    bounded(2, 1000);
    const second = client.get('/second');
    await eventually('the second request', () => arrived.length === 2);
    assert.notEqual(arrived[1]!.stream.session, arrived[0]!.stream.session);
    answer(0);
    answer(1);
    for (const { body } of await Promise.all([first, second])) assert.equal(body, 'ok');
    await eventually('one connection', () => open() === 1);
  });
});
