// What RFC 9110 and RFC 9112 demand of an intermediary, each demand driven through the whole data plane with raw peers.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { RetryConfig } from '../../src/model/route-config.ts';
import { DataPlane, RawPeer, RawServer } from '../support/data-plane.ts';
import { allToFirstPool, RETRY, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok';
const CLOSE = 'Connection: close\r\n';

/** A request whose answer ends with the connection, so that `all` is the whole answer. */
const request = (line: string, fields = '', body = ''): string =>
  `${line} HTTP/1.1\r\nHost: a.example\r\n${CLOSE}${fields}\r\n${body}`;

const get = (fields = ''): string => request('GET /x', fields);

/** One data plane with the targets and clients of one test. */
class World {
  readonly plane = new DataPlane();
  readonly servers: RawServer[] = [];
  readonly clients: RawPeer[] = [];
  /** What each connection of the first target received, in the order they were opened. */
  readonly upstream: RawPeer[] = [];

  get connections(): number {
    return this.servers.reduce((sum, { connections }) => sum + connections, 0);
  }

  /** Everything that any target received. */
  get seen(): string {
    return this.upstream.map(({ received }) => received).join('');
  }

  async serve(
    onConnection: (peer: RawPeer, index: number) => void,
    retry: RetryConfig = RETRY,
  ): Promise<void> {
    const server = await new RawServer((peer, index) => {
      this.upstream.push(peer);
      onConnection(peer, index);
    }).listen();
    this.servers.push(server);
    this.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], routes: allToFirstPool(retry) }));
  }

  async client(): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.plane.port());
    this.clients.push(peer);
    return peer;
  }

  /** Sends `text`; the target answers each head with `answer`. Returns all that the client got until the end. */
  async ask(text: string, answer = OK, endAfter = false): Promise<string> {
    if (this.servers.length === 0) await this.serve(answering(answer, endAfter));
    const peer = await this.client();
    peer.send(text);
    return peer.all();
  }

  /** A client of a target that answers each head by its path. */
  async answered(answer: (path: string) => string = () => OK): Promise<RawPeer> {
    await this.serve((peer) => {
      let from = 0;
      const next = async (): Promise<void> => {
        await peer.until(() => peer.received.indexOf('\r\n\r\n', from) >= 0 || peer.closed, 60_000);
        if (peer.closed) return;
        const [, path = ''] = peer.received.slice(from).split(' ');
        from = peer.received.indexOf('\r\n\r\n', from) + 4;
        peer.send(answer(path));
        await next();
      };
      void next();
    });
    return this.client();
  }

  /** Waits until a target has been asked. */
  async targetAsked(): Promise<RawPeer> {
    const server = this.servers[0]!;
    if (this.upstream.length === 0) await once(server.server, 'connection');
    return this.upstream[0]!;
  }

  /** The same for a message that must be refused before any target is asked. */
  async refused(text: string, status: number): Promise<void> {
    const answer = await this.ask(text);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer);
    assert.match(answer, /\r\nConnection: close\r\n/);
    assert.equal(answer.split('HTTP/1.1 ').length, 2, 'one answer');
    assert.equal(this.connections, 0, 'nothing reached a target');
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.destroy();
    await this.plane.close();
    for (const server of this.servers) await server.close();
  }
}

/** Answers every head and keeps all that was received. */
function answering(answer: string, endAfter = false): (peer: RawPeer) => void {
  return (peer) => {
    let from = 0;
    const next = async (): Promise<void> => {
      await peer.until(() => peer.received.indexOf('\r\n\r\n', from) >= 0 || peer.closed, 60_000);
      if (peer.closed) return;
      from = peer.received.indexOf('\r\n\r\n', from) + 4;
      peer.send(answer);
      if (endAfter) peer.socket.end();
      else await next();
    };
    void next();
  };
}

const fieldOf = (head: string, name: string): string | undefined =>
  new RegExp(`^${name}: *(.*?)\\r$`, 'im').exec(head.slice(0, head.indexOf('\r\n\r\n') + 2))?.[1];
const headOf = (message: string): string => message.slice(0, message.indexOf('\r\n\r\n') + 4);
const bodyOf = (message: string): string => message.slice(message.indexOf('\r\n\r\n') + 4);
const lengthOf = (text: string): string => `Content-Length: ${text.length}\r\n`;
const chunked = 'Transfer-Encoding: chunked\r\n';

type Row = readonly [section: string, demand: string, holds: (world: World) => Promise<void>];

