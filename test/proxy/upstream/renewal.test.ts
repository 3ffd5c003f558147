// When connections to targets end by their number of requests, and that none does so before it is old enough.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { answering, type RawPeer, type RawServer, Stage } from '../../support/data-plane.ts';
import { snapshotOf } from '../../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
/** Below the requests and the milliseconds that are asked for, by more than their jitter of a tenth. */
const FEW = 4;
const YOUNG_MS = 850;

describe('a connection to a target', () => {
  const stage = new Stage();
  let server: RawServer;
  let client: RawPeer;
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(requests: number, leastAgeMs: number): Promise<void> {
    server = await stage.backend(answering(OK));
    const connections = { requests, leastAgeMs };
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at], connections }] }));
    stage.plane.freeze();
    client = await stage.client();
  }

  async function ask(times: number): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      client.take();
      client.send(GET);
      await client.expect('\r\n\r\nok');
    }
  }

  it('ends after its number of requests', async () => {
    await serve(FEW + 1, 0);
    await ask(3 * (FEW + 2));
    assert.ok(server.connections >= 3, String(server.connections));
  });

  it('carries more while it is young, and ends with the next when it is not any more', async () => {
    await serve(FEW, 1000);
    await ask(10 * FEW);
    await stage.plane.skip(YOUNG_MS);
    await ask(FEW);
    assert.equal(server.connections, 1);
    await stage.plane.skip(1100 - YOUNG_MS);
    await ask(1);
    assert.equal(server.connections, 1);
    await ask(1);
    assert.equal(server.connections, 2);
  });
});
