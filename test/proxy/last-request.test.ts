// A client that has said that a request is its last: closed with the answer, where it can have nothing more to say.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { certificateFor } from '../support/certificates.ts';
import { answering, eventually, RawPeer, Stage, standsStill, whenAsked } from '../support/data-plane.ts';
import { snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const LAST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const MEGABYTES = 8 * 1024 * 1024;

describe('a client that has said that its request is the last', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  const open = (): number => stage.plane.metric('portico_connections_active');

  async function serve(answer = OK): Promise<void> {
    const server = await stage.backend(answering(answer));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    // Nothing that is waited for comes to its end by the clock.
    stage.plane.freeze();
  }

  for (const [version, request] of [
    ['HTTP/1.1 with Connection: close', LAST],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'],
  ] as const) {
    it(`is not waited for after its answer: ${version}`, async () => {
      await serve();
      const client = await stage.client();
      client.send(request);
      assert.match(await client.all(), /^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nok$/);
      await eventually('the close', () => open() === 0);
      assert.equal(client.error, null);
    });
  }

  it('gets an answer whole that the kernel could not take at once', async () => {
    await serve(`HTTP/1.1 200 OK\r\nContent-Length: ${MEGABYTES}\r\n\r\n${'x'.repeat(MEGABYTES)}`);
    const client = await stage.client();
    client.socket.pause();
    client.send(LAST);
    await standsStill('what has left', () => stage.plane.metric('portico_bytes_sent_total'));
    assert.equal(open(), 1);
    client.socket.resume();
    const answer = await client.all();
    assert.equal(answer.length - answer.indexOf('\r\n\r\n') - 4, MEGABYTES);
    await eventually('the close', () => open() === 0);
  });

  it('is waited for after a body, behind which old clients put a line break', async () => {
    await serve();
    const client = await stage.client();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
    await client.all();
    client.send('\r\n');
    client.socket.end();
    await eventually('the close', () => open() === 0);
    assert.equal(client.error, null);
  });

  it('is waited for when it sends more all the same, so that no reset takes its answer', async () => {
    const asked = Promise.withResolvers<RawPeer>();
    const server = await stage.backend((peer) => whenAsked(peer, () => asked.resolve(peer)));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [server.at] }] }));
    stage.plane.freeze();
    const client = await stage.client();
    client.send(`${LAST}${LAST}`);
    (await asked.promise).send(OK);
    assert.match(await client.all(), /^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nok$/);
    assert.equal(open(), 1);
    client.socket.end();
    await eventually('the close', () => open() === 0);
    assert.equal(client.error, null);
  });

  it('is told over TLS that the answer was all, and not waited for', async () => {
    const server = await stage.backend(answering(OK));
    const secrets = secretsOf([await certificateFor('a')]);
    stage.plane.apply(
      snapshotOf({ listeners: [httpsListener(1)], pools: [{ targets: [server.at] }] }),
      secrets,
    );
    stage.plane.freeze();
    const options: tls.ConnectionOptions & { allowHalfOpen: boolean } = {
      port: stage.plane.port('tls'),
      rejectUnauthorized: false,
      allowHalfOpen: true,
    };
    const socket = tls.connect(options);
    await once(socket, 'secureConnect');
    const client = new RawPeer(socket);
    stage.clients.push(client);
    client.send(LAST);
    await client.until(() => client.ended);
    assert.match(client.received, /^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nok$/);
    await eventually('the close', () => open() === 0);
    assert.equal(client.error, null);
  });
});
