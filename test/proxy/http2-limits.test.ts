// The limits of a listener for clients that speak HTTP/2: what is refused, with which answer, and which counter says so.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type http2 from 'node:http2';
import { after, afterEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { PREFACE } from '../../src/http2/preface.ts';
import type { ListenerLimits, ListenerTimeouts } from '../../src/model/listener-config.ts';
import { block, frame, GET, settings } from '../http2/frames.ts';
import { certificateFor } from '../support/certificates.ts';
import { answering, eventually, RawPeer, Stage, sendApart } from '../support/data-plane.ts';
import { type Answer, answerOf, closeOf, Http2Client } from '../support/http2-client.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const OTHER = '127.0.0.2';
const GRACE_MS = 10_000;
/** Only the limits are to end anything: these tests move the clock. */
const PATIENT = {
  connectMs: 10_000,
  responseHeaderMs: 600_000,
  streamIdleMs: 600_000,
  tunnelIdleMs: 600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};

const stage = new Stage();
const clients: Http2Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await stage.clear();
});
after(() => stage.end());

async function serve(
  limits: Partial<ListenerLimits>,
  onConnection: (peer: RawPeer) => void = answering(OK),
  timeouts: Partial<ListenerTimeouts> = {},
): Promise<void> {
  const server = await stage.backend(onConnection);
  stage.plane.freeze();
  stage.plane.apply(
    snapshotOf({
      pools: [{ targets: [server.at], timeouts: PATIENT }],
      listeners: [listenerConfig({ limits, timeouts: { rateGraceMs: GRACE_MS, ...timeouts } })],
    }),
  );
}

function connect(localAddress = '127.0.0.1', options: http2.ClientSessionOptions = {}): Http2Client {
  const url = `http://127.0.0.1:${stage.plane.port()}`;
  const client = new Http2Client(url, { localAddress, ...options } as http2.SecureClientSessionOptions);
  clients.push(client);
  return client;
}

const refused = (reason: string): number =>
  stage.plane.metric(`portico_connections_refused_total{listener="web",reason="${reason}"}`);
const failed = (reason: string): number =>
  stage.plane.metric(`portico_failures_total{listener="web",reason="${reason}"}`);
const ended = (reason: string, listener = 'web'): number =>
  stage.plane.metric(`portico_connections_ended_total{listener="${listener}",reason="${reason}"}`);
const broken = (reason: string): number =>
  stage.plane.metric(`portico_http2_connection_failures_total{listener="web",reason="${reason}"}`);
const inFlight = (): number => stage.plane.metric('portico_requests_active{listener="web"}');

function assertRefusal(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status);
  assert.equal(answer.headers['retry-after'], '1');
  assert.match(String(answer.headers['proxy-status']), new RegExp(`details="${code}"`));
  assert.ok(failed(code) >= 1);
}

/** Requests that wait at the target for an answer until the test gives it. */
function holding(): { readonly held: RawPeer[]; readonly hold: (peer: RawPeer) => void } {
  const held: RawPeer[] = [];
  return {
    held,
    hold: (peer) => {
      peer.socket.on('data', () => held.push(peer));
    },
  };
}

describe('limits of connections, over HTTP/2', () => {
  it('connectionsPerClient: one more is closed without a byte, other clients are let in', async () => {
    await serve({ connectionsPerClient: 1 });
    assert.equal((await connect().get('/')).body, 'ok');
    const second = connect();
    await closeOf(second.session);
    assert.equal(refused('client-limit'), 1);
    assert.equal((await connect(OTHER).get('/')).body, 'ok');
  });

  it('connections: of everybody together, and one that ends makes room', async () => {
    await serve({ connections: 2 });
    const first = connect();
    assert.equal((await first.get('/')).body, 'ok');
    assert.equal((await connect(OTHER).get('/')).body, 'ok');
    await closeOf(connect('127.0.0.3').session);
    assert.equal(refused('listener-limit'), 1);
    await first.close();
    await eventually('room', () => stage.plane.metric('portico_connections_active') === 1);
    assert.equal((await connect('127.0.0.3').get('/')).body, 'ok');
  });
});

