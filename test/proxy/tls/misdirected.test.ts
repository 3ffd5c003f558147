// Host and SNI that do not agree: which requests a TLS connection takes, and 421 for the others.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { type CertificatePair, certificateFor } from '../../support/certificates.ts';
import { answering, RawPeer, Stage } from '../../support/data-plane.ts';
import { snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, secretsOf } from '../../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('requests for another host than that of the connection', () => {
  const stage = new Stage();
  let pairs: readonly CertificatePair[];

  before(async () => {
    pairs = [
      await certificateFor('default.example.net'),
      await certificateFor('a.example.com', 'b.example.com'),
      await certificateFor('*.wild.example.com'),
    ];
  });
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function connect(servername?: string): Promise<RawPeer> {
    const server = await stage.backend(answering(OK));
    stage.plane.apply(
      snapshotOf({ listeners: [httpsListener(pairs.length)], pools: [{ targets: [server.at] }] }),
      secretsOf(pairs),
    );
    const socket = tls.connect({
      host: '127.0.0.1',
      port: stage.plane.port('tls'),
      rejectUnauthorized: false,
      ...(servername === undefined ? {} : { servername }),
    });
    await once(socket, 'secureConnect');
    const peer = new RawPeer(socket);
    stage.clients.push(peer);
    return peer;
  }

  async function statusOf(peer: RawPeer, host: string): Promise<number> {
    peer.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await peer.until(() => /ok$|another host\.\n$/.test(peer.received));
    return Number(/^HTTP\/1\.1 (\d+)/.exec(peer.take())![1]);
  }

  const cases: readonly (readonly [string | undefined, readonly (readonly [string, number])[]])[] = [
    [
      'a.example.com',
      [
        ['a.example.com', 200],
        ['A.Example.COM:8443', 200],
        ['a.example.com.', 200],
        ['b.example.com', 200],
        ['c.example.com', 421],
        ['x.wild.example.com', 421],
        ['default.example.net', 421],
        ['127.0.0.1', 421],
        ['a.example.com', 200],
      ],
    ],
    [
      'x.wild.example.com',
      [
        ['x.wild.example.com', 200],
        ['y.wild.example.com', 200],
        ['x.y.wild.example.com', 421],
      ],
    ],
    [
      'other.example.org',
      [
        ['other.example.org', 200],
        ['default.example.net', 200],
        ['another.example.org', 421],
      ],
    ],
    [
      undefined,
      [
        ['a.example.com', 200],
        ['127.0.0.1', 200],
      ],
    ],
  ];
  for (const [servername, requests] of cases) {
    it(`answers by the rule where the client asked for ${servername ?? 'no name'}, on one connection`, async () => {
      const peer = await connect(servername);
      for (const [host, status] of requests) assert.equal(await statusOf(peer, host), status, host);
    });
  }
});
