import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { certificateFor } from '../support/certificates.ts';
import { DataPlane, eventually, RawPeer, RawServer } from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

describe('a worker that drains', () => {
  after(async () => {
    // Handles are freed in the turn after their close event.
    await setImmediate();
    await setImmediate();
    const left = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    assert.deepEqual(left, [], 'no socket outlives its test');
  });

  it('obeys a shorter deadline that comes later: replaced first, stopped then', async () => {
    const plane = new DataPlane();
    // It takes the request and never answers.
    const silent = await new RawServer(() => {}).listen();
    plane.apply(snapshotOf({ pools: [{ targets: [silent.at] }] }));
    const client = await RawPeer.connect(plane.port());
    client.send('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n');
    await eventually('the request at its target', () => silent.connections === 1);
    plane.worker.drain(3_600_000, 3_600_000);
    plane.worker.drain(0, 100);
    assert.equal(await plane.exited, 0);
    client.destroy();
    await silent.close();
  });

  it('waits no longer for a connection that has said nothing than for one that waits for a request', async () => {
    const plane = new DataPlane();
    const certificate = await certificateFor('example.com');
    const listeners = [
      listenerConfig({ name: 'plain' }),
      httpsListener(1, {}, { name: 'secure' }),
      listenerConfig({ name: 'passed', protocol: 'tls-passthrough' }),
    ];
    plane.apply(snapshotOf({ listeners, pools: [{ targets: [] }] }), secretsOf([certificate]));
    const clients = await Promise.all(listeners.map(({ name }) => RawPeer.connect(plane.port(name))));
    await eventually('the connections', () => plane.metric('portico_connections_active') === 3);
    plane.worker.drain(0, 3_600_000);
    await eventually('their ends', () => clients.every((client) => client.ended || client.closed), 2000);
    assert.equal(await plane.exited, 0);
    for (const client of clients) client.destroy();
  });
});
