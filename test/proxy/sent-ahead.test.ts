// Requests that a client sends ahead by the hundred and that need no target: all are answered, and nobody waits for all of them.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { PREFACE } from '../../src/http2/preface.ts';
import { block, frame, GET as GET_ROOT, settings } from '../http2/frames.ts';
import { eventually, Stage } from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

const MANY = 600;
const GET = 'GET /missing HTTP/1.1\r\nHost: a\r\n\r\n';
const GET_MISSING = GET_ROOT.map(([name, value]) => [name, name === ':path' ? '/missing' : value] as const);

/** Streams that the other side has ended. */
function endsIn(received: string): number {
  const bytes = Buffer.from(received, 'latin1');
  let ends = 0;
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const carriesEnd = bytes[at + 3] === FrameType.Headers || bytes[at + 3] === FrameType.Data;
    if (carriesEnd && (bytes[at + 4]! & Flag.EndStream) !== 0) ends += 1;
  }
  return ends;
}

const answersIn = (text: string): number => text.split('HTTP/1.1 404').length - 1;

describe('requests that are sent ahead and answered at once', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  function serve(): void {
    const limits = { ...listenerConfig().limits, pipelinedRequests: MANY };
    stage.plane.apply(snapshotOf({ listeners: [listenerConfig({ limits })], pools: [], routes: [] }));
  }

  it('are answered each in its turn, between them what others ask for', async () => {
    serve();
    const [greedy, modest] = [await stage.client(), await stage.client()];
    let before = -1;
    modest.socket.once('data', () => {
      before = answersIn(greedy.received);
    });
    greedy.send(GET.repeat(MANY));
    modest.send(GET);
    await modest.expect('\r\n\r\n');
    await eventually('all answers', () => answersIn(greedy.received) === MANY);
    assert.ok(before < MANY / 2, `${before} of ${MANY} answers came first`);
  });

  it('are answered each in its turn over HTTP/2, too', async () => {
    serve();
    const [greedy, modest] = [await stage.client(), await stage.client()];
    const heads = (count: number): Buffer => {
      const ids = Array.from({ length: count }, (_, index) => 2 * index + 1);
      const asked = ids.map((id) =>
        frame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, id, block(...GET_MISSING)),
      );
      return Buffer.concat([Buffer.from(PREFACE), settings(), ...asked]);
    };
    let before = -1;
    modest.socket.once('data', () => {
      before = endsIn(greedy.received);
    });
    greedy.send(heads(MANY).toString('latin1'));
    modest.send(heads(1).toString('latin1'));
    await eventually('the answer', () => endsIn(modest.received) === 1);
    await eventually('all answers', () => endsIn(greedy.received) === MANY);
    assert.ok(before < MANY / 2, `${before} of ${MANY} answers came first`);
  });

  it('are all answered to a client that ends its side behind them', async () => {
    serve();
    const client = await stage.client();
    client.socket.end(GET.repeat(MANY));
    assert.equal(answersIn(await client.all()), MANY);
  });
});