const ROWS: readonly Row[] = [
  // RFC 9110: messages and fields -------------------------------------------------------------------------------------
  [
    'RFC 9110, 5.1',
    'forward fields that it does not know',
    async (world) => {
      const answer = await world.ask(
        get('X-New: 1\r\n!#$: 2\r\n'),
        OK.replace('Content', 'X-Other: 3\r\nContent'),
      );
      assert.match(world.seen, /\r\nX-New: 1\r\n!#\$: 2\r\n/);
      assert.match(answer, /\r\nX-Other: 3\r\n/);
    },
  ],
  [
    'RFC 9110, 5.3',
    'keep the order of field lines with the same name',
    async (world) => {
      const lines = 'X-A: 1\r\nX-B: 2\r\nx-a: 3\r\nX-A: 4\r\n';
      const answer = await world.ask(get(lines), `HTTP/1.1 200 OK\r\n${lines}Content-Length: 0\r\n\r\n`);
      assert.ok(world.seen.includes(lines) && answer.includes(lines));
    },
  ],
  [
    'RFC 9110, 5.4',
    'answer 4xx to a header section larger than it takes',
    (world) => world.refused(get(`X: ${'y'.repeat(40_000)}\r\n`), 431),
  ],
  [
    'RFC 9110, 5.5',
    'refuse CR, LF and NUL in a request field value',
    async (world) => {
      for (const byte of ['\r', '\n', '\0']) await world.refused(get(`X: a${byte}b\r\n`), 400);
    },
  ],
  [
    'RFC 9110, 5.5 (responses)',
    'refuse CR, LF and NUL in a response field value',
    async (world) => {
      const answers = ['\r', '\n', '\0'].map(
        (byte) => `HTTP/1.1 200 OK\r\nX: a${byte}b\r\nContent-Length: 0\r\n\r\n`,
      );
      await world.serve((peer, index) => answering(answers[index - 1]!)(peer));
      for (const _ of answers) assert.match(await world.ask(get()), /^HTTP\/1\.1 502 /);
    },
  ],
  [
    'RFC 9110, 6.5.1',
    'keep trailer fields out of the header section, and forward only those that may stand in a trailer',
    async (world) => {
      await world.serve((peer) => {
        void peer
          .expect('\r\n0\r\n\r\n')
          .then(() =>
            peer.send(
              `HTTP/1.1 200 OK\r\n${chunked}\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\nSet-Cookie: a=b\r\nX-Request-Id: forged\r\n\r\n`,
            ),
          );
      });
      const answer = await world.ask(
        request('POST /', chunked, '2\r\nhi\r\n0\r\nX-Sum: 8\r\nAuthorization: x\r\n\r\n'),
      );
      assert.ok(world.seen.endsWith('2\r\nhi\r\n0\r\n\r\n'));
      assert.ok(answer.endsWith('2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n'));
      assert.doesNotMatch(headOf(world.seen) + headOf(answer), /X-Sum/);
    },
  ],
  [
    'RFC 9110, 6.6.1',
    'add Date to a forwarded response that has none, and leave one that is there',
    async (world) => {
      assert.equal(fieldOf(await world.ask(get()), 'Date'), 'Thu, 01 Jan 2026 00:00:00 GMT');
      const bare = new World();
      const answer = await bare
        .ask(get(), 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        .finally(() => bare.close());
      assert.match(
        fieldOf(answer, 'Date') ?? '',
        /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/,
      );
    },
  ],
  [
    'RFC 9110, 6.6.1 (own answers)',
    'send Date in every answer of its own',
    async (world) => {
      world.plane.apply(snapshotOf({ pools: [], routes: [] }));
      const peer = await world.client();
      peer.send(get());
      assert.ok(fieldOf(await peer.all(), 'Date'));
      const other = await world.client();
      other.send('nonsense\r\n\r\n');
      assert.ok(fieldOf(await other.all(), 'Date'));
    },
  ],
  // RFC 9110: routing --------------------------------------------------------------------------------------------------
  [
    'RFC 9110, 7.2',
    'answer 400 to a request without Host, with two, or with an invalid one',
    async (world) => {
      for (const host of ['', 'Host: a\r\nHost: a\r\n', 'Host: a, b\r\n', 'Host: a/b\r\n', 'Host:\r\n']) {
        await world.refused(`GET / HTTP/1.1\r\n${host}\r\n`, 400);
      }
    },
  ],
  [
    'RFC 9110, 7.4',
    'refuse an https target that did not come over TLS',
    (world) => world.refused('GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 400),
  ],
  [
    'RFC 9110, 7.6',
    'not forward a message to itself without end',
    async (world) => {
      world.plane.apply(snapshotOf({ pools: [], routes: [] }));
      const self = `127.0.0.1:${world.plane.port()}`;
      world.plane.apply(snapshotOf({ version: 2, pools: [{ targets: [self] }] }));
      const peer = await world.client();
      peer.send(get());
      assert.match(await peer.all(), /^HTTP\/1\.1 431 /);
    },
  ],
  [
    'RFC 9110, 7.6.1',
    'remove Connection and the fields it names, in both directions',
    async (world) => {
      const answer = await world.ask(
        'GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Private ,, x-two\r\nX-Private: 1\r\nX-Two: 2\r\nConnection: close\r\nX-Three: 3\r\n\r\n',
        'HTTP/1.1 200 OK\r\nConnection: X-Mine\r\nX-Mine: 1\r\nX-Yours: 2\r\nContent-Length: 0\r\n\r\n',
      );
      assert.doesNotMatch(world.seen, /connection|x-private|x-two/i);
      assert.match(world.seen, /X-Three: 3/);
      assert.doesNotMatch(answer, /X-Mine/);
      assert.match(answer, /X-Yours: 2/);
    },
  ],
  [
    'RFC 9110, 7.6.1 (known fields)',
    'remove Keep-Alive, Proxy-Connection, TE, Transfer-Encoding and Upgrade even when Connection does not name them',
    async (world) => {
      const fields =
        'Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: trailers\r\nUpgrade: websocket\r\n';
      const answer = await world.ask(get(fields), `HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`);
      for (const text of [world.seen, answer]) {
        assert.doesNotMatch(text, /keep-alive|proxy-connection|\nte:|\nupgrade/i);
      }
    },
  ],
  [
    'RFC 9110, 7.6.1 (end-to-end fields)',
    'not let a client use Connection to remove Host or what the proxy itself adds',
    async (world) => {
      await world.ask(
        'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, host, x-forwarded-for, x-request-id, via, content-length\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n',
      );
      assert.equal(fieldOf(world.seen, 'Host'), 'a');
      assert.equal(fieldOf(world.seen, 'X-Forwarded-For'), '127.0.0.1');
      assert.ok(fieldOf(world.seen, 'X-Request-Id'));
      assert.equal(fieldOf(world.seen, 'Via'), '1.1 portico');
    },
  ],
  [
    'RFC 9110, 7.6.2',
    'count Max-Forwards of TRACE and OPTIONS down by one',
    async (world) => {
      await world.ask(request('OPTIONS /x', 'Max-Forwards: 007\r\n'));
      await world.ask(request('TRACE /x', 'Max-Forwards: 1\r\n'));
      assert.deepEqual(
        [...world.seen.matchAll(/Max-Forwards: (.*)\r\n/g)].map(([, value]) => value),
        ['6', '0'],
      );
    },
  ],
  [
    'RFC 9110, 7.6.2 (zero)',
    'answer TRACE and OPTIONS with Max-Forwards 0 itself and not forward them',
    async (world) => {
      const answer = await world.ask(request('OPTIONS *', 'Max-Forwards: 0\r\n'));
      assert.match(answer, /^HTTP\/1\.1 204 /);
      assert.match(await world.ask(request('TRACE /', 'Max-Forwards: 0\r\n')), /^HTTP\/1\.1 501 /);
      assert.match(await world.ask(request('OPTIONS /', 'Max-Forwards: -1\r\n')), /^HTTP\/1\.1 400 /);
      assert.equal(world.connections, 0);
    },
  ],
  [
    'RFC 9110, 7.6.3',
    'add itself at the end of Via in each request that it forwards, with the version it received',
    async (world) => {
      await world.ask(get('Via: 1.0 fred, 1.1 p.example\r\n'));
      assert.deepEqual(
        [...world.seen.matchAll(/\r\nVia: (.*)(?=\r\n)/g)].map(([, value]) => value),
        ['1.0 fred, 1.1 p.example', '1.1 portico'],
      );
      await world.ask('GET / HTTP/1.0\r\n\r\n');
      assert.match(world.seen, /\r\nVia: 1\.0 portico\r\n/);
    },
  ],
  [
    'RFC 9110, 7.8',
    'switch only to a protocol that the client asked for',
    async (world) => {
      const ask = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
      await world.serve(
        answering('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n'),
      );
      const peer = await world.client();
      peer.send(ask);
      await peer.expect('\r\n\r\n');
      assert.match(peer.received, /^HTTP\/1\.1 502 [\s\S]*upgrade-failed/);
    },
  ],
  [
    'RFC 9110, 7.8 (HTTP/1.0)',
    'ignore Upgrade in an HTTP/1.0 request',
    async (world) => {
      await world.ask('GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
      assert.doesNotMatch(world.seen, /upgrade/i);
    },
  ],
  [
    'RFC 9110, 7.8 (pairing)',
    'send Upgrade only together with the connection option, in both directions',
    async (world) => {
      await world.serve((peer) => {
        void peer
          .expect('\r\n\r\n')
          .then(() =>
            peer.send(
              'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
            ),
          );
      });
      const peer = await world.client();
      peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n');
      await peer.expect('\r\n\r\n');
      for (const text of [world.seen, peer.received]) {
        assert.match(text, /\r\nConnection: upgrade\r\nUpgrade: websocket\r\n/);
      }
    },
  ],
  // RFC 9110: methods and statuses ---------------------------------------------------------------------------------------
  [
    'RFC 9110, 8.6',
    'send no Content-Length in a 1xx or 204 response',
    async (world) => {
      const answer = await world.ask(
        get(),
        'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
      );
      assert.match(answer, /^HTTP\/1\.1 103 Early Hints\r\n\r\nHTTP\/1\.1 204 No Content\r\n/);
      assert.doesNotMatch(answer, /content-length/i);
    },
  ],
  [
    'RFC 9110, 8.6 (forwarding)',
    'not forward a message with a Content-Length that is known to be wrong',
    async (world) => {
      await world.refused(request('POST /', 'Content-Length: 3\r\nContent-Length: 4\r\n', 'abc'), 400);
      await world.refused(request('POST /', 'Content-Length: 3, 3\r\n', 'abc'), 400);
    },
  ],
  [
    'RFC 9110, 8.6 (zero)',
    'keep Content-Length 0 apart from none',
    async (world) => {
      await world.ask(request('POST /', 'Content-Length: 0\r\n'));
      assert.equal(fieldOf(world.seen, 'Content-Length'), '0');
      await world.ask(request('POST /none'));
      assert.doesNotMatch(world.seen.slice(world.seen.indexOf('/none')), /content-length|transfer-encoding/i);
    },
  ],
  [
    'RFC 9110, 9.1',
    'take methods as case-sensitive',
    async (world) => {
      await world.ask(request('gEt /'));
      assert.ok(world.seen.startsWith('gEt / HTTP/1.1\r\n'));
    },
  ],
  [
    'RFC 9110, 9.2.2',
    'not repeat a request with a method that is not idempotent',
    async (world) => {
      await world.serve((peer, index) => {
        if (index > 1) return answering(OK)(peer);
        peer.when('\r\n\r\n', async () => {
          peer.send(OK);
          await peer.expect('POST');
          peer.socket.resetAndDestroy();
        });
      });
      const peer = await world.client();
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.expect('ok');
      peer.take();
      peer.send(request('POST /', lengthOf('hi'), 'hi'));
      assert.match(await peer.all(), /^HTTP\/1\.1 502 /);
      assert.equal(world.seen.split('POST').length, 2, 'sent once');
    },
  ],
  [
    'RFC 9110, 9.2.2 (after a response)',
    'not repeat a request once any part of its response has come',
    async (world) => {
      await world.serve((peer) => {
        peer.when('\r\n\r\n', () => {
          peer.send('HTTP/1.1 200 OK\r\nContent-Le');
          peer.socket.end();
        });
      });
      assert.match(await world.ask(get()), /^HTTP\/1\.1 502 [\s\S]*upstream-incomplete/);
      assert.equal(world.connections, 1);
    },
  ],
  [
    'RFC 9110, 9.3.2',
    'send no content in response to HEAD, whatever the target sends',
    async (world) => {
      const answer = await world.ask(request('HEAD /'));
      assert.equal(bodyOf(answer), '');
      assert.equal(fieldOf(answer, 'Content-Length'), '2');
      const own = await world.ask('HEAD /%zz HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.match(own, /^HTTP\/1\.1 400 /);
      assert.equal(bodyOf(own), '');
      // A request that cannot be read says its method all the same.
      const refused = await world.ask('HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
      assert.match(refused, /^HTTP\/1\.1 400 /);
      assert.notEqual(fieldOf(refused, 'Content-Length'), '0');
      assert.equal(bodyOf(refused), '');
    },
  ],
  [
    'RFC 9110, 9.3.6',
    'open no tunnel for CONNECT that it was not configured for',
    async (world) => {
      const answer = await world.ask('CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n');
      assert.match(answer, /^HTTP\/1\.1 501 /);
      assert.equal(world.connections, 0);
    },
  ],
  [
    'RFC 9110, 9.3.8',
    'take no content with TRACE',
    (world) => world.refused(request('TRACE /', lengthOf('x'), 'x'), 400),
  ],
  [
    'RFC 9110, 10.1.1',
    'forward a request with 100-continue at once, without waiting for its content',
    async (world) => {
      await world.serve((peer) => {
        void peer
          .expect('Expect: 100-continue\r\n')
          .then(() => peer.send('HTTP/1.1 100 Continue\r\n\r\n'))
          .then(() => peer.expect('hello'))
          .then(() => peer.send(OK));
      });
      const peer = await world.client();
      peer.send(request('POST /', `Expect: 100-continue\r\n${lengthOf('hello')}`));
      await peer.expect('HTTP/1.1 100 Continue\r\n\r\n');
      peer.send('hello');
      assert.match(await peer.all(), /HTTP\/1\.1 200 OK/);
    },
  ],
  [
    'RFC 9110, 10.1.1 (final answer)',
    'relay a final answer to 100-continue and not take unsent content for a request',
    async (world) => {
      await world.serve(answering('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n'));
      const peer = await world.client();
      peer.send(`POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n`);
      await peer.expect('417');
      peer.send('GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.match(await peer.all(), /\r\nConnection: close\r\n/);
      assert.doesNotMatch(world.seen, /smuggled/);
    },
  ],
  [
    'RFC 9110, 10.1.1 (HTTP/1.0)',
    'ignore Expect in an HTTP/1.0 request',
    async (world) => {
      const answer = await world.ask(
        `POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n${lengthOf('hi')}\r\nhi`,
      );
      assert.match(answer, /^HTTP\/1\.1 200 /);
      assert.doesNotMatch(world.seen, /expect/i);
    },
  ],
  [
    'RFC 9110, 10.1.1 (no content)',
    'send no 100-continue expectation in a request without content',
    async (world) => {
      await world.ask(get('Expect: 100-continue\r\n'));
      assert.doesNotMatch(world.seen, /expect/i);
    },
  ],
  [
    'RFC 9110, 15.2',
    'forward 1xx responses that it did not ask for itself',
    async (world) => {
      const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n';
      assert.ok(
        (await world.ask(get(), `${hint}HTTP/1.1 199 \r\n\r\n${OK}`)).startsWith(`${hint}HTTP/1.1 199 `),
      );
    },
  ],
  [
    'RFC 9110, 15.2 (HTTP/1.0)',
    'send no 1xx response to an HTTP/1.0 client',
    async (world) => {
      const answer = await world.ask('GET / HTTP/1.0\r\n\r\n', `HTTP/1.1 103 Early Hints\r\n\r\n${OK}`);
      assert.match(answer, /^HTTP\/1\.1 200 OK/);
    },
  ],
  [
    'RFC 9110, 15.2.2',
    'refuse a switch of protocols that was not asked for',
    async (world) => {
      const answer = await world.ask(
        get(),
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
      );
      assert.match(answer, /^HTTP\/1\.1 502 /);
    },
  ],
  [
    'RFC 9110, 15.5.22',
    'keep Upgrade in a 426 response',
    async (world) => {
      const answer = await world.ask(
        get(),
        'HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n',
      );
      assert.equal(fieldOf(answer, 'Upgrade'), 'websocket');
      assert.match(fieldOf(answer, 'Connection') ?? '', /upgrade/i);
    },
  ],
  // RFC 9112: syntax -----------------------------------------------------------------------------------------------------
  [
    'RFC 9112, 2.2',
    'not take a bare CR for a line end',
    async (world) => {
      await world.refused('GET / HTTP/1.1\rHost: a\r\n\r\n', 400);
      await world.refused('GET / HTTP/1.1\r\nHost: a\r\rX: y\r\n\r\n', 400);
    },
  ],
  [
    'RFC 9112, 2.2 (space before fields)',
    'refuse white space between the start line and the first field',
    (world) => world.refused('GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400),
  ],
  [
    'RFC 9112, 2.3',
    'send its own version in what it forwards',
    async (world) => {
      const answer = await world.ask(
        'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
        'HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok',
      );
      assert.match(world.seen, /^GET \/ HTTP\/1\.1\r\n/);
      assert.match(answer, /^HTTP\/1\.1 200 Fine\r\n/);
    },
  ],
  [
    'RFC 9112, 3',
    'answer 414 to a target longer than it takes',
    (world) => world.refused(request(`GET /${'x'.repeat(40_000)}`), 414),
  ],
  [
    'RFC 9112, 3 (length)',
    'take request lines of 8,000 octets',
    async (world) => {
      const path = `/${'x'.repeat(8000)}`;
      await world.ask(request(`GET ${path}`));
      assert.ok(world.seen.startsWith(`GET ${path} HTTP/1.1\r\n`));
    },
  ],
  [
    'RFC 9112, 3.2.1',
    'send "/" for an empty path, before the query',
    async (world) => {
      await world.ask('GET http://a?q=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      assert.match(world.seen, /^GET \/\?q=1 HTTP\/1\.1\r\nHost: a\r\n/);
    },
  ],
  [
    'RFC 9112, 3.2.2',
    'take the absolute form, and send the host of the target as Host',
    async (world) => {
      await world.ask(
        'GET http://a.example:81/p HTTP/1.1\r\nHost: A.example:81\r\nConnection: close\r\n\r\n',
      );
      assert.match(world.seen, /^GET \/p HTTP\/1\.1\r\nHost: a\.example:81\r\n/);
    },
  ],
  [
    'RFC 9112, 3.2.2 (disagreement)',
    'never forward a Host that differs from the target',
    (world) => world.refused('GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 400),
  ],
  [
    'RFC 9112, 3.2.4',
    'send "*" for an OPTIONS request with an absolute target that has neither path nor query',
    async (world) => {
      await world.ask('OPTIONS http://a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      assert.match(world.seen, /^OPTIONS \* HTTP\/1\.1\r\n/);
    },
  ],
  [
    'RFC 9112, 4',
    'send the space after the status even when there is no reason',
    async (world) => {
      assert.match(
        await world.ask(get(), 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n'),
        /^HTTP\/1\.1 200 [^\r]*\r\n/,
      );
    },
  ],
  [
    'RFC 9112, 5.1',
    'refuse white space between name and colon in a request, and not forward it in a response',
    async (world) => {
      await world.refused(get('X : y\r\n'), 400);
      const other = new World();
      const answer = await other
        .ask(get(), 'HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n')
        .finally(() => other.close());
      assert.match(answer, /^HTTP\/1\.1 502 /);
    },
  ],
  [
    'RFC 9112, 5.2',
    'answer 400 to folded request lines and 502 to folded response lines',
    async (world) => {
      await world.refused(get('X: y\r\n z\r\n'), 400);
      const other = new World();
      const answer = await other
        .ask(get(), 'HTTP/1.1 200 OK\r\nX: y\r\n\tz\r\nContent-Length: 0\r\n\r\n')
        .finally(() => other.close());
      assert.match(answer, /^HTTP\/1\.1 502 /);
    },
  ],
  // RFC 9112: framing ------------------------------------------------------------------------------------------------------
  [
    'RFC 9112, 6.1',
    'treat Transfer-Encoding in an HTTP/1.0 message as broken framing, and close',
    async (world) => {
      await world.refused(`POST / HTTP/1.0\r\nHost: a\r\n${chunked}\r\n0\r\n\r\n`, 400);
      const other = new World();
      const answer = await other
        .ask(get(), `HTTP/1.0 200 OK\r\n${chunked}\r\n2\r\nok\r\n0\r\n\r\n`)
        .finally(() => other.close());
      assert.match(answer, /^HTTP\/1\.1 502 /);
    },
  ],
  [
    'RFC 9112, 6.1 (unknown coding)',
    'answer 501 to a transfer coding that it does not know',
    (world) => world.refused(request('POST /', 'Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), 501),
  ],
  [
    'RFC 9112, 6.1 (1xx, 204)',
    'send no Transfer-Encoding in a 1xx or 204 response',
    async (world) => {
      const answer = await world.ask(
        get(),
        `HTTP/1.1 103 Early Hints\r\n${chunked}\r\nHTTP/1.1 204 No Content\r\n${chunked}\r\n`,
      );
      assert.match(answer, /103[\s\S]*204/);
      assert.doesNotMatch(answer, /transfer-encoding/i);
    },
  ],
  [
    'RFC 9112, 6.1 (HTTP/1.0 client)',
    'send no Transfer-Encoding to an HTTP/1.0 client',
    async (world) => {
      const answer = await world.ask(
        'GET / HTTP/1.0\r\n\r\n',
        `HTTP/1.1 200 OK\r\n${chunked}\r\n2\r\nok\r\n0\r\n\r\n`,
      );
      assert.doesNotMatch(answer, /transfer-encoding/i);
      assert.equal(bodyOf(answer), 'ok');
      assert.equal(fieldOf(answer, 'Connection'), 'close');
    },
  ],
  [
    'RFC 9112, 6.2',
    'never send Content-Length and Transfer-Encoding together',
    async (world) => {
      const answer = await world.ask(
        request('POST /', chunked, '2\r\nhi\r\n0\r\n\r\n'),
        'HTTP/1.0 200 OK\r\n\r\nuntil the end',
        true,
      );
      for (const text of [world.seen, answer]) {
        assert.match(text, /transfer-encoding: chunked/i);
        assert.doesNotMatch(text, /content-length/i);
      }
    },
  ],
  [
    'RFC 9112, 6.3',
    'answer 400 and close when chunked is not the final coding of a request',
    (world) => world.refused(request('POST /', 'Transfer-Encoding: chunked, gzip\r\n', '0\r\n\r\n'), 400),
  ],
  [
    'RFC 9112, 6.3 (both framings)',
    'forward no message with Content-Length and Transfer-Encoding as it came',
    (world) => world.refused(request('POST /', `Content-Length: 5\r\n${chunked}`, '0\r\n\r\n'), 400),
  ],
  [
    'RFC 9112, 6.3 (invalid length)',
    'answer 400 and close to a request with an invalid Content-Length',
    async (world) => {
      for (const value of ['', '+2', '0x2', '2 2', '1e1', '-0', '2;', '99999999999999999999']) {
        await world.refused(request('POST /', `Content-Length: ${value}\r\n`, 'hi'), 400);
      }
    },
  ],
  [
    'RFC 9112, 6.3 (invalid length of a response)',
    'close the connection, drop the response and answer 502 when its framing is invalid',
    async (world) => {
      const answer = await world.ask(
        get(),
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
      );
      assert.match(answer, /^HTTP\/1\.1 502 /);
      assert.doesNotMatch(answer, /ok$/);
      await world.upstream[0]!.until(() => world.upstream[0]!.ended || world.upstream[0]!.closed);
    },
  ],
  [
    'RFC 9112, 6.3 (no framing)',
    'take a request without framing fields as one without content',
    async (world) => {
      const peer = await world.answered();
      peer.send(`POST /one HTTP/1.1\r\nHost: a\r\n\r\n${request('GET /two')}`);
      await peer.all();
      assert.match(world.seen, /^POST \/one [\s\S]*GET \/two /);
    },
  ],
  [
    'RFC 9112, 6.3 (until close)',
    'relay a response that ends with its connection, framed for the client',
    async (world) => {
      const answer = await world.ask(get(), 'HTTP/1.1 200 OK\r\n\r\nhello', true);
      assert.match(answer, /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
    },
  ],
  [
    'RFC 9112, 7.1',
    'decode chunked, and refuse sizes that overflow',
    async (world) => {
      await world.serve((peer) => {
        peer.when('\r\n0\r\n\r\n', () => peer.send(OK));
      });
      await world.ask(request('POST /', chunked, '0003\r\nabc\r\n000A;x=y\r\n0123456789\r\n00\r\n\r\n'));
      assert.ok(world.seen.endsWith('\r\n\r\nd\r\nabc0123456789\r\n0\r\n\r\n'));
      const peer = await world.client();
      peer.send(request('POST /', chunked, 'FFFFFFFFFFFFFFFFF\r\nabc'));
      assert.match(await peer.all(), /^HTTP\/1\.1 400 [\s\S]*\r\nConnection: close\r\n/);
    },
  ],
  [
    'RFC 9112, 7.1.1',
    'ignore chunk extensions that it does not know, and bound their size',
    async (world) => {
      await world.serve((peer) => {
        peer.when('\r\n0\r\n\r\n', () => peer.send(OK));
      });
      await world.ask(request('POST /', chunked, '2;a;b="c;\\"";d=e\r\nhi\r\n0;z\r\n\r\n'));
      assert.ok(world.seen.endsWith('\r\n\r\n2\r\nhi\r\n0\r\n\r\n'));
      const peer = await world.client();
      peer.send(request('POST /', chunked, `2;${'x'.repeat(5000)}\r\nhi\r\n0\r\n\r\n`));
      assert.match(await peer.all(), /^HTTP\/1\.1 400 [\s\S]*\r\nConnection: close\r\n/);
    },
  ],
  // RFC 9112: incomplete messages and connections ------------------------------------------------------------------------------
  [
    'RFC 9112, 8',
    'not let an incomplete response pass for a complete one',
    async (world) => {
      const answers = [
        'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf',
        `HTTP/1.1 200 OK\r\n${chunked}\r\n4\r\nhalf\r\n`,
      ];
      await world.serve((peer, index) => answering(answers[index - 1]!, true)(peer));
      for (const _ of answers) {
        const peer = await world.client();
        peer.send(get());
        await peer.until(() => peer.closed);
        assert.equal(peer.error?.code, 'ECONNRESET');
        assert.doesNotMatch(peer.received, /0\r\n\r\n$/);
      }
    },
  ],
  [
    'RFC 9112, 8 (requests)',
    'not let an incomplete request pass for a complete one',
    async (world) => {
      await world.serve(() => {});
      const peer = await world.client();
      peer.send(request('POST /', chunked, '4\r\nhalf\r\n'));
      const target = await world.targetAsked();
      await target.expect('half');
      peer.socket.end();
      await world.upstream[0]!.until(() => world.upstream[0]!.ended || world.upstream[0]!.closed);
      assert.doesNotMatch(world.seen, /\r\n0\r\n/);
    },
  ],
  [
    'RFC 9112, 9.2',
    'not take what a target sends without being asked for a response',
    async (world) => {
      const extra = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
      await world.serve((peer) => {
        peer.when('\r\n\r\n', () => peer.send(OK + extra));
      });
      for (let round = 0; round < 2; round += 1) {
        assert.doesNotMatch(await world.ask(get()), /evil/);
      }
      assert.equal(world.connections, 2);
    },
  ],
  [
    'RFC 9112, 9.3',
    'keep an HTTP/1.1 connection unless told to close, and an HTTP/1.0 one only when asked to',
    async (world) => {
      await world.serve(answering(OK));
      const peer = await world.client();
      for (const text of [
        'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
        'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      ]) {
        peer.send(text);
        await peer.expect('\r\n\r\nok');
        peer.take();
      }
      peer.send('GET / HTTP/1.0\r\n\r\n');
      assert.match(await peer.all(), /\r\nConnection: close\r\n/);
    },
  ],
  [
    'RFC 9112, 9.3 (rest of the content)',
    'read all of a request or close after the response',
    async (world) => {
      await world.serve(answering('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'));
      const peer = await world.client();
      peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nstart');
      assert.match(await peer.all(), /^HTTP\/1\.1 413 [\s\S]*Connection: close/);
      await world.upstream[0]!.until(() => world.upstream[0]!.closed || world.upstream[0]!.ended);
    },
  ],
  [
    'RFC 9112, 9.3.2',
    'answer pipelined requests in their order',
    async (world) => {
      const peer = await world.answered(
        (path) => `HTTP/1.1 200 OK\r\nX-Path: ${path}\r\nContent-Length: 0\r\n\r\n`,
      );
      peer.send(
        `${['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')}${request('GET /4')}`,
      );
      const answer = await peer.all();
      assert.deepEqual(
        [...answer.matchAll(/X-Path: (\S+)/g)].map(([, path]) => path),
        ['/1', '/2', '/3', '/4'],
      );
    },
  ],
  [
    'RFC 9112, 9.6',
    'close after the response to a request with close, and process nothing behind it',
    async (world) => {
      const answer = await world.ask(get() + request('GET /second'));
      assert.equal(answer.split('HTTP/1.1 ').length, 2);
      assert.match(answer, /\r\nConnection: close\r\n/);
      assert.doesNotMatch(world.seen, /second/);
    },
  ],
  [
    'RFC 9112, 9.6 (target)',
    'send no further request on a connection whose target said close',
    async (world) => {
      await world.serve(answering('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'));
      for (let round = 0; round < 2; round += 1) {
        const peer = await world.client();
        peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await peer.expect('ok');
        assert.doesNotMatch(peer.received, /connection: close/i, 'it is no option of ours');
      }
      assert.equal(world.connections, 2);
    },
  ],
  [
    'RFC 9112, 9.6 (last answer)',
    'close in two steps, so that the last answer is not lost to a reset',
    async (world) => {
      await world.serve(answering('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig'));
      const peer = await world.client();
      peer.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n`);
      await peer.expect('big');
      peer.send('x'.repeat(100_000));
      await peer.until(() => peer.ended || peer.closed);
      assert.equal(peer.error, null);
    },
  ],
];

describe('the demands of RFC 9110 and RFC 9112 on an intermediary', () => {
  for (const [section, demand, holds] of ROWS) {
    it(`${section}: ${demand}`, async () => {
      const world = new World();
      try {
        await holds(world);
      } finally {
        await world.close();
      }
    });
  }

  it('are all told in docs/http1.md, and nothing is told there that is not tested', () => {
    const text = readFileSync(new URL('../../docs/http1.md', import.meta.url), 'utf8');
    const told = [...text.matchAll(/^\| (RFC 91\d\d, [^|]+?) \| ([^|]+?) \| ([^|]+?) \|$/gm)].map(
      ([, section, demand]) => `${section}: ${demand}`,
    );
    assert.deepEqual(
      told,
      ROWS.map(([section, demand]) => `${section}: ${demand}`),
    );
  });

  after(async () => {
    // Handles are freed in the turn after their close event.
    await setImmediate();
    await setImmediate();
    const left = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    assert.deepEqual(left, [], 'no socket outlives its test');
  });
});
