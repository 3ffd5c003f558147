// What a listener lets in, how long a connection may go on, and how everything ends when the worker drains.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import type { ListenerLimits } from '../../src/model/listener-config.ts';
import type { WireSocket } from '../../src/proxy/wire/wire.ts';
import {
  answering,
  eventually,
  RawPeer,
  type RawServer,
  Stage,
  sendApart,
  sendUntilHeld,
  socketsOf,
} from '../support/data-plane.ts';
import { Http2Client } from '../support/http2-client.ts';
import { type ListenerShape, listenerConfig, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
/** A target may take its time: these tests move the clock. */
const PATIENT = {
  connectMs: 1000,
  responseHeaderMs: 600_000,
  streamIdleMs: 600_000,
  tunnelIdleMs: 3_600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('listener', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(over: ListenerShape = {}): Promise<RawServer> {
    const server = await stage.backend(answering(OK));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], listeners: [listenerConfig(over)] }));
    return server;
  }

  const limits = (over: Partial<ListenerLimits>): ListenerShape => ({ limits: over });

  function refused(reason: string): number {
    return stage.plane.metric(`portico_connections_refused_total{listener="web",reason="${reason}"}`);
  }

  async function request(peer: RawPeer, text = GET): Promise<string> {
    peer.send(text);
    await peer.until(() => peer.received.endsWith('ok') || peer.ended || peer.closed);
    return peer.take();
  }

  for (const [what, pool] of [
    ['', 'pool-0'],
    [', with the pool that it had', 'another'],
  ] as const)
    it(`is configured no more${what}: each of its connections has one more request answered, and ends`, async () => {
      const server = await stage.backend(answering(OK));
      const other = await stage.backend(answering(OK));
      const [web, second] = [listenerConfig(), listenerConfig({ name: 'second' })];
      stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], listeners: [web, second] }));
      const [kept, begun] = [await stage.client('second'), await stage.client('second')];
      const modern = new Http2Client(`http://127.0.0.1:${stage.plane.port('second')}`);
      assert.match(await request(kept), /^HTTP\/1.1 200 /);
      assert.equal((await modern.get('/')).status, 200);
      await sendApart(begun, Buffer.from(GET.slice(0, -6)));
      const pools = [{ name: pool, targets: [pool === 'another' ? other.at : server.at] }];
      stage.plane.apply(snapshotOf({ version: 2, pools, listeners: [web] }));
      assert.match(await request(kept), /^HTTP\/1.1 200 [\s\S]*Connection: close\r\n/);
      assert.match(await request(begun, GET.slice(-6)), /^HTTP\/1.1 200 [\s\S]*Connection: close\r\n/);
      await modern.close();
      await eventually('the ends', () => stage.plane.metric('portico_connections_active') === 0);
      assert.equal(stage.plane.metric('portico_failures_total'), 0);
    });

  it('is asked for anew where its socket did not come, and costs no other listener its own', async () => {
    const server = await stage.backend(answering(OK));
    const pools = [{ targets: [server.at] }];
    const [web, second] = [listenerConfig(), listenerConfig({ name: 'second' })];
    const { ports } = stage.plane;
    ports.set('second', 0);
    stage.plane.apply(snapshotOf({ pools, listeners: [web, second] }));
    assert.equal(stage.plane.missed, 1);
    stage.plane.apply(snapshotOf({ version: 2, pools, listeners: [web] }));
    assert.match(await request(await stage.client()), /^HTTP\/1.1 200 /);
    stage.plane.apply(snapshotOf({ version: 3, pools, listeners: [web, second] }));
    assert.equal(stage.plane.missed, 2);
    ports.delete('second');
    stage.plane.apply(snapshotOf({ version: 3, pools, listeners: [web, second] }));
    for (const name of ['web', 'second'])
      assert.match(await request(await stage.client(name)), /^HTTP\/1.1 200 /);
  });

  it('refuses a snapshot whose socket does not come though it was asked for', async () => {
    const server = await serve();
    stage.plane.ports.set('second', 0);
    const wanted = snapshotOf({
      version: 2,
      pools: [{ targets: [server.at] }],
      listeners: [listenerConfig(), listenerConfig({ name: 'second' })],
    });
    stage.plane.apply(wanted);
    assert.throws(() => stage.plane.apply(wanted), /no socket came for listener second/);
    assert.match(await request(await stage.client()), /^HTTP\/1.1 200 /);
  });

  it('closes a socket that comes twice, and one that no snapshot names', async () => {
    const server = await serve();
    const pools = [{ targets: [server.at] }];
    const { ports } = stage.plane;
    const first = stage.plane.port();
    ports.delete('web');
    stage.plane.apply(snapshotOf({ version: 2, pools }));
    const twice = stage.plane.port();
    ports.set('web', first).set('late', 0);
    stage.plane.apply(
      snapshotOf({
        version: 3,
        pools,
        listeners: [listenerConfig(), listenerConfig({ name: 'early' }), listenerConfig({ name: 'late' })],
      }),
    );
    assert.equal(stage.plane.missed, 1);
    stage.plane.apply(snapshotOf({ version: 4, pools }));
    for (const port of [twice, stage.plane.port('early')]) {
      const other = net.createServer().listen(port, '127.0.0.1');
      await once(other, 'listening');
      other.close();
    }
    assert.match(await request(await stage.client()), /^HTTP\/1.1 200 /);
  });

  it('closes connections beyond its limit without a word, and takes new ones when others have gone', async () => {
    await serve(limits({ connections: 3 }));
    const within = [await stage.client(), await stage.client(), await stage.client()];
    for (const peer of within) await request(peer);
    const beyond = await stage.client();
    assert.equal(await beyond.all(), '');
    assert.equal(refused('listener-limit'), 1);
    for (const peer of within) assert.match(await request(peer), /200 OK/, 'the others go on');

    within[0]!.destroy();
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 2);
    assert.match(await request(await stage.client()), /200 OK/);
    assert.equal(
      stage.plane.metric('portico_connections_total'),
      4,
      'refused ones are counted as refused only',
    );
  });

  it('limits the connections of one client address and leaves other addresses alone', async () => {
    await serve(limits({ connectionsPerClient: 2 }));
    const first = [await stage.client(), await stage.client()];
    for (const peer of first) await request(peer);
    assert.equal(await (await stage.client()).all(), '');
    assert.equal(refused('client-limit'), 1);
    assert.match(await request(await stage.client('web', '127.0.0.2')), /200 OK/);
    first[0]!.destroy();
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 2);
    assert.match(await request(await stage.client()), /200 OK/);
  });

  it('takes the limits of a new snapshot for new connections and touches none that is open', async () => {
    const server = await serve();
    const open = [await stage.client(), await stage.client()];
    for (const peer of open) await request(peer);
    stage.plane.apply(
      snapshotOf({
        version: 2,
        pools: [{ targets: [server.at] }],
        listeners: [listenerConfig(limits({ connections: 1 }))],
      }),
    );
    assert.equal(await (await stage.client()).all(), '');
    for (const peer of open) assert.match(await request(peer), /200 OK/);
  });

  it('closes a connection with its last allowed request, told to the client', async () => {
    await serve(limits({ requestsPerConnection: 3 }));
    const peer = await stage.client();
    for (let round = 0; round < 2; round += 1) assert.doesNotMatch(await request(peer), /Connection: close/);
    assert.match(await request(peer), /\r\nConnection: close\r\n/);
    await peer.until(() => peer.ended);
    const next = await stage.client();
    next.send(GET + GET + GET + GET);
    const all = await next.all();
    assert.equal(all.split('200 OK').length - 1, 3, 'of four pipelined requests three are answered');
  });

  it('serves on a connection that has rested, and closes it when its idle time is over', async () => {
    await serve();
    const peer = await stage.client();
    for (let round = 0; round < 3; round += 1) {
      assert.match(await request(peer), /200 OK/);
      await stage.plane.skip(10_000);
    }
    await stage.plane.skip(40_000);
    assert.equal(peer.ended, false);
    await stage.plane.skip(11_000);
    assert.equal(await peer.all(), '');
    const ended = 'portico_connections_ended_total{listener="web",reason="idle-timeout"}';
    assert.equal(stage.plane.metric(ended), 1);
  });

  it('counts every byte, those of the last answer included', async () => {
    await serve();
    const peer = await stage.client();
    const asked = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    peer.send(GET);
    await peer.expect('ok');
    peer.send(asked);
    const answer = await peer.all();
    peer.socket.end();
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
    assert.equal(stage.plane.metric('portico_bytes_received_total'), GET.length + asked.length);
    assert.equal(stage.plane.metric('portico_bytes_sent_total'), answer.length);
  });

  it('gives a slow reader the whole of the last answer, however long it takes', async () => {
    let sent = 0;
    const server = await stage.backend((upstream) => {
      void upstream.expect('\r\n\r\n').then(async () => {
        upstream.send('HTTP/1.1 200 OK\r\n\r\n');
        await eventually('the head', () => down() !== undefined);
        sent = await sendUntilHeld(upstream, up()!, down()!, Buffer.alloc(128 * 1024, 'x'));
        upstream.socket.end();
      });
    });
    const down = (): WireSocket | undefined =>
      socketsOf((socket) => socket.localPort === stage.plane.port())[0];
    const up = (): WireSocket | undefined =>
      socketsOf((socket) => `127.0.0.1:${socket.remotePort}` === server.at)[0];
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    const peer = await stage.client();
    peer.socket.pause();
    peer.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    await eventually('the answer', () => stage.plane.metric('portico_http_requests_total') === 1);
    assert.ok(down()!.writableLength > 0, 'the worker still holds some of it');
    for (let seconds = 0; seconds < 5; seconds += 1) await stage.plane.skip(1000);
    peer.socket.resume();
    const all = await peer.all(20_000);
    assert.equal(all.length - all.indexOf('\r\n\r\n') - 4, sent);
  });

  // Draining -----------------------------------------------------------------------------------------------------------

  it('drains: accepts nothing, answers what is in flight, tells waiting clients to leave, then exits', async () => {
    const waiting = Promise.withResolvers<RawPeer>();
    const server = await stage.backend((upstream) => {
      upstream.socket.on('data', () => {
        if (upstream.take().includes('/slow')) waiting.resolve(upstream);
        else upstream.send(OK);
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at], timeouts: PATIENT }] }));
    const idle = await stage.client();
    await request(idle);
    const slow = await stage.client();
    slow.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    const upstream = await waiting.promise;

    stage.plane.worker.drain(60_000, 60_000);
    const late = net.connect(stage.plane.port(), '127.0.0.1');
    // `once` rejects with the error event; the socket is never connected.
    await assert.rejects(once(late, 'connect'), { code: 'ECONNREFUSED' });
    idle.send(GET);
    await idle.expect('ok');
    assert.match(idle.received, /\r\nConnection: close\r\n/);
    await idle.until(() => idle.ended);
    idle.socket.end();

    let exited = false;
    void stage.plane.exited.then(() => {
      exited = true;
    });
    await stage.plane.skip(30_000);
    assert.equal(exited, false, 'one answer is still to come');
    upstream.send(OK);
    await slow.expect('ok');
    assert.match(slow.received, /\r\nConnection: close\r\n/);
    slow.socket.end();
    assert.equal(await stage.plane.exited, 0);
  });

  it('drains: closes waiting connections after their time and cuts the rest at the deadline', async () => {
    const server = await stage.backend();
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at], timeouts: PATIENT }] }));
    const idle = await stage.client();
    const stuck = await stage.client();
    stuck.send(GET);
    await eventually('the request', () => server.connections === 1);
    stage.plane.worker.drain(1000, 10_000);
    await stage.plane.skip(1000);
    await idle.until(() => idle.ended);
    idle.socket.end();
    assert.equal(stuck.ended, false);
    await stage.plane.skip(10_000);
    await stuck.until(() => stuck.closed);
    assert.equal(stuck.error?.code, 'ECONNRESET');
    assert.equal(await stage.plane.exited, 0);
  });

  it('waits for the last bytes of an answer before it exits', async () => {
    const size = 48 * 1024 * 1024;
    const server = await stage.backend((upstream) => {
      void upstream.expect('\r\n\r\n').then(() => {
        upstream.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        upstream.socket.write(Buffer.alloc(size, 'x'));
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at], timeouts: PATIENT }] }));
    const socket = net.connect(stage.plane.port(), '127.0.0.1');
    stage.clients.push(new RawPeer(socket));
    socket.removeAllListeners('data');
    let received = 0;
    socket.on('data', (chunk) => {
      received += chunk.length;
    });
    socket.write(GET);
    await eventually('some of it', () => received > 0);
    stage.plane.worker.drain(1000, 60_000);
    await stage.plane.exited;
    await eventually('all of it', () => received > size);
  });
});