describe('limits of requests, over HTTP/2', () => {
  it('requests: a stream above those in flight is answered 503, the others and the connection go on', async () => {
    const { held, hold } = holding();
    await serve({ requests: 2 }, hold);
    const client = connect();
    const answers = [client.get('/0'), client.get('/1')];
    await eventually('both requests', () => held.length === 2);
    assert.equal(inFlight(), 2);
    assertRefusal(await client.get('/2'), 503, 'request-limit');
    assert.equal(held.length, 2, 'nothing of it reached the target');
    held[0]!.send(OK);
    assert.equal((await answers[0]!).body, 'ok');
    const next = client.get('/3');
    await eventually('the next', () => held.length === 3);
    for (const peer of held.slice(1)) peer.send(OK);
    assert.equal((await answers[1]!).body, 'ok');
    assert.equal((await next).body, 'ok');
    assert.equal(inFlight(), 0);
    assert.equal(client.closed, false);
  });

  it('requestsPerClient: over all streams of all connections of a client, and no other', async () => {
    const { held, hold } = holding();
    await serve({ requestsPerClient: 2 }, hold);
    const [one, two] = [connect(), connect()];
    const answers = [one.get('/0'), two.get('/1')];
    await eventually('both requests', () => held.length === 2);
    assertRefusal(await one.get('/2'), 503, 'client-request-limit');
    assertRefusal(await two.get('/3'), 503, 'client-request-limit');
    answers.push(connect(OTHER).get('/4'));
    await eventually("the other client's", () => held.length === 3);
    for (const peer of held) peer.send(OK);
    for (const { body } of await Promise.all(answers)) assert.equal(body, 'ok');
  });

  it('requestsPerClient: a stream that is reset gives its place back', async () => {
    const { held, hold } = holding();
    await serve({ requestsPerClient: 1 }, hold);
    const client = connect();
    const first = client.open({ ':path': '/0' });
    await eventually('the request', () => held.length === 1);
    first.close();
    await eventually('the end', () => inFlight() === 0);
    const second = client.get('/1');
    await eventually('the next', () => held.length === 2);
    held[1]!.send(OK);
    assert.equal((await second).body, 'ok');
  });

  it('requestRatePerClient: 429 to the streams above it, over connections, until time has passed', async () => {
    await serve({ requestRatePerClient: 1, requestBurstPerClient: 3 });
    const client = connect();
    const answers = await Promise.all(Array.from({ length: 5 }, (_, index) => client.get(`/${index}`)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 429, 429]);
    assertRefusal(await connect().get('/'), 429, 'client-request-rate');
    assert.equal((await connect(OTHER).get('/')).status, 200);
    await stage.plane.skip(1100);
    assert.equal((await client.get('/')).status, 200);
  });

  it('requestRate: 429 to everybody above it', async () => {
    await serve({ requestRate: 2 });
    const client = connect();
    for (let round = 0; round < 2; round += 1) assert.equal((await client.get('/')).status, 200);
    assertRefusal(await connect(OTHER).get('/'), 429, 'request-rate');
  });

  it('a refused request with a body ends its own stream only', async () => {
    await serve({ requestRate: 1 });
    const client = connect();
    assert.equal((await client.get('/')).status, 200);
    const upload = client.open({ ':path': '/', ':method': 'POST' });
    upload.write(Buffer.alloc(1000));
    assert.equal((await answerOf(upload)).status, 429);
    await stage.plane.skip(1100);
    assert.equal((await client.get('/')).status, 200);
  });
});

