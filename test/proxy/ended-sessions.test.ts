// What a connection leaves in memory when it has ended: under thousands of new ones a second whatever is held for half a second
// is copied by two collections of garbage, and marked by a third.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { queryObjects } from 'node:v8';
import { Setting } from '../../src/http2/frames.ts';
import { Stream } from '../../src/http2/stream.ts';
import { Exchange } from '../../src/proxy/exchange.ts';
import { Http1Session } from '../../src/proxy/http1-session.ts';
import { GET as GET_2, headers, OPENING, ping, reset, settings } from '../http2/frames.ts';
import { answering, eventually, Stage } from '../support/data-plane.ts';
import { Http2Client } from '../support/http2-client.ts';
import { allToFirstPool, RETRY, route, rule, snapshotOf } from '../support/snapshots.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

const count = (of: typeof Exchange | typeof Http1Session | typeof Stream): number =>
  queryObjects(of as unknown as Parameters<typeof queryObjects>[0], { format: 'count' });

describe('a connection that has ended', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(): Promise<void> {
    const backend = await stage.backend(answering(OK));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at] }], routes: allToFirstPool(RETRY) }));
  }

  it('is held by no deadline of a request that it had', async () => {
    await serve();
    for (let made = 0; made < 10; made += 1) {
      const client = await stage.client();
      client.send(GET);
      await client.expect('ok');
      await client.all();
      client.destroy();
    }
    await eventually('the end of all', () => stage.plane.metric('portico_connections_active') === 0);
    await eventually('that nothing holds them', () => count(Http1Session) === 0 && count(Exchange) === 0);
  });

  it('of HTTP/2 neither, nor is any request beyond those that wait for the next streams', async () => {
    await serve();
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    await Promise.all(Array.from({ length: 50 }, () => client.get('/')));
    await stage.plane.skip(2100);
    // As many as were open at once, where that was fewer.
    await eventually('those that wait', () => count(Exchange) <= 8);
    await client.close();
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
    await eventually('that nothing holds them', () => count(Exchange) === 0);
  });

  it('is not what it takes for streams to go that their client gave up while its window was shut', async () => {
    stage.plane.apply(
      snapshotOf({
        pools: [],
        routes: [route([rule({ kind: 'respond', status: 200, body: 'x'.repeat(70_000), headers: [] })])],
      }),
    );
    const client = await stage.client();
    // Streams may be sent more than the connection: its window is what shuts.
    client.socket.write(
      Buffer.concat([OPENING, settings([Setting.InitialWindowSize, 100_000]), headers(1, GET_2)]),
    );
    await client.until(() => client.received.length > 65_535);
    const before = count(Stream);
    const ids = Array.from({ length: 150 }, (_, i) => 2 * i + 3);
    client.socket.write(Buffer.concat(ids.flatMap((id) => [headers(id, GET_2), reset(id, 8)])));
    client.socket.write(ping());
    await client.expect('12345678');
    assert.ok(count(Stream) < before + 100, `${count(Stream) - before} streams are held`);
  });
});
