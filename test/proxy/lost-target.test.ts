// A machine that is gone: what is pooled to its targets, idle and in use, is reset at once, and what may be sent again is
// answered elsewhere.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { eventually, type RawPeer, Stage, whenAsked } from '../support/data-plane.ts';
import { Http2Client } from '../support/http2-client.ts';
import { allToFirstPool, type PoolShape, RETRY, snapshotOf } from '../support/snapshots.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n';
const EACH = 4;
/** Takes nothing as long as the other does. */
const inReserve = (at: string): PoolShape['targets'][number] => ({ at, lastResort: true });

describe('a lost target', () => {
  const stage = new Stage();
  const servers: http2.Http2Server[] = [];
  const clients: Http2Client[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await stage.clear();
    for (const server of servers.splice(0)) server.close();
  });
  after(() => stage.end());

  function apply(version: number, pool: PoolShape): void {
    stage.plane.apply(snapshotOf({ version, pools: [pool], routes: allToFirstPool(RETRY) }));
  }

  /** Clients whose requests for this path the one target holds until `answer`. */
  async function asking(method: 'GET' | 'POST', path: string, count: number): Promise<RawPeer[]> {
    const peers: RawPeer[] = [];
    for (let index = 0; index < count; index += 1) {
      const peer = await stage.client();
      peer.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
      peers.push(peer);
    }
    return peers;
  }

  it('has every idle and busy connection reset, and its idempotent requests answered elsewhere', async () => {
    const held: RawPeer[] = [];
    const lost = await stage.backend((peer) => {
      held.push(peer);
    });
    const asked = (path: string): RawPeer[] => held.filter(({ received }) => received.includes(` ${path} `));
    const other = await stage.backend((peer) => whenAsked(peer, () => peer.send(`${ANSWER}other`)));
    apply(1, { targets: [lost.at, inReserve(other.at)] });
    const quiet = await asking('GET', '/idle', EACH);
    await eventually('the first requests', () => asked('/idle').length === EACH);
    const slow = [...(await asking('GET', '/busy', EACH)), ...(await asking('POST', '/busy', 1))];
    await eventually('the others', () => asked('/busy').length === EACH + 1);
    for (const peer of asked('/idle')) peer.send(`${ANSWER}first`);
    for (const peer of quiet) await peer.expect('first');
    // Those that were dialled in case and never asked for anything are among them.
    const [idle, busy] = [held.filter((peer) => !asked('/busy').includes(peer)), asked('/busy')];
    await eventually(
      'idle connections',
      () => stage.plane.metric('portico_upstream_connections{pool="pool-0",state="idle"}') === idle.length,
    );

    apply(2, { targets: [other.at], lost: [lost.at] });
    for (const [what, peers] of Object.entries({ idle, busy })) {
      for (const peer of peers) await peer.until(() => peer.ended || peer.closed);
      const ends = peers.map(({ ended, error }) => (ended ? 'FIN' : error?.code));
      assert.deepEqual(new Set(ends), new Set(['ECONNRESET']), what);
    }
    const post = slow.pop()!;
    for (const peer of slow) {
      await peer.expect('other');
      assert.match(peer.received, /^HTTP\/1\.1 200 /);
    }
    await post.expect('\r\n\r\n');
    assert.match(post.received, /^HTTP\/1\.1 502 /, 'whether it was done cannot be known');
    assert.match(post.received, /target-lost/);
    assert.equal(
      stage.plane.metric('portico_retries_total{pool="pool-0",reason="target-lost"}'),
      EACH,
      'each was repeated once',
    );
    assert.equal(stage.plane.metric('portico_upstream_connections{pool="pool-0",state="idle"}'), EACH);
  });

  it('that left earlier, with a request under way, is reset when its machine is found to be lost', async () => {
    const held: RawPeer[] = [];
    const lost = await stage.backend((peer) => {
      held.push(peer);
    });
    const other = await stage.backend((peer) => whenAsked(peer, () => peer.send(`${ANSWER}other`)));
    apply(1, { targets: [lost.at, inReserve(other.at)] });
    const [client] = await asking('GET', '/', 1);
    await eventually('the request', () => held.some(({ received }) => received.includes('GET /')));
    const busy = held.find(({ received }) => received.includes('GET /'))!;
    apply(2, { targets: [other.at] });
    assert.equal(busy.ended || busy.closed, false, 'what is in flight ends by itself');
    apply(3, { targets: [other.at], lost: [lost.at] });
    await busy.until(() => busy.closed);
    assert.equal(busy.error?.code, 'ECONNRESET');
    await client!.expect('other');
  });

  /** A server of HTTP/2 that answers, or holds what is asked of it. */
  async function http2Target(onStream: (stream: http2.ServerHttp2Stream, path: string) => void): Promise<{
    at: string;
    ends: string[];
    sockets: Socket[];
  }> {
    const server = http2.createServer();
    const ends: string[] = [];
    const sockets: Socket[] = [];
    servers.push(server);
    server.on('connection', (socket: Socket) => {
      sockets.push(socket);
      socket.once('error', (error: NodeJS.ErrnoException) => ends.push(error.code ?? error.message));
      socket.once('end', () => ends.push('FIN'));
    });
    server.on('session', (session) => session.on('error', () => {}));
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      onStream(stream as http2.ServerHttp2Stream, String(headers[':path']));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { at: `127.0.0.1:${(server.address() as AddressInfo).port}`, ends, sockets };
  }

  for (const state of ['idle', 'busy'] as const) {
    it(`has its ${state} HTTP/2 connections reset`, async () => {
      let asked = 0;
      const answer = (stream: http2.ServerHttp2Stream, body: string): void => {
        stream.respond({ ':status': 200 });
        stream.end(body);
      };
      const lost = await http2Target((stream) => {
        asked += 1;
        if (state === 'idle') answer(stream, 'first');
      });
      const other = await http2Target((stream) => answer(stream, 'other'));
      apply(1, { targets: [lost.at, inReserve(other.at)], protocol: 'http2' });
      const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
      clients.push(client);
      const answers = Array.from({ length: EACH }, () => client.get('/'));
      await eventually('the requests', () => asked === EACH);
      if (state === 'idle') for (const { body } of await Promise.all(answers)) assert.equal(body, 'first');

      apply(2, { targets: [other.at], lost: [lost.at], protocol: 'http2' });
      await eventually('the end of each connection', () => lost.ends.length === lost.sockets.length);
      assert.deepEqual(new Set(lost.ends), new Set(['ECONNRESET']));
      if (state === 'busy') for (const { body } of await Promise.all(answers)) assert.equal(body, 'other');
      assert.equal((await client.get('/')).body, 'other');
    });
  }
});