describe('least rates, over HTTP/2', () => {
  it('minBodyRate: 408 to the stream whose body is too slow, not to its neighbour that keeps to it', async () => {
    let read = 0;
    await serve({ minBodyRate: 100 }, (peer) => {
      peer.socket.on('data', (chunk) => {
        read += chunk.length;
      });
    });
    const client = connect();
    const [slow, steady] = [
      client.open({ ':path': '/slow', ':method': 'POST' }),
      client.open({ ':path': '/steady', ':method': 'POST' }),
    ];
    const answer = answerOf(slow);
    const send = async (stream: http2.ClientHttp2Stream, bytes: number): Promise<void> => {
      const before = read;
      stream.write(Buffer.alloc(bytes, 'x'));
      await eventually('the bytes', () => read >= before + bytes);
    };
    await send(slow, 10);
    await send(steady, 1100);
    await stage.plane.skip(GRACE_MS + 100);
    assert.equal((await answer).status, 408);
    assert.equal(failed('body-too-slow'), 1);
    await send(steady, 1100);
    await stage.plane.skip(GRACE_MS + 100);
    assert.equal(failed('body-too-slow'), 1);
    assert.equal(steady.destroyed, false);
    assert.equal(client.closed, false);
  });

  it('minReadRate: a stream whose windows its client does not open is reset, the others go on', async () => {
    await serve({ minReadRate: 1000 }, (peer) => {
      peer.socket.on('data', (asked) => {
        if (asked.includes('/small')) return peer.send(OK);
        peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
        const chunk = Buffer.alloc(1 << 16);
        const more = (): void => {
          while (!peer.closed && peer.socket.write(chunk));
        };
        peer.socket.on('drain', more);
        more();
      });
    });
    const client = connect();
    await once(client.session, 'connect');
    // One stream that takes nothing must not use up what the connection takes.
    client.session.setLocalWindowSize(1 << 20);
    const stuck = client.open({ ':path': '/large' });
    stuck.pause();
    await once(stuck, 'response');
    assert.equal((await client.get('/small')).body, 'ok');
    // Two stretches: bytes that were on their way at the beginning of the first count as taken.
    for (let stretch = 0; stretch < 3 && failed('client-too-slow') === 0; stretch += 1)
      await stage.plane.skip(GRACE_MS + 100);
    assert.equal(failed('client-too-slow'), 1);
    stuck.resume();
    if (!stuck.destroyed) await closeOf(stuck);
    assert.notEqual(stuck.rstCode, 0);
    assert.equal((await client.get('/small')).body, 'ok');
  });
});

