// HTTP/2 of clients through the whole data plane, with Node's own client (nghttp2) and raw HTTP/1.1 targets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { certificateFor } from '../support/certificates.ts';
import {
  answering,
  eventually,
  type RawPeer as Peer,
  type RawPeer,
  Stage,
  sendApart,
  standsStill,
} from '../support/data-plane.ts';
import { answerOf, closeOf, Http2Client } from '../support/http2-client.ts';
import { allToFirstPool, listenerConfig, NO_RETRY, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const MIB = 1024 * 1024;

describe('http/2 session', () => {
  const stage = new Stage();
  const clients: Http2Client[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await stage.clear();
  });

  after(() => stage.end());

  function connect(listener = 'web'): Http2Client {
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port(listener)}`);
    clients.push(client);
    return client;
  }

  async function throughOne(
    onConnection: (peer: RawPeer, index: number) => void,
    listener = listenerConfig(),
  ): Promise<Http2Client> {
    const server = await stage.backend(onConnection);
    stage.plane.apply(
      snapshotOf({
        listeners: [listener],
        pools: [{ targets: [server.at] }],
        routes: allToFirstPool(NO_RETRY),
      }),
    );
    return connect();
  }

  it('says a request in HTTP/1.1 to the target, and its answer in HTTP/2', async () => {
    let seen = '';
    const client = await throughOne((peer) => {
      peer.when('\r\n\r\n', () => {
        seen = peer.take();
        peer.send(
          'HTTP/1.1 201 Made\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\nContent-Length: 5\r\n\r\nhello',
        );
      });
    });
    const answer = await client.get('/a/../b?c=%20', { cookie: ['a=1', 'b=2'], te: 'trailers', 'x-c': 'd' });
    assert.equal(answer.status, 201);
    assert.equal(answer.body, 'hello');
    assert.equal(answer.headers['x-a'], '1');
    assert.equal(answer.headers['x-b'], undefined, 'what Connection names stays behind');
    assert.equal(answer.headers['content-length'], '5');
    assert.match(String(answer.headers['x-request-id']), /^[\da-f-]{36}$/);
    assert.match(seen, /^GET \/b\?c=%20 HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/);
    assert.match(seen, /\r\ncookie: a=1; b=2\r\n/i);
    assert.match(seen, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/);
    assert.match(seen, /\r\nVia: 2\.0 portico\r\n/);
    assert.doesNotMatch(seen, /\r\n(te|connection|transfer-encoding|content-length):/i);
    assert.equal(stage.plane.metric('portico_protocol_requests_total{listener="web",protocol="HTTP/2"'), 1);
  });

  it('answers many streams of one connection, each with its own', async () => {
    const server = await stage.backend((peer) => {
      let rest = '';
      peer.socket.on('data', (chunk) => {
        rest += chunk.toString('latin1');
        for (let end = rest.indexOf('\r\n\r\n'); end !== -1; end = rest.indexOf('\r\n\r\n')) {
          const [, path = ''] = rest.split(' ', 2);
          rest = rest.slice(end + 4);
          peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
        }
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    const client = connect();
    const paths = Array.from({ length: 250 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map((path) => client.get(path)));
    assert.deepEqual(
      answers.map(({ body }) => body),
      paths,
    );
    assert.equal(stage.plane.metric('portico_connections_total{listener="web"'), 1);
  });

  it('relays bodies both ways, and the trailers of answers', async () => {
    let seen = '';
    const client = await throughOne((peer) => {
      peer.when('\r\n0\r\n\r\n', () => {
        seen = peer.take();
        peer.send(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n',
        );
      });
    });
    const stream = client.open({ ':path': '/', ':method': 'POST' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-count': '4' }));
    stream.end('body');
    const answer = await answerOf(stream);
    assert.equal(answer.body, 'abcde');
    assert.equal(answer.trailers['x-sum'], '5');
    assert.match(seen, /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n4\r\nbody\r\n0\r\n\r\n$/);
  });

  it('passes 100 and other interim answers', async () => {
    const client = await throughOne((peer) => {
      peer.when('\r\n\r\n', async () => {
        peer.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n');
        await peer.expect('body');
        peer.send(OK);
      });
    });
    const stream = client.open({
      ':path': '/',
      ':method': 'POST',
      expect: '100-continue',
      'content-length': '4',
    });
    const hints = once(stream, 'headers');
    await once(stream, 'continue');
    stream.end('body');
    assert.equal((await answerOf(stream)).body, 'ok');
    assert.equal((await hints)[0].link, '</a>');
  });

  it('answers in its own name, to HEAD without a body', async () => {
    stage.plane.apply(snapshotOf({ pools: [{ targets: [] }] }));
    const client = connect();
    const answer = await client.get('/');
    assert.equal(answer.status, 503);
    assert.equal(
      answer.headers['proxy-status'],
      'portico; error=destination_unavailable; details="no-target"',
    );
    const head = await client.send({ ':path': '/', ':method': 'HEAD' });
    assert.equal(head.body, '');
    assert.equal(head.headers['content-length'], answer.headers['content-length']);
  });

  it('holds a client back that sends faster than its target takes', async () => {
    let upstream: Peer | null = null;
    const client = await throughOne((peer) => {
      peer.socket.pause();
      upstream = peer;
    });
    const stream = client.open({ ':path': '/', ':method': 'POST' });
    const body = Buffer.alloc(32 * MIB, 'x');
    stream.end(body);
    const sent = (): number => client.session.socket.bytesWritten;
    await eventually('the target to be reached', () => upstream !== null && sent() > 0);
    await standsStill('the body', sent);
    assert.ok(sent() < 16 * MIB, `${sent()} bytes were taken for a target that takes none`);
    let taken = 0;
    upstream!.socket.removeAllListeners('data');
    upstream!.socket.resume();
    upstream!.socket.on('data', (chunk: Buffer) => {
      taken += chunk.length;
      if (chunk.toString('latin1').endsWith('0\r\n\r\n')) upstream!.send(OK);
    });
    assert.equal((await answerOf(stream)).body, 'ok');
    assert.ok(taken > body.length);
  });

  it('holds a target back that answers faster than its client takes, and no other stream with it', async () => {
    const SIZE = 16 * MIB;
    const server = await stage.backend((peer) => {
      peer.when('\r\n\r\n', () => {
        if (peer.received.startsWith('GET /big')) {
          peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`);
          peer.socket.write(Buffer.alloc(SIZE, 'x'));
        } else peer.send(OK);
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    const client = connect();
    const stream = client.open({ ':path': '/big' });
    await once(stream, 'response');
    assert.equal((await client.get('/small')).body, 'ok');
    assert.ok(stage.plane.metric('portico_bytes_sent_total{listener="web"') < SIZE / 2);
    let taken = 0;
    stream.on('data', (chunk: Buffer) => {
      taken += chunk.length;
    });
    await closeOf(stream);
    assert.equal(taken, SIZE);
  });

  it('gives the target up when the client resets the stream, and goes on with the connection', async () => {
    const peers: Peer[] = [];
    const client = await throughOne((peer, index) => {
      peers.push(peer);
      if (index > 1) answering(OK)(peer);
    });
    const stream = client.open({ ':path': '/' });
    await eventually('the request', () => peers[0]?.received.includes('\r\n\r\n') === true);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await peers[0]!.all();
    assert.equal((await client.get('/')).body, 'ok');
    assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="client-aborted"'), 1);
  });

  it('resets the stream when an answer is cut, and only that', async () => {
    const client = await throughOne((peer, index) => {
      if (index > 1) return answering(OK)(peer);
      peer.when('\r\n\r\n', () => {
        peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
        peer.socket.end();
      });
    });
    const stream = client.open({ ':path': '/' });
    stream.resume();
    await closeOf(stream);
    assert.equal(stream.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
    assert.equal((await client.get('/')).body, 'ok');
  });

  it('takes an answer that comes before the end of the request, and wants no more of it', async () => {
    const client = await throughOne((peer) => {
      peer.when('\r\n\r\n', () => peer.send('HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno'));
    });
    const stream = client.open({ ':path': '/', ':method': 'POST' });
    stream.write('begin');
    const answer = await answerOf(stream);
    assert.equal(answer.status, 413);
    assert.equal(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);
  });

  it('refuses what is malformed, answers 400, and counts it', async () => {
    const client = await throughOne(answering(OK));
    const answer = await client.get('/a%00b');
    assert.equal(answer.status, 400);
    const large = await client.get('/', { 'x-large': 'x'.repeat(40_000) });
    assert.equal(large.status, 431);
    assert.equal((await client.get('/')).body, 'ok');
    assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="bad-request"'), 1);
    assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="header-too-large"'), 1);
  });

  it('answers a malformed request by HEAD without a body', async () => {
    const client = await throughOne(answering(OK));
    for (const [fields, status] of [
      [{ expect: 'x' }, 417],
      [{ 'x-large': 'x'.repeat(40_000) }, 431],
    ] as const) {
      const head = await client.send({ ':path': '/', ':method': 'HEAD', ...fields });
      assert.deepEqual([head.status, head.body], [status, '']);
      const get = await client.get('/', fields);
      assert.equal(head.headers['content-length'], String(get.body.length));
    }
    assert.equal((await client.get('/')).body, 'ok');
  });

  it('lets requests in flight finish when the listener drains, and says goodbye', async () => {
    let upstream: Peer | null = null;
    const client = await throughOne((peer) => {
      upstream = peer;
    });
    const answer = client.get('/');
    await eventually('the request', () => upstream?.received.includes('\r\n\r\n') === true);
    stage.plane.worker.drain(60_000, 60_000);
    await eventually('GOAWAY', () => client.goaways.length > 0);
    assert.equal(client.closed, false);
    upstream!.send(OK);
    assert.equal((await answer).body, 'ok');
    await eventually('the end', () => client.closed);
    assert.deepEqual(client.goaways.at(-1), http2.constants.NGHTTP2_NO_ERROR);
    await stage.plane.exited;
  });

  it('ends a connection after its number of requests, without losing one', async () => {
    const limits = { ...listenerConfig().limits, requestsPerConnection: 3 };
    const client = await throughOne(answering(OK), listenerConfig({ limits }));
    for (let round = 0; round < 3; round += 1) assert.equal((await client.get('/')).body, 'ok');
    await eventually('the end', () => client.closed);
    assert.ok(client.goaways.length > 0);
  });

  it('ends an idle connection', async () => {
    const client = await throughOne(answering(OK));
    assert.equal((await client.get('/')).body, 'ok');
    await stage.plane.skip(61_000);
    await eventually('the end', () => client.closed);
    assert.ok(client.goaways.length > 0);
  });

  it('gives a connection up that floods it, with a reason that is counted', async () => {
    const client = await throughOne(() => {});
    await once(client.session, 'connect');
    // Streams that are opened and reset at once (CVE-2023-44487).
    while (!client.closed && !client.session.destroyed && client.goaways.length === 0) {
      for (let burst = 0; burst < 50 && !client.session.destroyed; burst += 1) {
        client.open({ ':path': '/' }).close(http2.constants.NGHTTP2_CANCEL);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(client.goaways[0], http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    assert.equal(
      stage.plane.metric('portico_http2_connection_failures_total{listener="web",reason="reset-flood"'),
      1,
    );
  });

  it('is chosen by ALPN over TLS, and http/1.1 where the client prefers or the listener says so', async () => {
    const server = await stage.backend(answering(OK));
    const pair = await certificateFor('a.example.com');
    const on = (name: string, enabled: boolean) => ({
      ...httpsListener(1),
      name,
      http2: { ...listenerConfig().http2, enabled },
    });
    const listeners = [on('both', true), on('old', false)];
    stage.plane.apply(snapshotOf({ listeners, pools: [{ targets: [server.at] }] }), secretsOf([pair]));
    const agreed = async (listener: string): Promise<string | false | null> => {
      const client = new Http2Client(`https://127.0.0.1:${stage.plane.port(listener)}`, {
        rejectUnauthorized: false,
        ALPNProtocols: ['h2', 'http/1.1'],
      } as http2.SecureClientSessionOptions);
      clients.push(client);
      await Promise.race([once(client.session, 'connect').catch(() => {}), closeOf(client.session)]);
      if (!client.closed && client.session.alpnProtocol === 'h2') {
        assert.equal((await client.get('/')).body, 'ok');
      }
      return client.session.alpnProtocol ?? null;
    };
    assert.equal(await agreed('both'), 'h2');
    assert.notEqual(await agreed('old'), 'h2');
  });
});

describe('http/2 by prior knowledge', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const SETTINGS = '\0\0\0\x04\0\0\0\0\0';

  async function serve(enabled = true, onConnection = answering(OK)): Promise<Peer> {
    const server = await stage.backend(onConnection);
    const http2Config = { ...listenerConfig().http2, enabled };
    stage.plane.apply(
      snapshotOf({ listeners: [listenerConfig({ http2: http2Config })], pools: [{ targets: [server.at] }] }),
    );
    return await stage.client();
  }

  it('is found byte by byte', async () => {
    const peer = await serve();
    for (const byte of PREFACE + SETTINGS) {
      peer.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.until(() => peer.received.length >= 9);
    assert.equal(peer.received.charCodeAt(3), 4, 'SETTINGS come first');
  });

  for (const [name, first, second] of [
    ['one letter in common', 'P', 'UT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
    ['another method with a P', 'PO', 'ST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
    ['three letters in common', 'PRI', 'X /a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ] as const) {
    it(`leaves HTTP/1.1 alone: ${name}`, async () => {
      let asked = '';
      const peer = await serve(true, (target) => {
        target.when('\r\n\r\n', () => {
          asked = target.received;
          target.send(OK);
        });
      });
      await sendApart(peer, Buffer.from(first));
      peer.send(second);
      await peer.expect('\r\n\r\nok');
      assert.match(asked, new RegExp(`^${first}${second.slice(0, second.indexOf('\r'))}\r\n`));
    });
  }

  it('is refused in HTTP/1.1 where it is switched off', async () => {
    const peer = await serve(false);
    peer.send(PREFACE + SETTINGS);
    assert.match(await peer.all(), /^HTTP\/1\.1 (400|505) /);
  });

  it('answers a client that ends within the preface', async () => {
    const peer = await serve();
    peer.send(PREFACE.slice(0, 10));
    (peer.socket as net.Socket).end();
    assert.match(await peer.all(), /^HTTP\/1\.1 (400|505) /);
  });
});
