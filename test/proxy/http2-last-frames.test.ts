// What an HTTP/2 client is told last: of a stream that has ended, and of a connection that it leaves.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, afterEach, describe, it } from 'node:test';
import { FrameLog, GET, goaway, headers, OPENING, ping } from '../http2/frames.ts';
import { type RawPeer, Stage } from '../support/data-plane.ts';
import { route, rule, snapshotOf } from '../support/snapshots.ts';

describe('the last frame', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  /** A client that says this and gets answers of the listener's own; with the frames that it gets, heads without fields. */
  async function say(...frames: readonly Buffer[]): Promise<{ peer: RawPeer; lines: () => string[] }> {
    const routes = [route([rule({ kind: 'respond', status: 200, body: 'ok', headers: [] })])];
    stage.plane.apply(snapshotOf({ pools: [], routes }));
    const peer = await stage.client();
    const log = new FrameLog();
    peer.socket.on('data', (bytes: Buffer) => log.write(bytes));
    peer.socket.write(Buffer.concat([OPENING, ...frames]));
    return { peer, lines: () => log.lines.map((line) => line.replace(/ :status.*/, '')) };
  }

  it('of a whole request that is answered at once is the end of the answer', async () => {
    const { peer, lines } = await say(headers(1, GET), ping());
    await peer.expect('12345678');
    assert.deepEqual(lines(), ['SETTINGS ack', 'HEADERS 1', 'DATA 1 ok end', 'PING ack']);
  });

  it('of a client that leaves names its last request, and no later one is looked at', async () => {
    const { peer, lines } = await say(headers(1, GET), goaway(0, 0), headers(3, GET));
    await peer.all();
    assert.deepEqual(lines(), ['SETTINGS ack', 'HEADERS 1', 'DATA 1 ok end', 'GOAWAY 1 0']);
    assert.equal(stage.plane.metric('portico_http_requests_total'), 1);
  });
});
