// Requests that wait for a free connection to a target: in order, for a limited time, and never too many.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import type { UpstreamLimits } from '../../../src/model/pool-config.ts';
import type { Snapshot } from '../../../src/model/snapshot.ts';
import { answering, eventually, type RawPeer, type RawServer, Stage } from '../../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const PATIENT = {
  connectMs: 10_000,
  responseHeaderMs: 600_000,
  streamIdleMs: 600_000,
  tunnelIdleMs: 600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};

describe('pending requests', () => {
  const stage = new Stage();
  /** Requests at the targets, in the order in which they came: path and connection. */
  let arrived: { readonly path: string; readonly peer: RawPeer }[] = [];
  afterEach(async () => {
    arrived = [];
    await stage.clear();
  });
  after(() => stage.end());

  const holding = (): Promise<RawServer> =>
    stage.backend((peer) => {
      peer.socket.on('data', (chunk: Buffer) => {
        const path = /^GET (\S+)/.exec(chunk.toString('latin1'))?.[1];
        if (path !== undefined) arrived.push({ path, peer });
      });
    });

  async function serve(connections: Partial<UpstreamLimits>, targets = 1): Promise<void> {
    const servers = [];
    for (let index = 0; index < targets; index += 1) servers.push((await holding()).at);
    stage.plane.apply(snapshotOf({ pools: [{ targets: servers, timeouts: PATIENT, connections }] }));
  }

  async function request(path: string): Promise<RawPeer> {
    const peer = await stage.client();
    peer.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return peer;
  }

  const pending = (): number => stage.plane.metric('portico_upstream_pending');
  const failed = (reason: string): number =>
    stage.plane.metric(`portico_failures_total{listener="web",reason="${reason}"}`);
  const paths = (): readonly string[] => arrived.map(({ path }) => path);

  it('get the connection that comes free, in the order in which they came', async () => {
    await serve({ perTarget: 1, pending: 10 });
    const peers = [await request('/0')];
    await eventually('the first request', () => arrived.length === 1);
    for (let index = 1; index < 4; index += 1) {
      peers.push(await request(`/${index}`));
      await eventually('a place in the queue', () => pending() === index);
    }
    for (let index = 0; index < 4; index += 1) {
      await eventually(`request ${index}`, () => arrived.length === index + 1);
      arrived[index]!.peer.send(OK);
      await peers[index]!.expect('ok');
    }
    assert.deepEqual(paths(), ['/0', '/1', '/2', '/3']);
    assert.equal(pending(), 0);
    assert.equal(new Set(arrived.map(({ peer }) => peer)).size, 1, 'one connection did it all');
  });

  it('get a new connection in place of one that was closed', async () => {
    await serve({ perTarget: 1, pending: 10 });
    await request('/0');
    await eventually('the first request', () => arrived.length === 1);
    const waiting = await request('/1');
    await eventually('a place in the queue', () => pending() === 1);
    arrived[0]!.peer.destroy();
    await eventually('the second request', () => paths().includes('/1'));
    arrived.find(({ path }) => path === '/1')!.peer.send(OK);
    await waiting.expect('ok');
  });

  it('are answered 503 when their time is up, with the reason and when to come back', async () => {
    await serve({ perTarget: 1, pending: 10, pendingTimeoutMs: 1000 });
    const first = await request('/0');
    await eventually('the first request', () => arrived.length === 1);
    const late = await request('/1');
    await eventually('a place in the queue', () => pending() === 1);
    await stage.plane.skip(1100);
    await late.expect('\r\n\r\n');
    assert.match(late.received, /^HTTP\/1.1 503 .*details="pending-timeout".*\r\nRetry-After: 1\r\n/s);
    assert.equal(failed('pending-timeout'), 1);
    assert.equal(pending(), 0);
    arrived[0]!.peer.send(OK);
    await first.expect('ok');
    assert.deepEqual(paths(), ['/0'], 'nothing of it reached the target');
  });

  it('are answered 503 at once when the queue is full, or when there is none', async () => {
    await serve({ perTarget: 1, pending: 1 });
    await request('/0');
    await eventually('the first request', () => arrived.length === 1);
    await request('/1');
    await eventually('a place in the queue', () => pending() === 1);
    const refused = await request('/2');
    await refused.expect('\r\n\r\n');
    assert.match(refused.received, /^HTTP\/1.1 503 .*details="pending-limit".*\r\nRetry-After: 1\r\n/s);
    assert.equal(failed('pending-limit'), 1);
  });

  it('have no queue where it is switched off', async () => {
    await serve({ perTarget: 1, pending: 0 });
    await request('/0');
    await eventually('the first request', () => arrived.length === 1);
    const refused = await request('/1');
    await refused.expect('\r\n\r\n');
    assert.match(refused.received, /^HTTP\/1.1 503 .*details="connection-limit".*\r\nRetry-After: 1\r\n/s);
  });

  it('leave the queue with their client', async () => {
    await serve({ perTarget: 1, pending: 10 });
    await request('/0');
    await eventually('the first request', () => arrived.length === 1);
    const leaves = await request('/1');
    await eventually('a place in the queue', () => pending() === 1);
    leaves.socket.resetAndDestroy();
    await eventually('an empty queue', () => pending() === 0);
    const stays = await request('/2');
    await eventually('a place in the queue', () => pending() === 1);
    arrived[0]!.peer.send(OK);
    await eventually('the one that stayed', () => paths().includes('/2'));
    arrived[1]!.peer.send(OK);
    await stays.expect('ok');
    assert.deepEqual(paths(), ['/0', '/2']);
  });

  it('wait for the pool as a whole too, which gives up an idle connection to another target first', async () => {
    await serve({ perTarget: 10, perPool: 2, pending: 10 }, 2);
    const [first, second] = [await request('/0'), await request('/1')];
    await eventually('both requests', () => arrived.length === 2);
    const third = await request('/2');
    await eventually('a place in the queue', () => pending() === 1);
    arrived[0]!.peer.send(OK);
    await first.expect('ok');
    await eventually('the third', () => arrived.length === 3);
    arrived[1]!.peer.send(OK);
    await second.expect('ok');
    arrived[2]!.peer.send(OK);
    await third.expect('ok');
    // Two idle connections fill the pool; each target is still reached.
    for (let round = 0; round < 4; round += 1) {
      const peer = await request(`/again-${round}`);
      await eventually('the request', () => arrived.length === 4 + round);
      arrived.at(-1)!.peer.send(OK);
      await peer.expect('ok');
    }
    assert.ok(stage.plane.metric('portico_upstream_connections') <= 2);
  });

  it('keep their place while the pool gets another version', async () => {
    await serve({ perTarget: 1, pending: 10 });
    const target = stage.servers.at(-1)!.at;
    await request('/0');
    await eventually('the first request', () => arrived.length === 1);
    const waiting = await request('/1');
    await eventually('a place in the queue', () => pending() === 1);
    stage.plane.apply(
      snapshotOf({
        version: 2,
        pools: [
          { targets: [target], timeouts: PATIENT, connections: { perTarget: 1, pending: 5 }, slowStartMs: 1 },
        ],
      }),
    );
    arrived[0]!.peer.send(OK);
    await eventually('the second request', () => paths().includes('/1'));
    arrived[1]!.peer.send(OK);
    await waiting.expect('ok');
  });

  /** One request at the first of these targets, and three that wait for room. */
  async function fill(snapshot: Snapshot): Promise<readonly RawPeer[]> {
    stage.plane.apply(snapshot);
    // On a slow machine a dial would be given company.
    stage.plane.freeze();
    await request('/0');
    await eventually('the first request', () => arrived.length === 1);
    const waiting = [];
    for (let index = 1; index < 4; index += 1) {
      waiting.push(await request(`/${index}`));
      await eventually('a place in the queue', () => pending() === index);
    }
    return waiting;
  }

  const NARROW = { timeouts: PATIENT, connections: { perTarget: 1, pending: 10, pendingTimeoutMs: 60_000 } };

  it('go to targets that come, at once and as many as these take', async () => {
    const [first, second, third] = [await holding(), await holding(), await holding()];
    await fill(snapshotOf({ pools: [{ ...NARROW, targets: [first.at] }] }));
    stage.plane.apply(
      snapshotOf({ version: 2, pools: [{ ...NARROW, targets: [first.at, second.at, third.at] }] }),
    );
    await eventually('what there is room for', () => arrived.length === 3);
    assert.equal(pending(), 1);
    assert.equal(second.connections + third.connections, 2);
  });

  it('go on when the bound is raised', async () => {
    const server = await holding();
    await fill(snapshotOf({ pools: [{ ...NARROW, targets: [server.at] }] }));
    const connections = { ...NARROW.connections, perTarget: 3 };
    stage.plane.apply(snapshotOf({ version: 2, pools: [{ ...NARROW, connections, targets: [server.at] }] }));
    await eventually('what there is room for', () => arrived.length === 3);
    assert.equal(pending(), 1);
  });

  it('go to the target that takes the place of the one they wait for', async () => {
    const [first, second] = [await holding(), await holding()];
    await fill(snapshotOf({ pools: [{ ...NARROW, targets: [first.at] }] }));
    stage.plane.apply(snapshotOf({ version: 2, pools: [{ ...NARROW, targets: [second.at] }] }));
    await eventually('the next', () => arrived.length === 2);
    assert.equal(second.connections, 1);
  });

  it('go to a target that is healthy again', async () => {
    const [first, second] = [await holding(), await holding()];
    const ill = { at: second.at, health: 'unhealthy' } as const;
    await fill(snapshotOf({ pools: [{ ...NARROW, targets: [first.at, ill] }] }));
    stage.plane.apply(snapshotOf({ version: 2, pools: [{ ...NARROW, targets: [first.at, second.at] }] }));
    await eventually('the next', () => arrived.length === 2);
    assert.equal(second.connections, 1);
  });

  it('go to a target that returns from an ejection', async () => {
    const targets = [(await holding()).at, (await holding()).at];
    const ejection = { connectFailures: 0, gatewayErrors: 1, baseMs: 5000, maxMs: 5000, maxShare: 0.5 };
    stage.plane.apply(snapshotOf({ pools: [{ ...NARROW, ejection, targets }] }));
    stage.plane.freeze();
    for (let index = 0; index < 4; index += 1) {
      await request(`/${index}`);
      await eventually('its place', () => arrived.length + pending() === index + 1);
    }
    arrived[0]!.peer.send('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n');
    await eventually('the ejection', () => stage.plane.metric('portico_ejections_total') === 1);
    assert.equal(pending(), 2);
    await stage.plane.skip(5100);
    await eventually('one at the target that is back', () => arrived.length === 3);
    assert.equal(pending(), 1);
  });

  it('are tcp connections too', async () => {
    const server = await stage.backend((peer) => peer.send('hello'));
    stage.plane.apply(
      snapshotOf({
        pools: [{ targets: [server.at], timeouts: PATIENT, connections: { perTarget: 1, pending: 1 } }],
        listeners: [listenerConfig({ name: 'git', protocol: 'tcp', pool: 'pool-0' })],
        routes: [],
      }),
    );
    const first = await stage.client('git');
    await first.expect('hello');
    const second = await stage.client('git');
    await eventually('a place in the queue', () => pending() === 1);
    // The third is reset, before or after its connect is seen to have succeeded.
    await stage.client('git').catch(() => null);
    const ended = 'portico_tcp_connections_total{listener="git",result="pending-limit"}';
    await eventually('the refusal', () => stage.plane.metric(ended) === 1);
    first.socket.resetAndDestroy();
    await second.expect('hello');
  });

  for (const [what, connections, made] of [
    ['at perTarget it is given up for them', { perTarget: 1, pending: 0 }, 3],
    ['at perTarget and perPool it is given up for them', { perTarget: 1, perPool: 1, pending: 0 }, 3],
    ['where startsPerSecond allows no other it is taken after all', { startsPerSecond: 1, pending: 0 }, 1],
  ] as const)
    it(`do not wait for an idle connection that has been silent for too long for them: ${what}`, async () => {
      const server = await stage.backend(answering(OK));
      stage.plane.freeze();
      stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at], timeouts: PATIENT, connections }] }));
      const peer = await stage.client();
      for (let round = 0; round < 3; round += 1) {
        // Not to be repeated, and so not sent on a connection that has been silent for a while.
        peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
        await peer.expect('\r\n\r\nok');
        assert.match(peer.take(), /^HTTP\/1\.1 200 /);
        await stage.plane.skip(200);
      }
      assert.equal(server.connections, made);
    });
});
