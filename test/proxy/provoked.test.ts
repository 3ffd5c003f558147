// What a client can bring about at a target that is well is not held against the target: else anybody could have it ejected.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { Stage } from '../support/data-plane.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { allToFirstPool, NO_RETRY, snapshotOf } from '../support/snapshots.ts';

const GATEWAY_ERRORS = 3;

describe('a target that is well', () => {
  const stage = new Stage();
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await stage.clear();
  });
  after(() => stage.end());

  function apply(server: http.Server | http2.Http2Server, protocol: 'http1' | 'http2'): Http2Client {
    const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ejection = {
      connectFailures: 0,
      gatewayErrors: GATEWAY_ERRORS,
      baseMs: 60_000,
      maxMs: 60_000,
      maxShare: 1,
    };
    const pools = [{ targets: [at], protocol, ejection }];
    stage.plane.apply(snapshotOf({ pools, routes: allToFirstPool(NO_RETRY) }));
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    ends.push(
      () => server.close(),
      () => client.close(),
    );
    return client;
  }

  async function listening<S extends http.Server | http2.Http2Server>(server: S): Promise<S> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }

  const reasonOf = (headers: http2.IncomingHttpHeaders): string =>
    /details="(.*)"/.exec(String(headers['proxy-status']))?.[1] ?? '';

  it('is not ejected for answering a WebSocket that it does not know with a page', async () => {
    const server = await listening(http.createServer((_, response) => response.end('page')));
    const client = apply(server, 'http1');
    await once(client.session, 'remoteSettings');
    for (let i = 0; i < 2 * GATEWAY_ERRORS; i++) {
      const stream = client.open(
        { ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/' },
        { endStream: false },
      );
      assert.equal(reasonOf((await answerOf(stream)).headers), 'upgrade-failed');
    }
    assert.equal(stage.plane.metric('portico_ejections_total{pool="pool-0"}'), 0);
    assert.equal((await client.get('/')).body, 'page');
  });

  it('is not ejected for errors that handshakes of WebSockets stand between', async () => {
    const server = await listening(http.createServer((_, response) => response.writeHead(503).end()));
    server.on('upgrade', (_, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
    });
    const client = apply(server, 'http1');
    for (let i = 0; i < 2 * GATEWAY_ERRORS; i++) {
      assert.equal(reasonOf((await client.get('/')).headers), '', 'an answer of the target');
      const peer = await stage.client();
      peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
      await peer.expect('101 Switching Protocols');
      peer.destroy();
    }
    assert.equal(stage.plane.metric('portico_ejections_total{pool="pool-0"}'), 0);
  });

  for (const protocol of ['http1', 'http2'] as const) {
    it(`is not ejected for repeating what it was sent in a head that is too large, over ${protocol}`, async () => {
      const location = `/login?next=${'x'.repeat(70_000)}`;
      const server = await listening(
        protocol === 'http1'
          ? http.createServer((_, response) => response.writeHead(302, { location }).end())
          : http2
              .createServer({ maxSendHeaderBlockLength: 1_000_000 })
              .on('stream', (stream: http2.ServerHttp2Stream) => {
                stream.on('error', () => {});
                stream.respond({ ':status': 302, location }, { endStream: true });
              }),
      );
      const client = apply(server, protocol);
      for (let i = 0; i < 2 * GATEWAY_ERRORS; i++)
        assert.equal(reasonOf((await client.get('/')).headers), 'upstream-header-too-large');
      assert.equal(stage.plane.metric('portico_ejections_total{pool="pool-0"}'), 0);
    });
  }
});
