// Targets that accept connections and never speak HTTP/2 on them: they count as failing, like those that refuse.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { eventually, type RawPeer, Stage } from '../../support/data-plane.ts';
import { allToFirstPool, RETRY, snapshotOf } from '../../support/snapshots.ts';

const EJECTION = { connectFailures: 3, gatewayErrors: 5, baseMs: 60_000, maxMs: 300_000, maxShare: 0.5 };
const FAILURES = 'portico_upstream_connect_failures_total{pool="pool-0",reason=';

describe('a target that accepts and speaks no HTTP/2', () => {
  const stage = new Stage();
  const servers: http2.Http2Server[] = [];
  const sessions: http2.ServerHttp2Session[] = [];

  afterEach(async () => {
    await stage.clear();
    for (const session of sessions.splice(0)) session.destroy();
    for (const server of servers.splice(0)) server.close();
  });
  after(() => stage.end());

  async function good(): Promise<string> {
    const server = http2.createServer((_request, response) => response.end('well'));
    servers.push(server);
    server.on('session', (session) => sessions.push(session));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function apply(onConnection: (peer: RawPeer) => void): Promise<RawPeer> {
    const bad = await stage.backend(onConnection);
    const pools = [{ targets: [bad.at, await good()], protocol: 'http2' as const, ejection: EJECTION }];
    stage.plane.apply(snapshotOf({ pools, routes: allToFirstPool(RETRY) }));
    stage.plane.freeze();
    return await stage.client();
  }

  async function ask(client: RawPeer): Promise<void> {
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.expect('well');
    client.take();
  }

  /** A second is over between two requests: after a failure the others are asked first for as long. */
  async function isEjectedByFailures(client: RawPeer): Promise<boolean> {
    const ejections = (): number => stage.plane.metric('portico_ejections_total');
    for (let asked = 0; asked < 20 && ejections() === 0; asked += 1) {
      await ask(client);
      await stage.plane.skip(1100);
    }
    return ejections() === 1;
  }

  it('is ejected when it answers in HTTP/1.1', async () => {
    const client = await apply((peer) => {
      peer.when('PRI * HTTP/2.0', () => peer.send('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
    });
    assert.ok(await isEjectedByFailures(client));
    assert.equal(stage.plane.metric(`${FAILURES}"connect-failed"`), EJECTION.connectFailures);
  });

  it('is ejected when it closes each connection', async () => {
    const client = await apply((peer) => {
      peer.when('PRI * HTTP/2.0', () => peer.socket.end());
    });
    assert.ok(await isEjectedByFailures(client));
    assert.equal(stage.plane.metric(`${FAILURES}"connect-failed"`), EJECTION.connectFailures);
  });

  it('is asked after the others once it has said nothing', async () => {
    let connections = 0;
    const client = await apply(() => {
      connections += 1;
    });
    for (let asked = 0; connections === 0; asked += 1) {
      assert.ok(asked < 3, 'each target is asked in its turn');
      client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await eventually('an answer, or a dial', () => client.received.includes('well') || connections > 0);
      if (connections > 0) await stage.plane.skip(1100);
      await client.expect('well');
      client.take();
    }
    for (let asked = 0; asked < 10; asked += 1) await ask(client);
    assert.equal(connections, 1);
    assert.equal(stage.plane.metric(`${FAILURES}"connect-timeout"`), 1);
  });
});