describe('the time for a head, over HTTP/2', () => {
  const HEADER_MS = 5000;
  const OPENING = Buffer.concat([PREFACE, settings()]);
  const HEAD = block(...GET);

  async function raw(bytes: Buffer = OPENING): Promise<RawPeer> {
    const peer = await stage.client();
    peer.socket.write(bytes);
    if (bytes.length > 0) await peer.until(() => peer.received.length >= 9);
    return peer;
  }

  /** The code of the GOAWAY among frames, -1 without one. */
  function goawayOf(peer: RawPeer): number {
    const bytes = Buffer.from(peer.received, 'latin1');
    for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
      if (bytes[at + 3] === FrameType.Goaway) return bytes.readUInt32BE(at + 9 + 4);
    }
    return -1;
  }

  const begun = (id: number): Buffer => frame(FrameType.Headers, Flag.EndStream, id, HEAD.subarray(0, 10));
  const whole = frame(FrameType.Headers, Flag.EndStream | Flag.EndHeaders, 3, HEAD);
  const ping = frame(FrameType.Ping, 0, 0, Buffer.alloc(8));

  for (const [name, first, next] of [
    [
      'CONTINUATION frames of a byte each',
      begun(3),
      (i: number) => frame(FrameType.Continuation, 0, 3, HEAD.subarray(10 + i, 11 + i)),
    ],
    ['a HEADERS frame byte by byte', whole.subarray(0, 12), (i: number) => whole.subarray(12 + i, 13 + i)],
    ['the header of a frame byte by byte', whole.subarray(0, 2), (i: number) => whole.subarray(2 + i, 3 + i)],
    ['a PING byte by byte', ping.subarray(0, 5), (i: number) => ping.subarray(5 + i, 6 + i)],
  ] as const) {
    it(`ends a connection that drips ${name}, whatever else it has in flight`, async () => {
      const { held, hold } = holding();
      await serve({}, hold, { headerMs: HEADER_MS });
      const peer = await raw(
        Buffer.concat([OPENING, frame(FrameType.Headers, Flag.EndStream | Flag.EndHeaders, 1, HEAD), first]),
      );
      await eventually('the request in flight', () => held.length === 1);
      for (let second = 0; second < 6 && broken('header-timeout') === 0; second += 1) {
        await sendApart(peer, next(second));
        await stage.plane.skip(1000);
      }
      await peer.until(() => peer.ended || peer.closed);
      assert.equal(goawayOf(peer), 11, 'ENHANCE_YOUR_CALM');
      assert.equal(broken('header-timeout'), 1);
      await eventually('the end of what was in flight', () => inFlight() === 0);
    });
  }

  it('leaves a head alone that is complete in time, in however many pieces', async () => {
    await serve({}, answering(OK), { headerMs: HEADER_MS });
    const peer = await raw();
    await sendApart(peer, begun(1));
    for (let at = 10; at < HEAD.length; at += 10) {
      const last = at + 10 >= HEAD.length;
      await stage.plane.skip(500);
      await sendApart(
        peer,
        frame(FrameType.Continuation, last ? Flag.EndHeaders : 0, 1, HEAD.subarray(at, at + 10)),
      );
    }
    await peer.expect('ok');
    await stage.plane.skip(HEADER_MS + 100);
    assert.equal(broken('header-timeout'), 0);
    assert.equal(peer.ended, false);
  });

  it('leaves a busy connection alone whose every piece ends within a frame', async () => {
    await serve({}, answering(OK), { headerMs: HEADER_MS });
    const pings = Buffer.concat(Array.from({ length: 20 }, () => ping));
    const peer = await raw(Buffer.concat([OPENING, pings.subarray(0, 3)]));
    for (let at = 3; at + 17 < pings.length; at += 17) {
      await stage.plane.skip(1000);
      await sendApart(peer, pings.subarray(at, at + 17));
    }
    assert.equal(broken('header-timeout'), 0);
    assert.equal(peer.ended, false);
  });

  it('does not count the pauses of a body', async () => {
    const { held, hold } = holding();
    await serve({ minBodyRate: 0 }, hold, { headerMs: HEADER_MS });
    const peer = await raw(
      Buffer.concat([
        OPENING,
        frame(FrameType.Headers, Flag.EndHeaders, 1, block([':method', 'POST'], ...GET.slice(1))),
        frame(FrameType.Data, Flag.EndStream, 1, 'x'.repeat(100)).subarray(0, 20),
      ]),
    );
    await eventually('the request', () => held.length >= 1);
    await stage.plane.skip(2 * HEADER_MS);
    assert.equal(broken('header-timeout'), 0);
    peer.socket.write('x'.repeat(89));
    held[0]!.send(OK);
    await peer.expect('ok');
  });

  it('a client that says nothing after the preface is let go, in cleartext', async () => {
    await serve({}, answering(OK), { headerMs: HEADER_MS });
    const peer = await raw(PREFACE);
    await stage.plane.skip(HEADER_MS + 100);
    await peer.until(() => peer.ended || peer.closed);
    assert.equal(goawayOf(peer), 0);
    assert.equal(ended('header-timeout'), 1);
  });

  it('a client that sends its preface byte by byte is let go, in cleartext and over TLS', async () => {
    const server = await stage.backend(answering(OK));
    const pair = await certificateFor('a.example.com');
    const timeouts = { headerMs: HEADER_MS, idleMs: 600_000, rateGraceMs: GRACE_MS };
    stage.plane.freeze();
    stage.plane.apply(
      snapshotOf({
        listeners: [listenerConfig({ timeouts }), { ...httpsListener(1), timeouts }],
        pools: [{ targets: [server.at] }],
      }),
      secretsOf([pair]),
    );
    const socket = tls.connect({
      port: stage.plane.port('tls'),
      host: '127.0.0.1',
      rejectUnauthorized: false,
      servername: 'a.example.com',
      ALPNProtocols: ['h2'],
    });
    await once(socket, 'secureConnect');
    assert.equal(socket.alpnProtocol, 'h2');
    const [secure, plain] = [new RawPeer(socket), await stage.client()];
    stage.clients.push(secure);
    for (let second = 0; second < 6; second += 1) {
      for (const peer of [secure, plain])
        if (!peer.ended && !peer.closed) await sendApart(peer, PREFACE.subarray(second, second + 1));
      await stage.plane.skip(1000);
    }
    for (const peer of [secure, plain]) await peer.until(() => peer.ended || peer.closed);
    assert.equal(ended('header-timeout', 'tls'), 1);
    assert.equal(ended('header-timeout', 'web'), 1);
  });
});
