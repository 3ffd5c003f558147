// Targets that answer what nobody asked for: more heads than there may be, a cut call that is none, a handshake for another key.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { FrameType } from '../../src/http2/frames.ts';
import { block, frame, settings } from '../http2/frames.ts';
import { answering, eventually, type RawPeer, Stage, sendApart, whenAsked } from '../support/data-plane.ts';
import { acceptOf } from '../support/extended-connect.ts';
import { answerOf, closeOf, Http2Client } from '../support/http2-client.ts';
import { allToFirstPool, NO_RETRY, snapshotOf } from '../support/snapshots.ts';

/** HEADERS of a 200 on the second stream of a connection. */
const answerHead = (flags: number): Buffer =>
  frame(FrameType.Headers, flags, 3, block([':status', '200'], ['x', 'y']));

describe('a hostile target', () => {
  const stage = new Stage();
  const closers: (() => void)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) close();
    await stage.clear();
  });
  after(() => stage.end());

  function client(): Http2Client {
    const made = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    closers.push(() => void made.close());
    return made;
  }

  for (const [count, size, status] of [
    [32, 4, 200],
    [33, 4, 502],
    [4, 15_000, 200],
    [5, 15_000, 502],
  ] as const) {
    it(`that sends ${count} interim answers of ${size} bytes over HTTP/2 before the final one gives a ${status}`, async () => {
      const server = http2.createServer();
      let resetWith = 0;
      server.on('stream', (stream: http2.ServerHttp2Stream) => {
        stream.on('error', () => {});
        stream.on('close', () => {
          resetWith = stream.rstCode ?? 0;
        });
        for (let sent = 0; sent < count; sent += 1)
          stream.additionalHeaders({ ':status': 103, link: 'a'.repeat(size) });
        if (status !== 200) return;
        stream.respond({ ':status': 200 });
        stream.end('ok');
      });
      server.listen(0, '127.0.0.1');
      closers.push(() => server.close());
      await once(server, 'listening');
      const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      stage.plane.apply(
        snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }], routes: allToFirstPool(NO_RETRY) }),
      );
      const peer = await stage.client();
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.until(() =>
        new RegExp(`HTTP/1\\.1 ${status} [\\s\\S]*\r\n\r\n[\\s\\S]`).test(peer.received),
      );
      const passed = status === 200 ? count : count - 1;
      assert.equal(peer.received.match(/^HTTP\/1\.1 103 /gm)?.length, passed);
      await eventually('the end of the stream', () => (status === 200) === (resetWith === 0));
    });
  }

  for (const [how, giveUp] of [
    ['refuses the request', (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)],
    ['resets its connection', (stream) => (stream.session!.socket as net.Socket).resetAndDestroy()],
    ['ends its connection', (stream) => stream.session!.destroy()],
  ] as const satisfies [string, (stream: http2.ServerHttp2Stream) => void][]) {
    it(`that ${how} after an interim answer over HTTP/2 is not asked again`, async () => {
      const server = http2.createServer();
      let asked = 0;
      server.on('sessionError', () => {});
      server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
        stream.on('error', () => {});
        if (headers[':path'] === '/first') {
          stream.respond({ ':status': 200 });
          stream.end('ok');
          return;
        }
        asked += 1;
        stream.additionalHeaders({ ':status': 103, link: '</a>' });
        received = () => giveUp(stream);
      });
      let received = (): void => {};
      server.listen(0, '127.0.0.1');
      closers.push(() => server.close());
      await once(server, 'listening');
      const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      stage.plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
      const peer = await stage.client();
      peer.send('GET /first HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('ok');
      peer.take();
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('HTTP/1.1 103 ');
      received();
      await peer.expect('HTTP/1.1 502 ');
      assert.equal(asked, 1);
    });
  }

  for (const [what, begun] of [
    ['an interim answer', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
    ['part of a head', 'HTTP/1.1 200 OK\r\nX-'],
    ['the first byte of a head', 'H'],
  ] as const) {
    it(`that resets its connection after ${what} over HTTP/1.1 is not asked again`, async () => {
      let asked = 0;
      const backend = await stage.backend((peer) => {
        peer.when('/first', () => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
        peer.when('/second', () => {
          asked += 1;
          void sendApart(peer, Buffer.from(begun)).then(() => peer.socket.resetAndDestroy());
        });
      });
      stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at] }] }));
      const peer = await stage.client();
      peer.send('GET /first HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('ok');
      peer.send('GET /second HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('HTTP/1.1 502 ');
      await peer.expect('upstream-incomplete');
      assert.equal(asked, 1);
    });
  }

  for (const [what, begun, end] of [
    ['part of a head ends', answerHead(0), 'end'],
    ['part of a head resets', answerHead(0), 'reset'],
    ['part of a HEADERS frame ends', answerHead(4).subarray(0, 12), 'end'],
  ] as const) {
    it(`that after ${what} its connection over HTTP/2 is not asked again`, async () => {
      let asked = 0;
      const backend = await stage.backend((peer) => {
        peer.socket.write(settings());
        peer.when('/first', () => peer.socket.write(frame(FrameType.Headers, 5, 1, Buffer.from([0x88]))));
        peer.when('/second', async () => {
          asked += 1;
          await sendApart(peer, begun);
          if (end === 'end') peer.socket.end();
          else peer.socket.resetAndDestroy();
        });
      });
      stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at], protocol: 'http2' }] }));
      const peer = await stage.client();
      peer.send('GET /first HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('HTTP/1.1 200 ');
      peer.send('GET /second HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('HTTP/1.1 502 ');
      await peer.expect('upstream-incomplete');
      assert.equal(asked, 1);
    });
  }

  for (const [what, targets, before, statuses] of [
    ['after an interim answer', 2, 'HTTP/1.1 103 Early Hints\r\n\r\n', ['103', '503']],
    ['where nobody else is left', 1, '', ['503']],
  ] as const) {
    it(`whose bad status would be retried has its answer passed on ${what}`, async () => {
      let asked = 0;
      const busy = (peer: RawPeer): void =>
        whenAsked(peer, () => {
          asked += 1;
          peer.send(`${before}HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy`);
        });
      const backends = await Promise.all(Array.from({ length: targets }, () => stage.backend(busy)));
      const retry = { attempts: 3, statuses: [503], budget: 1 };
      const pools = [{ targets: backends.map(({ at }) => at) }];
      stage.plane.apply(snapshotOf({ pools, routes: allToFirstPool(retry) }));
      const peer = await stage.client();
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('\r\n\r\nbusy');
      assert.match(peer.received, /\r\nRetry-After: 7\r\n/);
      assert.deepEqual(
        [...peer.received.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status),
        statuses,
      );
      assert.equal(asked, 1);
      assert.equal(stage.plane.metric('portico_retry_budget_exhausted_total'), 0);
    });
  }

  it('that answers with a bad status takes nothing of the retry budget where nobody else can be asked', async () => {
    const busy = answering('HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy');
    const { at } = await stage.backend(busy);
    const retry = { attempts: 3, statuses: [503], budget: 0.2 };
    stage.plane.apply(snapshotOf({ pools: [{ targets: [at] }], routes: allToFirstPool(retry) }));
    // On a slow machine a dial would be given company, which counts as a retry.
    stage.plane.freeze();
    const peer = await stage.client();
    for (let round = 0; round < 40; round += 1) {
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('\r\n\r\nbusy');
      peer.take();
    }
    assert.equal(stage.plane.metric('portico_retry_budget_exhausted_total'), 0);
    assert.equal(stage.plane.metric('portico_retries_total'), 0);
  });

  async function cutAnswer(type: string): Promise<http2.ClientHttp2Stream> {
    const backend = await stage.backend((peer) => {
      peer.when('\r\n\r\n', () => {
        peer.send(
          `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`,
        );
        peer.socket.end();
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at] }] }));
    return client().open(
      { ':method': 'POST', ':path': '/a', 'content-type': 'application/grpc' },
      { endStream: true },
    );
  }

  it('that cuts an answer which is not gRPC has it reset, though the request called itself a call', async () => {
    const stream = await cutAnswer('text/html');
    stream.resume();
    await closeOf(stream);
    assert.notEqual(stream.rstCode, 0);
  });

  it('that cuts the answer to a gRPC call has its status told', async () => {
    const { trailers, body } = await answerOf(await cutAnswer('application/grpc+proto'));
    assert.equal(body, 'half');
    assert.match(String(trailers['grpc-status']), /^\d+$/);
  });

  async function shake(accept: (key: string) => string): Promise<{ seen: string; status: unknown }> {
    let seen = '';
    const backend = await stage.backend((peer) => {
      peer.when('\r\n\r\n', () => {
        seen = peer.received;
        const key = /^Sec-WebSocket-Key: (.*)\r$/m.exec(seen)![1]!;
        peer.send(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept(key)}\r\n\r\n`,
        );
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at] }] }));
    const h2 = client();
    await once(h2.session, 'remoteSettings');
    const stream = h2.open(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': '/chat',
        'sec-websocket-version': '13',
        'sec-websocket-key': ['AAAA', 'BBBB'] as unknown as string,
        expect: '100-continue',
      },
      { endStream: false },
    );
    stream.resume();
    const [headers] = await once(stream, 'response');
    stream.close();
    return { seen, status: headers[':status'] };
  }

  it('gets one key, which is ours, and no Expect, whatever came with an extended CONNECT', async () => {
    const { seen, status } = await shake(acceptOf);
    assert.equal(status, 200);
    assert.equal(seen.match(/^sec-websocket-key:/gim)?.length, 1);
    assert.doesNotMatch(seen, /AAAA|BBBB|^expect:/im);
  });

  it('that refuses a handshake which came with Expect keeps its connection', async () => {
    const backend = await stage.backend((peer) => {
      const answer = (): void => {
        peer.when('\r\n\r\n', () => {
          peer.take();
          peer.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
          answer();
        });
      };
      answer();
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at] }] }));
    const h2 = client();
    await once(h2.session, 'remoteSettings');
    for (let round = 0; round < 2; round += 1) {
      const stream = h2.open(
        { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', expect: '100-continue' },
        { endStream: false },
      );
      assert.equal((await answerOf(stream)).status, 403);
    }
    assert.equal(backend.connections, 1);
  });

  it('that agrees to a handshake with another key gives a 502', async () => {
    const { status } = await shake(() => acceptOf('AAAA'));
    assert.equal(status, 502);
  });
});
