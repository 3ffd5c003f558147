// Bodies of one-byte chunks: an attacker's way to make whoever is behind a proxy work more than the sender.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { PIECES_PER_TICK } from '../../src/proxy/http/piece-budget.ts';
import { eventually, type RawPeer, Stage, whenAsked, whenSaid } from '../support/data-plane.ts';
import { snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
const LAST_CHUNK = '\r\n0\r\n\r\n';
const BODY = 'abcdefgh'.repeat(500);
/** What is read at once becomes one chunk: the 4,000 of the sender are a few. */
const FEW = 20;

const inChunksOfOne = (body: string): string =>
  `${[...body].map((letter) => `1\r\n${letter}\r\n`).join('')}0\r\n\r\n`;

/** The body of a chunked message, and of how many chunks it is made; the last is not counted. */
function readChunked(message: string): { body: string; chunks: number } {
  let body = '';
  let position = message.indexOf('\r\n\r\n') + 4;
  for (let chunks = 0; ; chunks += 1) {
    const lineEnd = message.indexOf('\r\n', position);
    const size = Number.parseInt(message.slice(position, lineEnd), 16);
    if (size === 0) return { body, chunks };
    assert.ok(size > 0, `no chunk size at ${position}`);
    position = lineEnd + 2;
    body += message.slice(position, position + size);
    position += size + 2;
  }
}

describe('tiny chunks', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(onConnection: (peer: RawPeer) => void): Promise<RawPeer> {
    const server = await stage.backend(onConnection);
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    return await stage.client();
  }

  it('of a request arrive whole, and cost the target no more than a few', async () => {
    let request = '';
    const client = await serve((peer) =>
      whenSaid(peer, LAST_CHUNK, () => {
        request = peer.received;
        peer.send(OK);
      }),
    );
    client.send(`${POST}${inChunksOfOne(BODY)}${GET}`);
    await client.expect('ok');
    const { body, chunks } = readChunked(request);
    assert.equal(body, BODY);
    assert.ok(chunks <= FEW, `${chunks} chunks`);
  });

  it('are read in shares, so that others have their time', async () => {
    let target!: RawPeer;
    const count = (): number => target.received.split('x').length - 1;
    const client = await serve((peer) => {
      target = peer;
      whenSaid(peer, LAST_CHUNK, () => peer.send(OK));
    });
    stage.plane.freeze();
    const chunks = 2 * PIECES_PER_TICK;
    client.send(`${POST}${inChunksOfOne('x'.repeat(chunks))}`);
    await eventually('its share', () => target !== undefined && count() >= PIECES_PER_TICK);
    await stage.plane.skip(0);
    // Fewer than 512 at the end of a read are not asked for.
    assert.ok(count() < 1.25 * PIECES_PER_TICK, `${count()} of ${chunks}`);
    while (!client.received.endsWith('ok')) await stage.plane.skip(50);
    assert.equal(count(), chunks);
  });

  it('of an answer arrive whole, and cost the client no more than a few', async () => {
    const client = await serve((peer) =>
      whenAsked(peer, () =>
        peer.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${inChunksOfOne(BODY)}`),
      ),
    );
    client.send(GET);
    await client.expect(LAST_CHUNK);
    const { body, chunks } = readChunked(client.received);
    assert.equal(body, BODY);
    assert.ok(chunks <= FEW, `${chunks} chunks`);
  });
});
