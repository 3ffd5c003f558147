// The limits of a listener with real sockets: what is refused, with which answer, and which counter says so.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import type { ListenerLimits } from '../../src/model/listener-config.ts';
import { ALWAYS_TAKEN } from '../../src/proxy/admission/admission.ts';
import {
  answering,
  eventually,
  type RawPeer,
  type RawServer,
  Stage,
  whenAsked,
} from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const OTHER = '127.0.0.2';
/** A target may take its time: these tests move the clock. */
const PATIENT = {
  connectMs: 1000,
  responseHeaderMs: 600_000,
  streamIdleMs: 600_000,
  tunnelIdleMs: 600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};

describe('limits of a listener', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(
    limits: Partial<ListenerLimits>,
    onConnection: (peer: RawPeer) => void = answering(OK),
    over: { trustedProxies?: readonly string[]; memoryPerWorker?: number } = {},
  ): Promise<RawServer> {
    const server = await stage.backend(onConnection);
    stage.plane.freeze();
    stage.plane.apply(
      snapshotOf({
        pools: [{ targets: [server.at], timeouts: PATIENT }],
        listeners: [listenerConfig({ limits })],
        ...over,
      }),
    );
    return server;
  }

  async function request(peer: RawPeer, text = GET): Promise<string> {
    peer.send(text);
    await peer.until(() => /\r\n\r\n.*[k\n]$/s.test(peer.received) || peer.ended || peer.closed);
    return peer.take();
  }

  const refused = (reason: string): number =>
    stage.plane.metric(`portico_connections_refused_total{listener="web",reason="${reason}"}`);
  const failed = (reason: string): number =>
    stage.plane.metric(`portico_failures_total{listener="web",reason="${reason}"}`);
  const inFlight = (): number => stage.plane.metric('portico_requests_active{listener="web"}');

  function assertRefusal(answer: string, status: string, code: string): void {
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status}`));
    assert.match(answer, /\r\nRetry-After: 1\r\n/);
    assert.match(answer, new RegExp(`\r\nProxy-Status: portico; error=[a-z_]+; details="${code}"\r\n`));
    assert.equal(failed(code), 1);
  }

  /** Requests that wait for an answer until the test gives it. */
  function holding(): { readonly held: RawPeer[]; readonly hold: (peer: RawPeer) => void } {
    const held: RawPeer[] = [];
    return {
      held,
      hold: (peer) => {
        peer.socket.on('data', () => held.push(peer));
      },
    };
  }

  // Connections ------------------------------------------------------------------------------------------------------

  it('refuses the connections of one client above its rate at once, leaves others alone, and takes it again', async () => {
    await serve({ connectionRatePerClient: 1, connectionBurstPerClient: 2 });
    for (let round = 0; round < 2; round += 1) assert.match(await request(await stage.client()), /200 OK/);
    assert.equal(await (await stage.client()).all(), '');
    assert.equal(refused('client-connection-rate'), 1);
    assert.match(await request(await stage.client('web', OTHER)), /200 OK/);
    await stage.plane.skip(1100);
    assert.match(await request(await stage.client()), /200 OK/);
  });

  it('refuses the connections of all clients above the rate of the listener', async () => {
    await serve({ connectionRate: 2 });
    for (const from of ['127.0.0.1', OTHER])
      assert.match(await request(await stage.client('web', from)), /200 OK/);
    assert.equal(await (await stage.client('web', '127.0.0.3')).all(), '');
    assert.equal(refused('connection-rate'), 1);
    await stage.plane.skip(600);
    assert.match(await request(await stage.client()), /200 OK/);
  });

  it('counts the addresses of one prefix as one client', async () => {
    await serve({ connectionsPerClient: 1, clientPrefix4: 24 });
    assert.match(await request(await stage.client('web', '127.0.0.1')), /200 OK/);
    assert.equal(await (await stage.client('web', '127.0.0.77')).all(), '');
    assert.match(await request(await stage.client('web', '127.0.1.1')), /200 OK/);
  });

  it('has no limit of one client for a trusted proxy, which speaks for many', async () => {
    await serve({ connectionsPerClient: 1, requestRatePerClient: 1 }, answering(OK), {
      trustedProxies: ['127.0.0.1/32'],
    });
    const peers = [await stage.client(), await stage.client()];
    for (const peer of peers)
      for (let round = 0; round < 3; round += 1) assert.match(await request(peer), /200 OK/);
    await stage.client('web', OTHER);
    assert.equal(await (await stage.client('web', OTHER)).all(), '');
  });

  it('neither trusts others of the network of a trusted proxy nor limits it with them', async () => {
    await serve({ clientPrefix4: 24, connectionsPerClient: 2, requestRatePerClient: 1 }, answering(OK), {
      trustedProxies: ['127.0.0.5/32'],
    });
    const other = await stage.client('web', '127.0.0.66');
    assert.match(await request(other), /200 OK/);
    const proxy = await stage.client('web', '127.0.0.5');
    for (let round = 0; round < 3; round += 1) {
      assert.match(await request(proxy), /200 OK/);
      assert.match(await request(other), /^HTTP\/1.1 429 /);
      if (round === 0) await stage.client('web', '127.0.0.67');
    }
  });

  // Requests ---------------------------------------------------------------------------------------------------------

  it('answers 503 to a request above those in flight, at once, and goes on when one has ended', async () => {
    const { held, hold } = holding();
    await serve({ requests: 2 }, hold);
    const [first, second, third] = [await stage.client(), await stage.client(), await stage.client()];
    first.send(GET);
    second.send(GET);
    await eventually('both requests', () => held.length === 2);
    assert.equal(inFlight(), 2);
    assertRefusal(await request(third), '503', 'request-limit');
    assert.equal(held.length, 2, 'nothing of it reached the target');
    held[0]!.send(OK);
    await first.expect('ok');
    third.send(GET);
    await eventually('the request that was refused before', () => held.length === 3);
    held[1]!.send(OK);
    held[2]!.send(OK);
    await Promise.all([second.expect('ok'), third.expect('ok')]);
    assert.equal(inFlight(), 0);
  });

  it('answers 503 to a client above its requests in flight, and serves others', async () => {
    const { held, hold } = holding();
    await serve({ requestsPerClient: 1 }, hold);
    const first = await stage.client();
    first.send(GET);
    await eventually('the request', () => held.length === 1);
    assertRefusal(await request(await stage.client()), '503', 'client-request-limit');
    const other = await stage.client('web', OTHER);
    other.send(GET);
    await eventually('the other request', () => held.length === 2);
    for (const peer of held) peer.send(OK);
    await Promise.all([first.expect('ok'), other.expect('ok')]);
  });

  it('gives back what a client had in flight when it leaves', async () => {
    const { held, hold } = holding();
    await serve({ requestsPerClient: 1 }, hold);
    const first = await stage.client();
    first.send(GET);
    await eventually('the request', () => held.length === 1);
    first.socket.resetAndDestroy();
    await eventually('the end', () => inFlight() === 0);
    const second = await stage.client();
    second.send(GET);
    await eventually('the next request', () => held.length === 2);
  });

  it('counts an upgraded connection as in flight until its tunnel ends', async () => {
    await serve({ requests: 1 }, (peer) => {
      whenAsked(peer, () => {
        peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n');
      });
    });
    const tunnel = await stage.client();
    tunnel.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n');
    await tunnel.expect('101 ');
    assertRefusal(await request(await stage.client()), '503', 'request-limit');
    tunnel.socket.resetAndDestroy();
    await eventually('the end of the tunnel', () => inFlight() === 0);
  });

  it('answers 429 to the requests of one client above its rate, on a connection that stays', async () => {
    await serve({ requestRatePerClient: 1, requestBurstPerClient: 3 });
    const peer = await stage.client();
    for (let round = 0; round < 3; round += 1) assert.match(await request(peer), /200 OK/);
    assertRefusal(await request(peer), '429', 'client-request-rate');
    assert.match(await request(await stage.client('web', OTHER)), /200 OK/);
    await stage.plane.skip(1100);
    assert.match(await request(peer), /200 OK/);
  });

  it('keeps the rate of a client over its connections', async () => {
    await serve({ requestRatePerClient: 1 });
    const first = await stage.client();
    assert.match(await request(first), /200 OK/);
    first.destroy();
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
    assertRefusal(await request(await stage.client()), '429', 'client-request-rate');
  });

  it('answers 429 to everyone above the rate of the listener', async () => {
    await serve({ requestRate: 2 });
    assert.match(await request(await stage.client()), /200 OK/);
    assert.match(await request(await stage.client('web', OTHER)), /200 OK/);
    assertRefusal(await request(await stage.client('web', '127.0.0.3')), '429', 'request-rate');
  });

  it('answers 429 to a request with a body and closes, since what follows cannot be told from the body', async () => {
    await serve({ requestRate: 1 });
    const peer = await stage.client();
    assert.match(await request(peer), /200 OK/);
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
    const answer = await peer.all();
    assert.match(answer, /^HTTP\/1.1 429 .*\r\nConnection: close\r\n/s);
  });

  // Memory -----------------------------------------------------------------------------------------------------------

  describe('at the memory ceiling', () => {
    const CEILING = 1000;
    const over = async (): Promise<void> => {
      stage.plane.residentBytes = CEILING;
      await eventually('a look', () => stage.plane.metric('portico_worker_memory_over') === 1);
    };

    it('refuses connections and requests beyond a few, says so, and goes on below it', async () => {
      const { held, hold } = holding();
      await serve({}, hold, { memoryPerWorker: CEILING });
      const peers: RawPeer[] = [];
      for (let index = 0; index < ALWAYS_TAKEN; index += 1) peers.push(await stage.client());
      for (const peer of peers) peer.send(GET);
      await eventually('all requests', () => held.length === peers.length);
      const late = await stage.client();
      await eventually(
        'the accept',
        () => stage.plane.metric('portico_connections_active') === peers.length + 1,
      );
      await over();
      assert.equal(stage.plane.metric('portico_worker_memory_bytes'), CEILING);
      assert.ok(stage.plane.collections > 0, 'garbage was collected first');
      assertRefusal(await request(late), '503', 'memory-limit');
      await late.until(() => late.ended);
      late.destroy();
      await eventually('the end', () => stage.plane.metric('portico_connections_active') === peers.length);
      assert.equal(await (await stage.client()).all(), '');
      assert.equal(refused('memory-limit'), 1);
      stage.plane.residentBytes = CEILING / 2;
      await eventually('relief', () => stage.plane.metric('portico_worker_memory_over') === 0);
      const next = await stage.client();
      next.send(GET);
      await eventually('its request', () => held.length === peers.length + 1);
    });

    it('lets idle connections go, and leaves those in use alone', async () => {
      const { held, hold } = holding();
      await serve({}, hold, { memoryPerWorker: CEILING });
      const [idle, busy] = [await stage.client(), await stage.client()];
      busy.send(GET);
      await eventually('the request', () => held.length === 1);
      await stage.plane.skip(1100);
      await over();
      assert.equal(await idle.all(), '');
      assert.equal(
        stage.plane.metric('portico_connections_ended_total{listener="web",reason="memory-limit"}'),
        1,
      );
      held[0]!.send(OK);
      await busy.expect('ok');
    });

    it('cuts the clients that leave most unread', async () => {
      await serve(
        {},
        (peer) => {
          whenAsked(peer, () => {
            peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
            const chunk = Buffer.alloc(1 << 16);
            const more = (): void => {
              while (!peer.closed && peer.socket.write(chunk));
            };
            peer.socket.on('drain', more);
            more();
          });
        },
        { memoryPerWorker: CEILING },
      );
      const stuck = await stage.client();
      stuck.socket.pause();
      stuck.send(GET);
      await eventually(
        'an answer that is stuck',
        () => stage.plane.metric('portico_bytes_sent_total') >= 0 && inFlight() === 1,
      );
      stage.plane.residentBytes = CEILING + 1;
      await eventually(
        'the cut',
        () =>
          stage.plane.metric('portico_connections_ended_total{listener="web",reason="memory-limit"}') === 1,
      );
      await eventually('the end', () => inFlight() === 0);
    });
  });
});
