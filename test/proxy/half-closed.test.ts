// A client that ends its side while its answer is due: one that waits is served, one that has left is found out.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { PREFACE } from '../../src/http2/preface.ts';
import { block, GET as FIELDS, frame, settings } from '../http2/frames.ts';
import type { Field } from '../http2/hpack.ts';
import { eventually, type RawPeer, Stage, whenAsked } from '../support/data-plane.ts';
import { acceptOf } from '../support/extended-connect.ts';
import { CLOSE_WAIT, connectionsOf, KEEP_ALIVE_TIMER } from '../support/kernel-connections.ts';
import { route, rule, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const RESPONSE_HEADER_MS = 600_000;
const TIMEOUTS = {
  connectMs: 1000,
  responseHeaderMs: RESPONSE_HEADER_MS,
  streamIdleMs: 10_000,
  tunnelIdleMs: 10_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
const ROUTES_OF_A = [
  route([rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] })], {
    hosts: [{ kind: 'exact', text: 'a', host: 'a' }],
  }),
];
/** The timer that runs on the connection of this port whose peer has ended its side; '' where there is none. */
const timerOfEnded = (port: number): string => connectionsOf('own', port, CLOSE_WAIT)[0]?.timer ?? '';

describe('a client that has ended its side', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  /** Its request waits at the target, whose end of the connection is the result. */
  async function waiting(): Promise<{ client: RawPeer; target: RawPeer }> {
    const asked = Promise.withResolvers<RawPeer>();
    const server = await stage.backend((peer) => whenAsked(peer, () => asked.resolve(peer)));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at], timeouts: TIMEOUTS }] }));
    const client = await stage.client();
    client.send(GET);
    const target = await asked.promise;
    client.socket.end();
    return { client, target };
  }

  it('gets its answer, however long that takes', async () => {
    const { client, target } = await waiting();
    await stage.plane.skip(RESPONSE_HEADER_MS - 1000);
    target.send(OK);
    assert.match(await client.all(), /^HTTP\/1\.1 200 OK[\s\S]*ok$/);
  });

  it('gets the answers to all that it has sent ahead, also where they need no target', async () => {
    const asked = Promise.withResolvers<RawPeer>();
    const server = await stage.backend((peer) => whenAsked(peer, () => asked.resolve(peer)));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], routes: ROUTES_OF_A }));
    const client = await stage.client();
    client.send(`${GET}${GET.replace('Host: a', 'Host: b').repeat(3)}`);
    const target = await asked.promise;
    client.socket.end();
    await eventually('the end', () => timerOfEnded(stage.plane.port()) !== '');
    target.send(OK);
    const statuses = [...(await client.all()).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ['200', '404', '404', '404']);
  });

  it('is told that the last request is incomplete that it has sent ahead', async () => {
    const asked = Promise.withResolvers<RawPeer>();
    const server = await stage.backend((peer) => whenAsked(peer, () => asked.resolve(peer)));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    const client = await stage.client();
    client.send(`${GET}GET / HTTP/1.1\r\nHo`);
    const target = await asked.promise;
    client.socket.end();
    await eventually('the end', () => timerOfEnded(stage.plane.port()) !== '');
    target.send(OK);
    const statuses = [...(await client.all()).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ['200', '400']);
  });

  it('is closed after an answer that had begun before', async () => {
    const asked = Promise.withResolvers<RawPeer>();
    const server = await stage.backend((peer) => whenAsked(peer, () => asked.resolve(peer)));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    const client = await stage.client();
    client.send(GET);
    const target = await asked.promise;
    target.send(OK.slice(0, -1));
    await client.expect('\r\n\r\no');
    client.socket.end();
    await eventually('the end', () => timerOfEnded(stage.plane.port()) !== '');
    target.send('k');
    assert.match(await client.all(), /ok$/);
    await eventually('the close', () => stage.plane.metric('portico_connections_active') === 0);
  });

  it('is asked whether it is there, and where nobody is, its request is given up', async () => {
    const { client, target } = await waiting();
    await eventually('a timer that asks', () => timerOfEnded(stage.plane.port()) === KEEP_ALIVE_TIMER);
    await stage.plane.skip(10_100);
    assert.equal(target.ended, false, 'it answered');
    // What its kernel says once it has forgotten the connection.
    client.socket.resetAndDestroy();
    await eventually('the reset', () => timerOfEnded(stage.plane.port()) === '');
    await stage.plane.skip(10_100);
    await target.until(() => target.ended || target.closed);
    assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="client-aborted"}'), 1);
  });

  it('holds its target no longer than responseHeader', async () => {
    const { client, target } = await waiting();
    await stage.plane.skip(RESPONSE_HEADER_MS + 100);
    await target.until(() => target.ended || target.closed);
    assert.match(await client.all(), /^HTTP\/1\.1 504 /);
  });

  describe('over HTTP/2', () => {
    /** A request without its end unless `flags` says it, at its target; the client has ended its connection. */
    async function asked(
      fields: readonly Field[],
      flags: number,
      answer = '',
    ): Promise<{ client: RawPeer; target: RawPeer }> {
      const asked = Promise.withResolvers<RawPeer>();
      const server = await stage.backend((peer) => whenAsked(peer, () => asked.resolve(peer)));
      stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at], timeouts: TIMEOUTS }] }));
      const client = await stage.client();
      client.socket.write(Buffer.concat([PREFACE, settings(), frame(1, flags | 4, 1, block(...fields))]));
      const target = await asked.promise;
      if (answer !== '') {
        const key = /^sec-websocket-key: (.*)\r$/im.exec(target.received)![1]!;
        target.send(answer.replace('KEY', acceptOf(key)));
        await client.expect('\x00\x00\x00\x01\x88');
      }
      client.socket.end();
      return { client, target };
    }

    it('gets its answer, and is asked whether it is there until then', async () => {
      const { client, target } = await asked(FIELDS, 1);
      await eventually('a timer that asks', () => timerOfEnded(stage.plane.port()) === KEEP_ALIVE_TIMER);
      await stage.plane.skip(RESPONSE_HEADER_MS - 1000);
      target.send(OK);
      assert.match(await client.all(), /ok/);
    });

    it('is given up where nobody is there', async () => {
      const { client, target } = await asked(FIELDS, 1);
      await eventually('a timer that asks', () => timerOfEnded(stage.plane.port()) === KEEP_ALIVE_TIMER);
      client.socket.resetAndDestroy();
      await eventually('the reset', () => timerOfEnded(stage.plane.port()) === '');
      await stage.plane.skip(10_100);
      await target.until(() => target.ended || target.closed);
      assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="client-aborted"}'), 1);
    });

    it('cuts a request off whose end has not come', async () => {
      const { client, target } = await asked([[':method', 'POST'], ...FIELDS.slice(1)], 0);
      await target.until(() => target.ended || target.closed);
      await client.all();
      assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="client-aborted"}'), 1);
      assert.equal(stage.plane.metric('portico_requests_active{listener="web"}'), 0);
    });

    it('cuts a WebSocket off', async () => {
      const { client, target } = await asked(
        [
          [':method', 'CONNECT'],
          [':protocol', 'websocket'],
          ...FIELDS.slice(1),
          ['sec-websocket-version', '13'],
        ],
        0,
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n\r\n',
      );
      await target.until(() => target.ended || target.closed);
      await client.all();
      await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
      assert.equal(stage.plane.metric('portico_requests_active{listener="web"}'), 0);
    });
  });
});
