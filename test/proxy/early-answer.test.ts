// Targets that answer an upload before they have read it and close behind their answer, which the unread rest makes a reset.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { Stage } from '../support/data-plane.ts';
import { Http2Client } from '../support/http2-client.ts';
import { allToFirstPool, NO_RETRY, snapshotOf } from '../support/snapshots.ts';

/** Each is a race of our write with the kernel. */
const TIMES = 25;
const LENGTH = 600_000;

describe('an answer before the end of the upload, and a reset behind it', () => {
  const stage = new Stage();
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await stage.clear();
  });
  after(() => stage.end());

  async function target(answer: string): Promise<void> {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.pause();
        socket.write(answer, () => socket.destroy());
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => server.close());
    const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    stage.plane.apply(snapshotOf({ pools: [{ targets: [at] }], routes: allToFirstPool(NO_RETRY) }));
  }

  it('reaches clients of HTTP/1.1', async () => {
    await target('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig');
    for (let i = 0; i < TIMES; i++) {
      const peer = await stage.client();
      peer.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n`);
      peer.socket.write(Buffer.alloc(LENGTH));
      await peer.expect('\r\n\r\nbig');
      assert.match(peer.received, /^HTTP\/1\.1 413 /);
    }
  });

  it('reaches clients of HTTP/2', async () => {
    await target('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig');
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    ends.push(() => client.close());
    for (let i = 0; i < TIMES; i++) {
      const { status, body } = await client.send({ ':path': '/', ':method': 'POST' }, Buffer.alloc(LENGTH));
      assert.deepEqual([status, body], [413, 'big']);
    }
  });

  it('is cut where its end would be that of the connection', async () => {
    await target('HTTP/1.1 413 Content Too Large\r\n\r\nbig');
    for (let i = 0; i < TIMES; i++) {
      const peer = await stage.client();
      peer.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n`);
      peer.socket.write(Buffer.alloc(LENGTH));
      await peer.until(() => peer.closed);
      assert.doesNotMatch(peer.received, /\r\n0\r\n\r\n/);
    }
  });
});
