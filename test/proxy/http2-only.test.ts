// Listeners that speak HTTP/2 and nothing else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { FrameType } from '../../src/http2/frames.ts';
import { certificateFor } from '../support/certificates.ts';
import { answering, Stage } from '../support/data-plane.ts';
import { Http2Client } from '../support/http2-client.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const ONLY = { http2: { ...listenerConfig().http2, only: true } };

describe('a listener of HTTP/2 only', () => {
  const stage = new Stage();
  const clients: Http2Client[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await stage.clear();
  });
  after(() => stage.end());

  async function serve(): Promise<void> {
    const server = await stage.backend(answering(OK));
    stage.plane.apply(
      snapshotOf({
        listeners: [listenerConfig(ONLY), httpsListener(1, {}, ONLY)],
        pools: [{ targets: [server.at] }],
      }),
      secretsOf([await certificateFor('localhost')]),
    );
  }

  function connect(url: string): Http2Client {
    const client = new Http2Client(url, { rejectUnauthorized: false });
    clients.push(client);
    return client;
  }

  it('serves it by prior knowledge and by ALPN', async () => {
    await serve();
    for (const url of [
      `http://127.0.0.1:${stage.plane.port()}`,
      `https://localhost:${stage.plane.port('tls')}`,
    ]) {
      assert.equal((await connect(url).get('/')).status, 200);
    }
  });

  it('answers HTTP/1.1 with a GOAWAY and closes', async () => {
    await serve();
    const client = await stage.client();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const bytes = Buffer.from(await client.all(), 'latin1');
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) types.push(bytes[at + 3]!);
    assert.equal(types.at(-1), FrameType.Goaway);
    assert.equal(
      stage.plane.metric('portico_http2_connection_failures_total{listener="web",reason="preface-invalid"}'),
      1,
    );
  });

  it('refuses TLS clients that offer HTTP/1.1 alone', async () => {
    await serve();
    const socket = tls.connect({
      host: '127.0.0.1',
      port: stage.plane.port('tls'),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  });
});
