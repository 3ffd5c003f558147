// What follows Portico's own answers over HTTP/2: nothing on a stream that both sides have ended, a reset where a body is still to come.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, afterEach, describe, it } from 'node:test';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { data, frame, GET, headers, OPENING, POST } from '../http2/frames.ts';
import { Stage } from '../support/data-plane.ts';
import { snapshotOf } from '../support/snapshots.ts';

const PING = frame(FrameType.Ping, 0, 0, Buffer.alloc(8));
const NO_ERROR = 0;

describe('an answer of our own over HTTP/2', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  /** The frames on stream 1, up to the answer to a PING behind the request: END_STREAM as `.`, resets with their code. */
  async function framesAfter(request: Buffer): Promise<string[]> {
    stage.plane.apply(snapshotOf({ pools: [], routes: [] }));
    const peer = await stage.client();
    peer.socket.write(Buffer.concat([OPENING, request, PING]));
    let frames: string[] = [];
    await peer.until(() => {
      const bytes = Buffer.from(peer.received, 'latin1');
      frames = [];
      for (let at = 0, end = 0; at + 9 <= bytes.length; at = end) {
        end = at + 9 + bytes.readUIntBE(at, 3);
        if (end > bytes.length) return false;
        const [type, flags] = [bytes[at + 3]!, bytes[at + 4]!];
        if (type === FrameType.Ping && (flags & Flag.Ack) !== 0) return true;
        if (bytes.readUInt32BE(at + 5) !== 1) continue;
        if (type === FrameType.Headers) frames.push('headers');
        else if (type === FrameType.Data) frames.push((flags & Flag.EndStream) === 0 ? 'data' : 'data.');
        else frames.push(`${type}: ${bytes.readUInt32BE(at + 9)}`);
      }
      return false;
    });
    return frames;
  }

  for (const [what, request] of [
    ['without content', headers(1, GET)],
    ['of length 0', headers(1, [...POST, ['content-length', '0']])],
    [
      'with a path that is none',
      headers(1, [...GET.filter(([name]) => name !== ':path'), [':path', '/%zz']]),
    ],
  ] as const) {
    it(`ends the stream of a request ${what}`, async () => {
      assert.deepEqual(await framesAfter(request), ['headers', 'data.']);
    });
  }

  it('is followed by a reset where the rest of a request is still to come, and by no other when it comes', async () => {
    const rest = Buffer.concat([data(1, 'late'), data(1, '', true)]);
    assert.deepEqual(await framesAfter(Buffer.concat([headers(1, POST, false), rest])), [
      'headers',
      'data.',
      `${FrameType.RstStream}: ${NO_ERROR}`,
    ]);
  });
});
