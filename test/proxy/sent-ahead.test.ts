// Requests that a client sends ahead by the hundred and that need no target: all are answered, and nobody waits for all of them.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { eventually, Stage } from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

const MANY = 600;
const GET = 'GET /missing HTTP/1.1\r\nHost: a\r\n\r\n';
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

  it('are all answered to a client that ends its side behind them', async () => {
    serve();
    const client = await stage.client();
    client.socket.end(GET.repeat(MANY));
    assert.equal(answersIn(await client.all()), MANY);
  });
});
