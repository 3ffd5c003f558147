// Bodies of one-byte DATA frames: what one stream's cost is joined, and what streams take turns with is read in shares.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { PREFACE } from '../../src/http2/preface.ts';
import { block, frame, POST, settings } from '../http2/frames.ts';
import { eventually, type RawPeer, Stage, whenSaid } from '../support/data-plane.ts';
import { snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const LAST_CHUNK = '\r\n0\r\n\r\n';
/** What is read at once becomes one chunk. */
const FEW = 20;
/** Within the window that a connection begins with (RFC 9113, section 6.9.2). */
const FRAMES = 60_000;
/** Two reads and a share: more may not be read in one tick. */
const SHARE = 20_000;

const opened = (...streamIds: readonly number[]): Buffer =>
  Buffer.concat([
    Buffer.from(PREFACE),
    settings(),
    ...streamIds.map((id) => frame(FrameType.Headers, Flag.EndHeaders, id, block(...POST))),
  ]);

/** One-byte frames of these streams in turns, and the ends of all. */
function inTurns(count: number, ...streamIds: readonly number[]): Buffer {
  const frames: Buffer[] = [];
  for (let i = 0; i < count; i += 1)
    frames.push(frame(FrameType.Data, 0, streamIds[i % streamIds.length]!, 'z'));
  for (const id of streamIds) frames.push(frame(FrameType.Data, Flag.EndStream, id));
  return Buffer.concat(frames);
}

describe('tiny frames', () => {
  const stage = new Stage();
  const targets: RawPeer[] = [];
  /** No head has a z in it. */
  const bytes = (): number => targets.reduce((sum, { received }) => sum + received.split('z').length - 1, 0);
  afterEach(() => {
    targets.length = 0;
    return stage.clear();
  });
  after(() => stage.end());

  async function serve(): Promise<RawPeer> {
    const server = await stage.backend((peer) => {
      targets.push(peer);
      whenSaid(peer, LAST_CHUNK, () => peer.send(OK));
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    return await stage.client();
  }

  it('of one stream arrive whole, and cost the target no more than a few chunks', async () => {
    const client = await serve();
    client.send(Buffer.concat([opened(1), inTurns(4000, 1)]).toString('latin1'));
    await eventually('the answer', () => client.received.includes('ok'));
    assert.equal(bytes(), 4000);
    const chunks = targets[0]!.received.match(/\r\n[0-9a-f]+\r\nz/g)!.length;
    assert.ok(chunks <= FEW, `${chunks} chunks`);
  });

  it('of two streams in turns are read in shares, so that others have their time', async () => {
    const client = await serve();
    stage.plane.freeze();
    client.send(Buffer.concat([opened(1, 3), inTurns(FRAMES, 1, 3)]).toString('latin1'));
    await eventually('the first', () => bytes() > 0);
    await stage.plane.skip(0);
    assert.ok(bytes() < SHARE, `${bytes()} of ${FRAMES}`);
    while (client.received.split('ok').length < 3) await stage.plane.skip(50);
    assert.equal(bytes(), FRAMES);
  });
});
