import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ConnectRecord, runThatTells } from '../../../src/proxy/upstream/connect-record.ts';
import { HEDGE_AFTER_MS } from '../../../src/proxy/upstream/dial-budget.ts';
import { BlackHole } from '../../support/black-hole.ts';
import { answering, DataPlane, eventually, RawPeer, RawServer } from '../../support/data-plane.ts';
import { connectionsOf, SYN_SENT } from '../../support/kernel-connections.ts';
import { allToFirstPool, NO_RETRY, snapshotOf } from '../../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok';
const POST = 'POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi';
/** Far below the connect timeout of the pool, which is 5 s in these tests. */
const SOON_MS = 1000;
const TIMEOUTS = {
  connectMs: 5000,
  responseHeaderMs: 5000,
  streamIdleMs: 5000,
  tunnelIdleMs: 3_600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};

/** Connections to it that have no answer yet. */
const connecting = ({ at }: BlackHole): number =>
  connectionsOf('other', Number(at.split(':')[1]), SYN_SENT).length;

describe('a second connection in time', () => {
  let plane: DataPlane;
  let hole: BlackHole;
  let good: RawServer;
  const clients: RawPeer[] = [];

  beforeEach(async () => {
    plane = new DataPlane();
    hole = await BlackHole.open();
    good = await new RawServer(answering(OK)).listen();
    plane.apply(snapshotOf({ pools: [{ targets: [hole.at, good.at], timeouts: TIMEOUTS }] }));
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await plane.close();
    await good.close();
    await hole.close();
  });

  after(async () => {
    // Handles are freed in the turn after their close event.
    await setImmediate();
    await setImmediate();
    const left = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    assert.deepEqual(left, [], 'no socket outlives its test');
  });

  async function ask(): Promise<number> {
    const client = await RawPeer.connect(plane.port());
    clients.push(client);
    const startedAt = performance.now();
    client.send(POST);
    await client.expect('\r\n\r\nok', SOON_MS);
    return performance.now() - startedAt;
  }

  it('goes to the next target while the first is silent, whatever the method, and sends the request once', async () => {
    for (let round = 0; round < 2; round += 1) await ask();
    assert.ok(plane.metric('portico_retries_total{pool="pool-0",reason="connect-slow"}') >= 1);
    assert.equal(plane.metric('portico_upstream_connect_failures_total'), 0);
    assert.equal(good.connections, 2);
  });

  it('is another connection over HTTP/2 as well, which those who wait share', async () => {
    plane.apply(
      snapshotOf({
        version: 2,
        pools: [{ targets: [hole.at], protocol: 'http2', timeouts: { ...TIMEOUTS, connectMs: 400 } }],
        routes: allToFirstPool(NO_RETRY),
      }),
    );
    const before = connecting(hole);
    plane.freeze();
    for (let round = 0; round < 3; round += 1) {
      const client = await RawPeer.connect(plane.port());
      clients.push(client);
      client.send(POST);
    }
    await eventually('the requests', () => plane.metric('portico_requests_active') === 3);
    for (let steps = 0; steps < 4 && connecting(hole) < before + 3; steps += 1)
      await plane.skip(HEDGE_AFTER_MS);
    assert.ok(connecting(hole) >= before + 3);
    assert.ok(connecting(hole) <= before + 8);
    await plane.skip(400);
    // Those that were dialled beside the first get a moment more.
    await plane.skip(2 * HEDGE_AFTER_MS);
    await clients[0]!.expect('connect-timeout');
  });

  it('asks others first once a connect has been slow to come', async () => {
    // Round robin begins anywhere: one of the first two goes to the silent target.
    await ask();
    await ask();
    const hedges = plane.metric('portico_retries_total{pool="pool-0",reason="connect-slow"}');
    for (let round = 0; round < 6; round += 1) await ask();
    assert.equal(plane.metric('portico_retries_total{pool="pool-0",reason="connect-slow"}'), hedges);
  });

  it('ends with the connect timeout when nobody answers, however many dials are open', async () => {
    const timeouts = { ...TIMEOUTS, connectMs: 500 };
    plane.apply(
      snapshotOf({
        version: 2,
        pools: [{ targets: [hole.at], timeouts }],
        routes: allToFirstPool(NO_RETRY),
      }),
    );
    const client = await RawPeer.connect(plane.port());
    clients.push(client);
    client.send(POST);
    await client.expect('details="connect-timeout"', 20_000);
    const hedges = plane.metric('portico_retries_total{pool="pool-0",reason="connect-slow"}');
    assert.ok(hedges <= (2 * 500) / 75, `${hedges} more dials in 500 ms`);
  });

  it('gives its dials up when the client leaves', async () => {
    plane.apply(snapshotOf({ version: 2, pools: [{ targets: [hole.at], timeouts: TIMEOUTS }] }));
    const client = await RawPeer.connect(plane.port());
    client.send(POST);
    await setImmediate();
    client.destroy();
    // The last check of all finds a dial that nobody owns.
    await setImmediate();
  });
});

describe('what connects say about a target', () => {
  it('asks for the configured run of failures while others connect', () => {
    assert.equal(runThatTells(3, 0), 3);
    assert.equal(runThatTells(3, 0.001), 3);
  });
  it('asks for a longer run the more often others fail, up to a bound', () => {
    assert.equal(runThatTells(3, 0.5), 20);
    assert.ok(runThatTells(3, 1 / 3) < runThatTells(3, 1 / 2));
    assert.equal(runThatTells(3, 0.99), 100);
    assert.equal(runThatTells(3, 1), 100);
  });
  it('knows the share of failures without the target in question, and forgets', () => {
    const pool = new ConnectRecord();
    const target = new ConnectRecord();
    for (let count = 0; count < 20; count += 1) {
      target.count(true, 0);
      pool.count(true, 0);
      pool.count(false, 0);
    }
    assert.equal(pool.failureShareWithout(target, false, 0), 0);
    for (let count = 0; count < 20; count += 1) pool.count(true, 0);
    assert.equal(pool.failureShareWithout(target, false, 0), 0.5);
    assert.equal(pool.failureShareWithout(target, false, 60_000), 0, 'too few are left to speak of a share');
  });
  it('doubts silence: with little known elsewhere it takes a longer run than a refusal', () => {
    const pool = new ConnectRecord();
    const target = new ConnectRecord();
    assert.equal(runThatTells(3, pool.failureShareWithout(target, false, 0)), 3);
    assert.equal(runThatTells(3, pool.failureShareWithout(target, true, 0)), 100);
    // Two of ten hang elsewhere: with every second one a run of eight would be nothing strange.
    for (let count = 0; count < 10; count += 1) pool.count(count < 2, 0);
    assert.equal(runThatTells(3, pool.failureShareWithout(target, true, 0)), 21);
    for (let count = 0; count < 1000; count += 1) pool.count(false, 0);
    assert.equal(runThatTells(3, pool.failureShareWithout(target, true, 0)), 3);
  });
});
