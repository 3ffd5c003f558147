// Retries of bad statuses: what counts as one, and which answer the client gets.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { BlackHole } from '../../support/black-hole.ts';
import { answering, Stage } from '../../support/data-plane.ts';
import { allToFirstPool, snapshotOf } from '../../support/snapshots.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const BAD = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('retries of bad statuses', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  /** @param targets tried in this order */
  function serve(targets: readonly string[], attempts: number, budget = 1): void {
    const retry = { attempts, statuses: [503], budget };
    const snapshot = snapshotOf({ pools: [{ targets }], routes: allToFirstPool(retry) });
    const pools = snapshot.pools.map((pool) => ({
      ...pool,
      groups: pool.groups.map((group, priority) => ({ ...group, priority })),
    }));
    stage.plane.apply({ ...snapshot, pools });
  }

  async function ask(): Promise<string> {
    const client = await stage.client();
    client.send(GET);
    await client.until(() => /\r\n\r\n.+/.test(client.received));
    return client.received;
  }

  it('are counted by attempts, and not by the connections that were dialled beside a silent one', async () => {
    const hole = await BlackHole.open();
    try {
      const bad = await stage.backend(answering(BAD));
      const ok = await stage.backend(answering(OK));
      serve([hole.at, bad.at, ok.at], 1);
      assert.match(await ask(), /^HTTP\/1\.1 200 /);
    } finally {
      await hole.close();
    }
  });

  it('do not go to a target that has just refused a connection: the answer that came is passed on', async () => {
    stage.plane.freeze();
    serve([(await stage.backend(answering(BAD))).at, await stage.refusing()], 2);
    // The first one finds out.
    await ask();
    for (let round = 0; round < 3; round += 1)
      assert.match(await ask(), /^HTTP\/1\.1 503 [\s\S]*\r\n\r\nbad$/);
    assert.equal(stage.plane.metric('portico_retries_total{pool="pool-0",reason="status"}'), 1);
  });

  it('take nothing of the budget when nobody is found to ask', async () => {
    stage.plane.freeze();
    serve([(await stage.backend(answering(BAD))).at, await stage.refusing()], 2, 0);
    // More than a budget of 0 allows in a while, which is ten.
    for (let round = 0; round < 15; round += 1) await ask();
    assert.equal(stage.plane.metric('portico_retry_budget_exhausted_total'), 0);
  });
});
