// The line break that old clients put behind a body (RFC 9112, section 2.2): it is no head, and the connection waits on as before.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, afterEach, describe, it } from 'node:test';
import { answering, eventually, type RawPeer, Stage, sendApart } from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi';
const HEADER_MS = 5000;
const IDLE_MS = 60_000;
const LINE_BREAK = Buffer.from('\r\n');

describe('a line break behind a body', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  /** A connection whose request was answered, with the line break behind it. */
  async function served(): Promise<RawPeer> {
    const server = await stage.backend(answering(OK));
    const listeners = [listenerConfig({ timeouts: { headerMs: HEADER_MS, idleMs: IDLE_MS } })];
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }], listeners }));
    stage.plane.freeze();
    const client = await stage.client();
    client.send(POST);
    await client.expect('\r\n\r\nok');
    client.take();
    await sendApart(client, LINE_BREAK);
    return client;
  }

  it('begins no head, which would have to come in time', async () => {
    const client = await served();
    await stage.plane.skip(HEADER_MS + 100);
    client.send(POST);
    await client.expect('\r\n\r\nok');
    assert.match(client.take(), /^HTTP\/1\.1 200 /);
    assert.equal(stage.plane.metric('portico_failures_total'), 0);
  });

  it('gives the connection no more time to be idle', async () => {
    const client = await served();
    await stage.plane.skip(IDLE_MS / 2);
    await sendApart(client, LINE_BREAK);
    await stage.plane.skip(IDLE_MS / 2 + 100);
    assert.equal(await client.all(), '', 'closed without a word');
  });

  it('does not keep a connection that is to drain', async () => {
    const client = await served();
    stage.plane.worker.drain(0, 60_000);
    await eventually('the end', () => client.ended);
    assert.equal(client.received, '');
  });
});
