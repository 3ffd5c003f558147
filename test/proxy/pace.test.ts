// How slow each side may be, and how far ahead a client may send: with real sockets and a clock that the test moves.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import type { ListenerLimits } from '../../src/model/listener-config.ts';
import type { UpstreamLimits } from '../../src/model/pool-config.ts';
import {
  answering,
  bytesReadBy,
  eventually,
  type RawPeer,
  Stage,
  socketsOf,
  standsStill,
  whenAsked,
} from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
/** Only the rates are to end anything. */
const PATIENT = {
  connectMs: 10_000,
  responseHeaderMs: 600_000,
  streamIdleMs: 600_000,
  tunnelIdleMs: 600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
const GRACE_MS = 10_000;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

describe('least rates', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(
    onConnection: (peer: RawPeer) => void,
    limits: Partial<ListenerLimits> = {},
    connections: Partial<UpstreamLimits> = {},
  ): Promise<void> {
    const server = await stage.backend(onConnection);
    stage.plane.apply(
      snapshotOf({
        pools: [{ targets: [server.at], timeouts: PATIENT, connections }],
        listeners: [listenerConfig({ limits, timeouts: { rateGraceMs: GRACE_MS } })],
      }),
    );
  }

  const failed = (reason: string): number =>
    stage.plane.metric(`portico_failures_total{listener="web",reason="${reason}"}`);
  const received = (): number =>
    socketsOf((socket) => socket.localPort === stage.plane.port()).reduce(
      (sum, socket) => sum + bytesReadBy(socket),
      0,
    );

  const held = (byClient: boolean): number =>
    socketsOf((socket) => (socket.localPort === stage.plane.port()) === byClient).reduce(
      (sum, { writableLength }) => sum + writableLength,
      0,
    );
  /** What the worker holds of the answer and of the request, since the kernel does not take it. */
  const answerHeld = (): number => held(true);
  const requestHeld = (): number => held(false);

  /** Sends so many bytes and waits until the worker has read them. */
  async function send(peer: RawPeer, bytes: number): Promise<void> {
    const before = received();
    peer.send('y'.repeat(bytes));
    await eventually('the bytes', () => received() === before + bytes);
  }

  /** Sends an endless answer as fast as it is taken. */
  function pouring(peer: RawPeer): void {
    whenAsked(peer, () => {
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
      const more = (): void => {
        while (!peer.closed && peer.socket.write(CHUNK));
      };
      peer.socket.on('drain', more);
      more();
    });
  }

  it('answers 408 to a body that comes more slowly than the least rate, and lets one pass that keeps to it', async () => {
    await serve(() => {}, { minBodyRate: 100 });
    const peer = await stage.client();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
    await eventually('the request', () => stage.plane.metric('portico_upstream_connections') >= 1);
    for (let stretch = 0; stretch < 3; stretch += 1) {
      await send(peer, 1200);
      await stage.plane.skip(GRACE_MS + 100);
      assert.equal(peer.ended, false, 'above 100 bytes a second');
    }
    await send(peer, 800);
    await stage.plane.skip(GRACE_MS + 100);
    assert.match(await peer.all(), /^HTTP\/1.1 408 .*details="body-too-slow"/s);
    assert.equal(failed('body-too-slow'), 1);
  });

  it('does not hold a slow target against the client that sends to it', async () => {
    await serve((upstream) => upstream.socket.pause(), { minBodyRate: 1000 });
    const peer = await stage.client();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n');
    const more = (): void => {
      while (!peer.closed && peer.socket.write(CHUNK));
    };
    peer.socket.on('drain', more);
    more();
    await eventually('a target that takes no more', () => requestHeld() > 128 * 1024);
    await standsStill('the request', requestHeld);
    for (let stretch = 0; stretch < 3; stretch += 1) await stage.plane.skip(GRACE_MS + 100);
    assert.equal(failed('body-too-slow'), 0);
    assert.equal(peer.closed, false);
  });

  it('cuts a client that takes its answer more slowly than the least rate', async () => {
    await serve(pouring, { minReadRate: 100 });
    const peer = await stage.client();
    peer.socket.pause();
    peer.send(GET);
    await eventually('an answer that is stuck', () => answerHeld() > 256 * 1024);
    await standsStill('the answer', answerHeld);
    // The first stretch began with the answer, of which the kernel has taken a lot; it may still take some in others.
    for (let stretch = 0; stretch < 20 && failed('client-too-slow') === 0; stretch += 1)
      await stage.plane.skip(GRACE_MS + 100);
    assert.equal(failed('client-too-slow'), 1);
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
  });

  it('lets a client go on that reads slowly but keeps to the least rate', async () => {
    await serve(pouring, { minReadRate: 1 });
    const peer = await stage.client();
    peer.socket.pause();
    peer.send(GET);
    for (let stretch = 0; stretch < 3; stretch += 1) {
      await eventually('an answer that is stuck', () => answerHeld() > 256 * 1024);
      const before = peer.received.length;
      peer.socket.resume();
      await eventually('some of it', () => peer.received.length > before + 4 * 1024 * 1024);
      peer.socket.pause();
      peer.received = '';
      await stage.plane.skip(GRACE_MS + 100);
    }
    assert.equal(failed('client-too-slow'), 0);
    assert.equal(peer.closed, false);
  });

  it('cuts a target that answers more slowly than the least rate of its pool, and no other', async () => {
    const upstreams: RawPeer[] = [];
    await serve(
      (peer) => {
        whenAsked(peer, () => {
          peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n');
          upstreams.push(peer);
        });
      },
      {},
      { minAnswerRate: 100 },
    );
    const peer = await stage.client();
    peer.send(GET);
    await peer.expect('\r\n\r\n');
    upstreams[0]!.send('z'.repeat(1100));
    await peer.until(() => peer.received.endsWith('z'.repeat(1100)));
    await stage.plane.skip(GRACE_MS + 100);
    assert.equal(peer.closed, false);
    upstreams[0]!.send('.');
    await peer.until(() => peer.received.endsWith('.'));
    await stage.plane.skip(GRACE_MS + 100);
    await peer.until(() => peer.closed);
    assert.equal(failed('answer-too-slow'), 1);
  });

  it('has no least rate for an answer unless one is set: events may be hours apart', async () => {
    await serve(
      (peer) => {
        whenAsked(peer, () => peer.send('HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n'));
      },
      { minBodyRate: 1000, minReadRate: 1000 },
    );
    const peer = await stage.client();
    peer.send(GET);
    await peer.expect('data: 1');
    for (let stretch = 0; stretch < 5; stretch += 1) await stage.plane.skip(GRACE_MS + 100);
    assert.equal(peer.ended, false);
  });
});

