// Request smuggling, told as attacks: a client, Portico, and behind it a backend that reads requests in the lenient way
// that made each attack work. The harm is shown on the backend alone first, then that it does not get through.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { assertNoSocketLeft, DataPlane, RawPeer, RawServer } from '../support/data-plane.ts';
import { route, rule, snapshotOf } from '../support/snapshots.ts';

/** How a lenient backend finds the end of a request. */
type Lenience =
  /** Content-Length wins over Transfer-Encoding. */
  | 'length-first'
  /** Anything that contains `chunked` is chunked, and LF ends a line. */
  | 'chunked-if-mentioned'
  /** Never reads a body. */
  | 'no-body'
  /** A name with `_`, or with white space before the colon, is that name with `-`. */
  | 'folds-names'
  /** LF inside a chunk extension ends the size line. */
  | 'extension-ends-at-lf';

/** The request lines that such a backend sees in `bytes`. */
function readLeniently(bytes: string, lenience: Lenience): string[] {
  const lines: string[] = [];
  let rest = bytes;
  while (rest.trim() !== '') {
    const head = /^(?:\r?\n)*([\s\S]*?)\r?\n\r?\n/.exec(rest);
    if (head === null) return lines;
    rest = rest.slice(head[0].length);
    const [line = '', ...fields] = head[1]!.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/);
    lines.push(line);
    const value = (name: string): string | undefined => {
      for (const field of fields) {
        const [, raw = '', text = ''] = /^([^:]*):[ \t\v]*(.*)$/.exec(field) ?? [];
        const found = lenience === 'folds-names' ? raw.trim().replaceAll('_', '-') : raw;
        if (found.toLowerCase() === name) return text;
      }
      return undefined;
    };
    const length = Number.parseInt(value('content-length') ?? '0', 10) || 0;
    const chunked = /chunked/i.test(value('transfer-encoding') ?? '');
    if (lenience === 'no-body') continue;
    if (chunked && lenience !== 'length-first') rest = afterChunks(rest, lenience);
    else rest = rest.slice(length);
  }
  return lines;
}

function afterChunks(text: string, lenience: Lenience): string {
  const lineEnd =
    lenience === 'extension-ends-at-lf' ? /^([0-9a-fA-F]+)[^\n]*\n/ : /^([0-9a-fA-F]+)[^\r\n]*\r?\n/;
  let rest = text;
  for (;;) {
    const [line, size] = lineEnd.exec(rest) ?? [];
    if (line === undefined || size === undefined) return rest;
    rest = rest.slice(line.length + Number.parseInt(size, 16)).replace(/^\r?\n/, '');
    if (Number.parseInt(size, 16) === 0) return rest;
  }
}

