// The exchange from both ends of the wire: framing, relay, retries and answers, with raw peers on both sides.

import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { answering, DataPlane, RawPeer, RawServer } from '../support/data-plane.ts';
import { freePort } from '../support/free-port.ts';
import {
  allToFirstPool,
  listenerConfig,
  NO_RETRY,
  RETRY,
  route,
  rule,
  snapshotOf,
} from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n';

describe('exchange', () => {
  let plane: DataPlane;
  const servers: RawServer[] = [];
  const clients: RawPeer[] = [];

  beforeEach(() => {
    plane = new DataPlane();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await plane.close();
    for (const server of servers.splice(0)) await server.close();
  });

  after(async () => {
    // Handles are freed in the turn after their close event.
    await setImmediate();
    await setImmediate();
    const left = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    assert.deepEqual(left, [], 'no socket outlives its test');
  });

  async function backend(onConnection: (peer: RawPeer, index: number) => void): Promise<RawServer> {
    const server = await new RawServer(onConnection).listen();
    servers.push(server);
    return server;
  }

  async function client(listener = 'web'): Promise<RawPeer> {
    const peer = await RawPeer.connect(plane.port(listener));
    clients.push(peer);
    return peer;
  }

  async function throughOne(onConnection: (peer: RawPeer, index: number) => void): Promise<RawPeer> {
    const server = await backend(onConnection);
    plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    // On a slow machine a dial would be given company, and connections that tests count would be two.
    plane.freeze();
    return client();
  }

  it('keeps both connections alive and uses the upstream one again', async () => {
    const peer = await throughOne(answering(OK));
    for (let round = 0; round < 3; round += 1) {
      peer.send(GET);
      await peer.expect('\r\n\r\nok');
      peer.take();
    }
    assert.equal(servers[0]!.connections, 1);
    assert.equal(plane.metric('portico_upstream_connection_reuses_total'), 2);
  });

  it('sends a request made anew: ours fields, no hop-by-hop fields, none that Connection names', async () => {
    let seen = '';
    const peer = await throughOne((upstream) => {
      void upstream.expect('\r\n\r\n').then(() => {
        seen = upstream.take();
        upstream.send(OK);
      });
    });
    peer.send(
      'GET /a?b=c HTTP/1.1\r\nHost: Example.com:8080\r\nConnection: close, X-Secret, X-Forwarded-For\r\nX-Secret: 1\r\n' +
        'X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nKeep-Alive: timeout=5\r\n' +
        'TE: trailers\r\nProxy-Authorization: Basic x\r\nX-Request-Id: forged\r\nX_Forwarded_For: 6.6.6.6\r\nAccept: */*\r\n\r\n',
    );
    const answer = await peer.all();
    const id = /X-Request-Id: (\S+)/.exec(seen)?.[1] ?? '';
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(
      seen,
      'GET /a?b=c HTTP/1.1\r\nHost: Example.com:8080\r\nAccept: */*\r\nX-Forwarded-For: 127.0.0.1\r\n' +
        `X-Forwarded-Proto: http\r\nX-Forwarded-Host: Example.com:8080\r\nVia: 1.1 portico\r\nX-Request-Id: ${id}\r\n\r\n`,
    );
    assert.match(answer, /Connection: close\r\n/);
    assert.match(answer, new RegExp(`X-Request-Id: ${id}\r\n`));
  });

  it('believes the forwarded fields of a trusted proxy and extends its chain', async () => {
    let seen = '';
    const server = await backend((upstream) => {
      void upstream.expect('\r\n\r\n').then(() => {
        seen = upstream.take();
        upstream.send(OK);
      });
    });
    plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], trustedProxies: ['127.0.0.0/8'] }));
    const peer = await client();
    peer.send(
      'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs-1\r\n\r\n',
    );
    await peer.expect('ok');
    assert.match(seen, /X-Forwarded-For: 1\.2\.3\.4, 127\.0\.0\.1\r\n/);
    assert.match(seen, /X-Forwarded-Proto: https\r\n/);
    assert.match(seen, /X-Request-Id: theirs-1\r\n/);
  });

  it('answers pipelined requests in their order', async () => {
    let count = 0;
    const peer = await throughOne((upstream) => {
      const serve = (): void => {
        void upstream
          .until(() => upstream.received.includes('\r\n\r\n') || upstream.closed)
          .then(() => {
            if (upstream.closed) return;
            const [, path] = upstream.received.split(' ');
            upstream.received = upstream.received.slice(upstream.received.indexOf('\r\n\r\n') + 4);
            count += 1;
            upstream.send(`HTTP/1.1 200 OK\r\nContent-Length: ${path!.length}\r\n\r\n${path}`);
            serve();
          });
      };
      serve();
    });
    let pipelined = '';
    for (let index = 0; index < 50; index += 1) pipelined += `GET /${index}; HTTP/1.1\r\nHost: a\r\n\r\n`;
    peer.send(pipelined);
    await peer.expect('/49;');
    const bodies = [...peer.received.matchAll(/\r\n\r\n\/(\d+);/g)].map(([, number]) => Number(number));
    assert.deepEqual(
      bodies,
      Array.from({ length: 50 }, (_, index) => index),
    );
    assert.equal(count, 50);
  });

  it('streams a chunked request and a chunked answer, framed anew, the answer with its trailers', async () => {
    let seen = '';
    const peer = await throughOne((upstream) => {
      void upstream.expect('\r\n0\r\n\r\n').then(() => {
        seen = upstream.take();
        upstream.send(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 9\r\n\r\n',
        );
      });
    });
    peer.send(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;ext\r\nwxyz\r\n0\r\nX-Sum: 1\r\n\r\n',
    );
    await peer.expect('X-T: 9\r\n\r\n');
    assert.match(seen, /Transfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n$/);
    assert.match(peer.received, /Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX-T: 9\r\n\r\n$/);
  });

  it('turns an answer that ends with its connection into chunks, or into a close for HTTP/1.0', async () => {
    const peer = await throughOne((upstream) => {
      void upstream.expect('\r\n\r\n').then(() => {
        upstream.send('HTTP/1.0 200 OK\r\n\r\nhello');
        upstream.socket.end();
      });
    });
    peer.send(GET);
    await peer.expect('0\r\n\r\n');
    assert.match(
      peer.received,
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/,
    );
    const old = await client();
    old.send('GET / HTTP/1.0\r\n\r\n');
    assert.match(await old.all(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n\r\nhello$/);
  });

  for (const [name, request, answer, expected] of [
    [
      'HEAD with a length',
      'HEAD',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
      /Content-Length: 5\r\n\r\n$/,
    ],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', /^HTTP\/1\.1 204 No Content\r\n[\s\S]*\r\n\r\n$/],
    [
      '304 with a length',
      'GET',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n',
      /Content-Length: 7\r\n\r\n$/,
    ],
    ['an empty body', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', /Content-Length: 0\r\n\r\n$/],
  ] as const) {
    it(`relays ${name} without a body and keeps the connections`, async () => {
      const peer = await throughOne(answering(answer));
      for (let round = 0; round < 2; round += 1) {
        peer.send(`${request} / HTTP/1.1\r\nHost: a\r\n\r\n`);
        await peer.expect('\r\n\r\n');
        assert.match(peer.take(), expected);
      }
      assert.equal(servers[0]!.connections, 1);
    });
  }

  it('passes 100 and 103 on and then the final answer; the body flows after 100', async () => {
    const peer = await throughOne((upstream) => {
      void upstream
        .expect('Expect: 100-continue')
        .then(() =>
          upstream.send('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'),
        )
        .then(() => upstream.expect('body!'))
        .then(() => upstream.send(OK));
    });
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    await peer.expect('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    peer.send('body!');
    await peer.expect('ok');
    assert.match(peer.received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 103 /);
  });

  it('becomes a tunnel on 101, with what came right behind it, and ends half by half', async () => {
    const peer = await throughOne((upstream) => {
      void upstream
        .expect('Upgrade: websocket')
        .then(() =>
          upstream.send(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly',
          ),
        )
        .then(() => upstream.expect('from client'))
        .then(() => upstream.send('from server'))
        .then(() => upstream.until(() => upstream.ended))
        .then(() => {
          upstream.send(' last');
          upstream.socket.end();
        });
    });
    peer.send('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await peer.expect('early');
    peer.send('from client');
    await peer.expect('from server');
    peer.socket.end();
    const all = await peer.all();
    assert.match(
      all,
      /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly/,
    );
    assert.ok(all.endsWith('from server last'));
  });

  it('never passes Upgrade: h2c', async () => {
    let seen = '';
    const peer = await throughOne((upstream) => {
      void upstream.expect('\r\n\r\n').then(() => {
        seen = upstream.take();
        upstream.send(OK);
      });
    });
    peer.send(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n',
    );
    await peer.expect('ok');
    assert.doesNotMatch(seen, /upgrade|h2c|settings/i);
  });

  it('sends an early answer at once, tells the client to stop, and does not use the connection again', async () => {
    const peer = await throughOne((upstream) => {
      void upstream
        .expect('\r\n\r\n')
        .then(() => upstream.send('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig'));
    });
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart');
    const all = await peer.all();
    assert.match(all, /^HTTP\/1\.1 413 Too Large\r\n[\s\S]*Connection: close\r\n\r\nbig$/);
    peer.destroy();
    const next = await client();
    next.send(GET);
    await next.expect('413');
    assert.equal(servers[0]!.connections, 2);
  });

  it('serves a client that has ended its side after the request', async () => {
    const peer = await throughOne(answering(OK));
    peer.send(GET);
    peer.socket.end();
    assert.match(await peer.all(), /200 OK[\s\S]*ok$/);
  });

  it('streams large bodies both ways unharmed while the readers are slow', async () => {
    const size = 8 * 1024 * 1024;
    let got = 0;
    const peer = await throughOne((upstream) => {
      upstream.socket.removeAllListeners('data');
      upstream.socket.on('data', (chunk) => {
        got += chunk.length;
        upstream.socket.pause();
        process.nextTick(() => upstream.socket.resume());
        if (got > size) {
          upstream.socket.removeAllListeners('data');
          upstream.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
          upstream.socket.write(Buffer.alloc(size, 'z'));
        }
      });
    });
    let received = 0;
    let intact = true;
    peer.socket.removeAllListeners('data');
    const done = new Promise<void>((resolve) => {
      peer.socket.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received > 4096 && chunk.some((byte) => byte !== 122)) intact = received < chunk.length + 4096;
        peer.socket.pause();
        process.nextTick(() => peer.socket.resume());
        if (received > size) resolve();
      });
    });
    peer.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    peer.socket.write(Buffer.alloc(size, 'y'));
    await done;
    assert.ok(intact);
    assert.ok(plane.metric('portico_bytes_received_total') >= 0);
  });

  // Retries ----------------------------------------------------------------------------------------------------------

  it('tries the next target when one refuses the connection, also for POST', async () => {
    const good = await backend(answering(OK));
    const deadAt = `127.0.0.1:${await freePort()}`;
    plane.apply(snapshotOf({ pools: [{ targets: [deadAt, good.at] }] }));
    const peer = await client();
    for (let round = 0; round < 4; round += 1) {
      peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
      await peer.expect('\r\n\r\nok');
      peer.take();
    }
    assert.ok(plane.metric('portico_retries_total') >= 1);
  });

  it('repeats a replayable request on a fresh connection when a pooled one was closed under it', async () => {
    const peer = await throughOne((upstream, index) => {
      void upstream.expect('\r\n\r\n').then(async () => {
        upstream.take();
        upstream.send(OK);
        if (index > 1) return;
        await upstream.expect('\r\n\r\n');
        upstream.socket.resetAndDestroy();
      });
    });
    peer.send(GET);
    await peer.expect('ok');
    peer.take();
    peer.send(GET);
    await peer.expect('\r\n\r\nok');
    assert.match(peer.received, /^HTTP\/1\.1 200/);
    assert.equal(servers[0]!.connections, 2);
  });

  it('sends a POST on a connection heard from a moment ago, or on a new one, since it may not be sent again', async () => {
    const peer = await throughOne(answering(OK));
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi';
    const ask = async (text: string): Promise<void> => {
      peer.send(text);
      await peer.expect('\r\n\r\nok');
      peer.take();
    };
    await ask(GET);
    await plane.skip(1000);
    await ask(GET);
    assert.equal(servers[0]!.connections, 1, 'a GET takes any');
    await plane.skip(1000);
    await ask(post);
    assert.equal(servers[0]!.connections, 2, 'whether the machine still lives is not known');
    await plane.skip(1000);
    await ask(GET);
    assert.equal(servers[0]!.connections, 2, 'the older ones are kept for those who may use them');
  });

  it('does not repeat a POST that may have been acted on', async () => {
    const peer = await throughOne((upstream) => {
      void upstream.expect('\r\n\r\n').then(async () => {
        upstream.take();
        upstream.send(OK);
        await upstream.expect('\r\n\r\n');
        upstream.socket.resetAndDestroy();
      });
    });
    peer.send(GET);
    await peer.expect('ok');
    peer.take();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
    await peer.expect('\r\n\r\n');
    assert.match(peer.received, /^HTTP\/1\.1 502 [\s\S]*details="upstream-reset"/);
    assert.equal(servers[0]!.connections, 1);
  });

  it('retries the statuses of the rule for idempotent requests and gives the last answer when none is left', async () => {
    const bad = await backend(answering('HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy'));
    const good = await backend(answering(OK));
    const retry = { attempts: 2, statuses: [503], budget: 1 };
    plane.apply(snapshotOf({ pools: [{ targets: [bad.at, good.at] }], routes: allToFirstPool(retry) }));
    const peer = await client();
    for (let round = 0; round < 4; round += 1) {
      peer.send(GET);
      await peer.expect('\r\n\r\nok');
      peer.take();
    }
    await good.close();
    peer.send(GET);
    await peer.until(() => /HTTP\/1\.1 50[23] /.test(peer.received));
  });

  // Answers of our own -------------------------------------------------------------------------------------------------

  it('says 404 with Proxy-Status when no route matches, and keeps the connection', async () => {
    plane.apply(snapshotOf({ pools: [], routes: [] }));
    const peer = await client();
    for (let round = 0; round < 2; round += 1) {
      peer.send(GET);
      await peer.expect('No route matches this request.\n');
      assert.match(
        peer.take(),
        /^HTTP\/1\.1 404 Not Found\r\nProxy-Status: portico; error=destination_not_found; details="no-route"\r\n/,
      );
    }
  });

  it('says 503 with Retry-After when a pool has no target', async () => {
    plane.apply(snapshotOf({ pools: [{ targets: [] }] }));
    const peer = await client();
    peer.send(GET);
    await peer.expect('No target is available.\n');
    assert.match(peer.received, /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n/);
  });

  it('says 502 when every target refuses', async () => {
    plane.apply(snapshotOf({ pools: [{ targets: [`127.0.0.1:${await freePort()}`] }] }));
    const peer = await client();
    peer.send(GET);
    await peer.expect('refused the connection');
    assert.match(peer.received, /^HTTP\/1\.1 502 [\s\S]*error=connection_refused/);
  });

  for (const [name, answer, details] of [
    ['not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'upstream-protocol'],
    [
      'two framings',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'upstream-protocol',
    ],
    ['a bare line feed', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', 'upstream-protocol'],
    [
      'a switch that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
      'upgrade-failed',
    ],
    ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}`, 'upstream-header-too-large'],
  ] as const) {
    it(`answers 502 to a target that sends ${name}`, async () => {
      const peer = await throughOne((upstream) => {
        void upstream.expect('\r\n\r\n').then(() => upstream.send(answer));
      });
      peer.send(GET);
      await peer.expect('\r\n\r\n');
      assert.match(peer.received, new RegExp(`^HTTP/1\\.1 502 [\\s\\S]*details="${details}"`));
    });
  }

  it('never gives surplus bytes of a target to another client', async () => {
    const peer = await throughOne((upstream) => {
      void upstream
        .expect('\r\n\r\n')
        .then(() => upstream.send(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`));
    });
    peer.send(GET);
    await peer.expect('ok');
    peer.send(GET);
    await peer.until(() => peer.received.split('\r\n\r\nok').length === 3);
    assert.ok(!peer.received.includes('evil'));
    assert.equal(servers[0]!.connections, 2);
  });

  it('cuts the client connection with a reset when an answer breaks off', async () => {
    const peer = await throughOne((upstream) => {
      void upstream.expect('\r\n\r\n').then(() => {
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
        upstream.socket.end();
      });
    });
    peer.send(GET);
    await peer.until(() => peer.closed);
    assert.equal(peer.error?.code, 'ECONNRESET');
    assert.equal(plane.metric('portico_failures_total{listener="web",reason="upstream-incomplete"}'), 1);
  });

  it('gives up on a target that does not answer in time', async () => {
    const server = await backend(() => {});
    plane.apply(
      snapshotOf({
        pools: [
          {
            targets: [server.at],
            timeouts: {
              connectMs: 500,
              responseHeaderMs: 100,
              streamIdleMs: 1000,
              tunnelIdleMs: 3_600_000,
              tunnelLifetimeMs: 0,
              totalMs: 0,
            },
          },
        ],
      }),
    );
    const peer = await client();
    peer.send(GET);
    await peer.expect('did not answer in time');
    assert.match(peer.received, /^HTTP\/1\.1 504 /);
  });

  it('ends an exchange at its total time, even while bytes flow', async () => {
    const server = await backend((upstream) => {
      void upstream.expect('\r\n\r\n').then(() => {
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n');
        const timer = setInterval(() => upstream.send('x'), 10);
        upstream.socket.once('close', () => clearInterval(timer));
      });
    });
    plane.apply(
      snapshotOf({
        pools: [
          {
            targets: [server.at],
            timeouts: {
              connectMs: 500,
              responseHeaderMs: 1000,
              streamIdleMs: 1000,
              tunnelIdleMs: 3_600_000,
              tunnelLifetimeMs: 0,
              totalMs: 200,
            },
          },
        ],
      }),
    );
    const peer = await client();
    peer.send(GET);
    await peer.until(() => peer.closed);
    assert.equal(plane.metric('portico_failures_total{listener="web",reason="total-timeout"}'), 1);
  });

  it('answers 408 to a head that does not arrive in time, however slowly it drips', async () => {
    plane.apply(
      snapshotOf({ pools: [], listeners: [listenerConfig({ timeouts: { headerMs: 150, idleMs: 60_000 } })] }),
    );
    const peer = await client();
    peer.send('GET / HTTP/1.1\r\nX-Slow: ');
    const timer = setInterval(() => peer.send('y'), 40);
    const all = await peer.all();
    clearInterval(timer);
    assert.match(all, /^HTTP\/1\.1 408 /);
  });

  it('closes an idle connection quietly', async () => {
    const server = await backend(answering(OK));
    plane.apply(
      snapshotOf({
        pools: [{ targets: [server.at] }],
        listeners: [listenerConfig({ timeouts: { headerMs: 5000, idleMs: 100 } })],
      }),
    );
    const peer = await client();
    peer.send(GET);
    const all = await peer.all();
    assert.ok(all.endsWith('ok'));
  });

  it('refuses a request that is not valid and sends nothing of it upstream', async () => {
    const peer = await throughOne(() => {});
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc');
    const all = await peer.all();
    assert.match(all, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*Connection: close\r\n/);
    assert.equal(servers[0]!.connections, 0);
    assert.equal(plane.metric('portico_failures_total{listener="web",reason="bad-request"}'), 1);
  });

  it('drops the upstream connection when the client leaves', async () => {
    let gone: Promise<void> | null = null;
    const peer = await throughOne((upstream) => {
      gone = upstream.until(() => upstream.closed || upstream.ended);
    });
    peer.send(GET);
    await new Promise((resolve) => servers[0]!.server.once('connection', resolve));
    peer.socket.resetAndDestroy();
    await gone;
    assert.equal(plane.metric('portico_failures_total{listener="web",reason="client-aborted"}'), 1);
  });

  it('answers directly and redirects by rule, in order with what is proxied', async () => {
    const server = await backend(answering(OK));
    plane.apply(
      snapshotOf({
        pools: [{ targets: [server.at] }],
        routes: [
          route([
            rule(
              { kind: 'respond', status: 418, body: 'tea', headers: [{ name: 'X-Pot', value: '1' }] },
              { matches: [{ path: { kind: 'exact', value: '/tea' }, method: null, headers: [], query: [] }] },
            ),
            rule(
              { kind: 'redirect', scheme: 'https', host: null, port: null, path: null, status: 301 },
              {
                matches: [{ path: { kind: 'prefix', value: '/old' }, method: null, headers: [], query: [] }],
              },
            ),
            rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] }, { retry: NO_RETRY }),
          ]),
        ],
      }),
    );
    const peer = await client();
    peer.send(
      'GET /tea HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /old/p?q HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    await peer.expect('Location: https://a/old/p?q\r\n');
    assert.match(
      peer.received,
      /^HTTP\/1\.1 418 [\s\S]*X-Pot: 1\r\n[\s\S]*tea[\s\S]*\r\n\r\nok[\s\S]*HTTP\/1\.1 301 /,
    );
    const old = await client();
    old.send('GET /old//b.example HTTP/1.0\r\n\r\n');
    assert.match(
      await old.all(),
      /^HTTP\/1\.1 400 /,
      'a redirect without a host would lead to what its path names',
    );
  });

  it('counts what it refuses among the requests of its protocol as well', async () => {
    await throughOne(answering(OK));
    for (const text of [GET, 'GARBAGE\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n']) {
      const peer = await client();
      peer.send(text);
      await peer.expect('HTTP/1.1 ');
    }
    for (const name of ['portico_protocol_requests_total', 'portico_http_requests_total'])
      assert.equal(plane.metric(name), 3, name);
  });

  it('counts a retry that is made, and none where nobody is left', async () => {
    const gone = await backend(() => {});
    const { at } = gone;
    await gone.close();
    plane.apply(snapshotOf({ pools: [{ targets: [at] }], routes: allToFirstPool(RETRY) }));
    const peer = await client();
    peer.send(GET);
    await peer.expect('HTTP/1.1 502 ');
    assert.equal(plane.metric('portico_retries_total'), 0);
  });
});