describe('requests ahead of their answers', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(limits: Partial<ListenerLimits>): Promise<void> {
    const server = await stage.backend(answering(OK));
    stage.plane.apply(
      snapshotOf({ pools: [{ targets: [server.at] }], listeners: [listenerConfig({ limits })] }),
    );
  }

  const ended = (reason: string): number =>
    stage.plane.metric(`portico_connections_ended_total{listener="web",reason="${reason}"}`);
  const answers = (text: string): number => text.split('HTTP/1.1 200 OK').length - 1;

  it('are answered up to the limit, and the connection is closed with the next one', async () => {
    await serve({ pipelinedRequests: 3 });
    const peer = await stage.client();
    peer.send(GET.repeat(7));
    const all = await peer.all();
    assert.equal(answers(all), 5, 'one in progress, three ahead of it, and the one too many');
    assert.equal(all.split('Connection: close').length - 1, 1, 'told with the last answer');
    assert.equal(ended('pipelined-requests'), 1);
  });

  it('count for sixteen when they are refused for their rate, and only when others follow', async () => {
    await serve({ pipelinedRequests: 40, requestRatePerClient: 1, requestBurstPerClient: 2 });
    const peer = await stage.client();
    peer.send(GET.repeat(20));
    const all = await peer.all();
    assert.equal(answers(all), 2);
    assert.equal(all.split('HTTP/1.1 429').length - 1, 3, '3, 19 and 35 of those ahead, and 16 for the last');
    assert.equal(all.split('Connection: close').length - 1, 1, 'told with the last answer');
    assert.equal(ended('pipelined-requests'), 1);
    const alone = await stage.client();
    for (let round = 0; round < 4; round += 1) {
      alone.send(GET);
      await alone.until(() => alone.received.endsWith('\n') || alone.ended);
      assert.match(alone.received, /^HTTP\/1\.1 429/);
      assert.doesNotMatch(alone.take(), /Connection: close/);
    }
  });

  it('count anew for each batch: a client that waits for its answers is never closed', async () => {
    await serve({ pipelinedRequests: 3 });
    const peer = await stage.client();
    for (let batch = 0; batch < 3; batch += 1) {
      peer.send(GET.repeat(4));
      await peer.until(() => answers(peer.received) === 4 || peer.ended);
      assert.doesNotMatch(peer.take(), /Connection: close/);
    }
    assert.equal(ended('pipelined-requests'), 0);
  });

  it('are dropped beyond the limit of bytes, and the connection is closed with the answer in progress', async () => {
    await serve({ pipelinedBytes: 2000 });
    const peer = await stage.client();
    peer.send(GET + `GET /${'a'.repeat(500)} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(5));
    const all = await peer.all();
    assert.equal(answers(all), 1);
    assert.match(all, /Connection: close/);
    assert.equal(ended('pipelined-bytes'), 1);
  });

  it('end a tunnel that would lack them', async () => {
    let agree: (() => void) | null = null;
    const server = await stage.backend((peer) => {
      whenAsked(peer, () => {
        agree = () =>
          peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello');
      });
    });
    const limits = { pipelinedBytes: 2000 };
    stage.plane.apply(
      snapshotOf({ pools: [{ targets: [server.at] }], listeners: [listenerConfig({ limits })] }),
    );
    const peer = await stage.client();
    peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
    await eventually('the request', () => agree !== null);
    peer.send('x'.repeat(3000));
    await eventually('that they are dropped', () => ended('pipelined-bytes') === 1);
    agree!();
    await peer.until(() => peer.closed || peer.ended || peer.received.includes('hello'));
    assert.equal(peer.received, '');
  });
});