const ADMIN = 'GET /admin HTTP/1.1\r\nHost: a\r\nX-Rest: ';
const EMPTY_CHUNK_THEN_ADMIN = `0\r\n\r\n${ADMIN}`;
const post = (fields: string, body: string): string =>
  `POST /public HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;
const lengthOf = (body: string): string => `Content-Length: ${body.length}\r\n`;
const VICTIM = 'GET /victim HTTP/1.1\r\nHost: a\r\nCookie: session=1\r\n\r\n';

interface Attack {
  readonly story: string;
  readonly lenience: Lenience;
  readonly bytes: string;
  /** `refused`: nothing is sent on; `reframed`: one request is sent on and every backend reads one. */
  readonly outcome: 'refused' | 'reframed';
}

const BODY_4 = `5e\r\n${ADMIN}${'x'.repeat(0x5e - ADMIN.length)}\r\n0\r\n\r\n`;

const ATTACKS: readonly Attack[] = [
  {
    story: 'CL.TE: the front counts, the backend reads chunks and takes the rest for a request',
    lenience: 'chunked-if-mentioned',
    bytes: post(`${lengthOf(EMPTY_CHUNK_THEN_ADMIN)}Transfer-Encoding: chunked\r\n`, EMPTY_CHUNK_THEN_ADMIN),
    outcome: 'refused',
  },
  {
    story: 'TE.CL: the front reads chunks, the backend counts four bytes and finds a request in the chunk',
    lenience: 'length-first',
    bytes: post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', BODY_4),
    outcome: 'refused',
  },
  ...[
    ['a vertical tab', 'Transfer-Encoding: \x0bchunked\r\n'],
    ['a second coding', 'Transfer-Encoding: chunked, identity\r\n'],
    ['a comma', 'Transfer-Encoding: chunked,\r\n'],
    ['quotes', 'Transfer-Encoding: "chunked"\r\n'],
    ['an x', 'Transfer-Encoding: xchunked\r\n'],
    ['a second field', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n'],
    ['a line of its own after LF', 'X: y\nTransfer-Encoding: chunked\r\n'],
    ['a folded line', 'Transfer-Encoding:\r\n chunked\r\n'],
  ].map(
    ([how = '', field = '']): Attack => ({
      story: `TE.TE: Transfer-Encoding is disguised with ${how}, so that only the backend obeys it`,
      lenience: 'chunked-if-mentioned',
      bytes: post(lengthOf(EMPTY_CHUNK_THEN_ADMIN) + field, EMPTY_CHUNK_THEN_ADMIN),
      outcome: 'refused',
    }),
  ),
  {
    story: 'an underscore hides Transfer-Encoding from the front, and a backend like CGI finds it again',
    lenience: 'folds-names',
    bytes: post(`${lengthOf(EMPTY_CHUNK_THEN_ADMIN)}Transfer_Encoding: chunked\r\n`, EMPTY_CHUNK_THEN_ADMIN),
    outcome: 'reframed',
  },
  {
    story: 'a space before the colon hides Transfer-Encoding from the front',
    lenience: 'folds-names',
    bytes: post(`${lengthOf(EMPTY_CHUNK_THEN_ADMIN)}Transfer-Encoding : chunked\r\n`, EMPTY_CHUNK_THEN_ADMIN),
    outcome: 'refused',
  },
  {
    story: 'two lengths: the front takes the second, the backend the first',
    lenience: 'length-first',
    bytes: post(`Content-Length: 0\r\n${lengthOf(ADMIN)}`, ADMIN),
    outcome: 'refused',
  },
  {
    story: 'a length with a sign: the backend reads as many digits as it likes',
    lenience: 'length-first',
    bytes: post(`Content-Length: 0${','}${ADMIN.length}\r\n`, ADMIN),
    outcome: 'refused',
  },
  {
    story: 'TERM.EXT: a bare LF in a chunk extension ends the line for the backend only',
    lenience: 'extension-ends-at-lf',
    bytes: post('Transfer-Encoding: chunked\r\n', `2;\nxx\r\n4c\r\n0\r\n\r\n${ADMIN}\r\n\r\n0\r\n\r\n`),
    outcome: 'refused',
  },
  {
    story: 'Connection names Content-Length: a front that drops it leaves a body without a length',
    lenience: 'length-first',
    bytes: post(`Connection: Content-Length\r\n${lengthOf(ADMIN)}`, ADMIN),
    outcome: 'reframed',
  },
  {
    story: 'Connection names Transfer-Encoding: a front that drops it leaves chunks without a coding',
    lenience: 'chunked-if-mentioned',
    bytes: post(
      'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n',
      `${ADMIN.length.toString(16)}\r\n${ADMIN}\r\n0\r\n\r\n`,
    ),
    outcome: 'reframed',
  },
];

describe('request smuggling', () => {
  let plane: DataPlane | null = null;
  const servers: RawServer[] = [];
  const clients: RawPeer[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await plane?.close();
    plane = null;
    for (const server of servers.splice(0)) await server.close();
  });
  after(assertNoSocketLeft);

  /** A backend that records every byte and answers each head that it can see. */
  async function front(): Promise<{
    bytes: () => string;
    connect: () => Promise<RawPeer>;
    server: RawServer;
  }> {
    const upstream: RawPeer[] = [];
    const server = await new RawServer((peer) => {
      upstream.push(peer);
      let answered = 0;
      const serve = async (): Promise<void> => {
        for (;;) {
          await peer.until(
            () => peer.closed || peer.ended || peer.received.split('\r\n\r\n').length - 1 > answered,
            60_000,
          );
          if (peer.closed || peer.ended) return;
          answered = peer.received.split('\r\n\r\n').length - 1;
          peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        }
      };
      void serve();
    }).listen();
    servers.push(server);
    const here = new DataPlane();
    plane = here;
    here.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    return {
      server,
      bytes: () => upstream.map(({ received }) => received).join(''),
      connect: async () => {
        const peer = await RawPeer.connect(here.port());
        clients.push(peer);
        return peer;
      },
    };
  }

  for (const { story, lenience, bytes, outcome } of ATTACKS) {
    it(story, async () => {
      if (outcome === 'refused' || lenience === 'folds-names') {
        const seen = readLeniently(bytes + VICTIM, lenience);
        assert.ok(
          seen.length !== 2 || seen[1] !== 'GET /victim HTTP/1.1',
          'the backend alone is fooled, else this test shows nothing',
        );
      }
      const { bytes: sent, connect } = await front();
      const attacker = await connect();
      attacker.send(bytes);
      if (outcome === 'refused') {
        assert.match(await attacker.all(), /^HTTP\/1\.1 (?:400|501) [\s\S]*\r\nConnection: close\r\n/);
      } else {
        await attacker.expect('\r\n\r\nok');
      }
      const victim = await connect();
      victim.send(VICTIM);
      await victim.expect('\r\n\r\nok');
      const seen = readLeniently(sent(), lenience);
      const expected =
        outcome === 'refused' ? ['GET /victim HTTP/1.1'] : ['POST /public HTTP/1.1', 'GET /victim HTTP/1.1'];
      // The head of a refused chunked request may have left before its body was seen to be wrong: alone, on a
      // connection that is gone with it.
      const whole = seen.filter((line) => outcome !== 'refused' || !line.startsWith('POST /public'));
      assert.deepEqual(whole, expected);
      assert.doesNotMatch(victim.received, /admin/);
    });
  }

  it('CL.0: a backend that ignores bodies answers early; the body never becomes the next request', async () => {
    const { bytes: sent, connect, server } = await front();
    assert.deepEqual(
      readLeniently(post(lengthOf(`${ADMIN}\r\n\r\n`), `${ADMIN}\r\n\r\n`), 'no-body').slice(0, 2),
      ['POST /public HTTP/1.1', 'GET /admin HTTP/1.1'],
    );
    const attacker = await connect();
    // The length promises more than comes: the backend has answered, and the connection may not be used again.
    attacker.send(post(`Content-Length: ${ADMIN.length + 100}\r\n`, ADMIN));
    await attacker.expect('\r\n\r\nok');
    assert.match(await attacker.all(), /\r\nConnection: close\r\n/);
    const victim = await connect();
    victim.send(VICTIM);
    await victim.expect('\r\n\r\nok');
    assert.equal(server.connections, 2, 'the victim got a connection of its own');
    assert.match(sent(), /GET \/victim HTTP\/1\.1/);
  });

  it('an answer that smuggles a second one behind it poisons no queue', async () => {
    const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    const server = await new RawServer((peer) => {
      const serve = async (): Promise<void> => {
        await peer.until(() => peer.closed || peer.received.includes('\r\n\r\n'), 60_000);
        if (peer.closed) return;
        peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${evil}`);
      };
      void serve();
    }).listen();
    servers.push(server);
    plane = new DataPlane();
    plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    for (let round = 0; round < 5; round += 1) {
      const peer = await RawPeer.connect(plane.port());
      clients.push(peer);
      peer.send(VICTIM.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
      const answer = await peer.all();
      assert.ok(answer.endsWith('\r\n\r\nok'), answer);
    }
    assert.equal(server.connections, 5);
  });

  it('HEAD with a body: what a broken backend sends behind the head reaches no one', async () => {
    const server = await new RawServer((peer) => {
      void peer
        .until(() => peer.closed || peer.received.includes('\r\n\r\n'), 60_000)
        .then(() =>
          peer.send(
            'HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
          ),
        );
    }).listen();
    servers.push(server);
    plane = new DataPlane();
    plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    const peer = await RawPeer.connect(plane.port());
    clients.push(peer);
    peer.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    await peer.expect('\r\n\r\n');
    peer.take();
    peer.send(VICTIM.replace('GET', 'HEAD'));
    await peer.expect('\r\n\r\n');
    assert.doesNotMatch(peer.received, /evil/);
    assert.equal(server.connections, 2);
  });

  for (const path of [
    '/private/../admin',
    '/%61dmin',
    '/x/%2e%2e/admin',
    '/./admin',
    '/admin/.',
    '//admin/..//admin',
    '/x/..;/admin',
    '/x/..%2fadmin',
    '/x\\..\\admin',
    '/admin%00',
  ]) {
    it(`a rule that protects /admin cannot be walked around with ${path}`, async () => {
      const server = await new RawServer((peer) => {
        void peer
          .until(() => peer.received.includes('\r\n\r\n') || peer.closed, 60_000)
          .then(() => {
            if (!peer.closed) peer.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
          });
      }).listen();
      servers.push(server);
      plane = new DataPlane();
      const match = {
        path: { kind: 'prefix', value: '/admin' },
        method: null,
        headers: [],
        query: [],
      } as const;
      plane.apply(
        snapshotOf({
          pools: [{ targets: [server.at] }],
          routes: [
            route([
              rule({ kind: 'respond', status: 403, body: 'no\n', headers: [] }, { matches: [match] }),
              rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] }),
            ]),
          ],
        }),
      );
      const peer = await RawPeer.connect(plane.port());
      clients.push(peer);
      peer.send(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      const answer = await peer.all();
      // `//admin` is another path than `/admin`, and is sent on as what it is.
      if (path.startsWith('//')) assert.match(answer, /^HTTP\/1\.1 200 /);
      else assert.match(answer, /^HTTP\/1\.1 (?:403|400) /);
      if (!path.startsWith('//')) assert.equal(server.connections, 0);
    });
  }
});
