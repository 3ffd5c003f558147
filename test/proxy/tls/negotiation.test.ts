// What openssl, a client that is not ours, gets from an https listener: versions, ciphers, certificates, staples, alerts.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import tls from 'node:tls';
import type { ListenerTls } from '../../../src/model/listener-config.ts';
import { Authority, type Issued } from '../../support/authority.ts';
import { answering, eventually, Stage } from '../../support/data-plane.ts';
import { openssl } from '../../support/openssl.ts';
import { requirePeers, runPeerSoon } from '../../support/peers.ts';
import { snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, SECURE_SOCKETS, secretsOf } from '../../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const UNRECOGNIZED_NAME = 112;
const HANDSHAKE_FAILURE = 40;
const PROTOCOL_VERSION = 70;
const NO_APPLICATION_PROTOCOL = 120;

for (const [kind, tcp] of SECURE_SOCKETS) {
  describe(`TLS negotiation on ${kind}`, () => {
    const stage = new Stage({ tcp });
    let authority: Authority;
    let pairs: (Issued & { staple?: string })[];

    before(async () => {
      authority = await Authority.create();
      pairs = [
        await authority.issue({ names: ['default.example.net'], subject: '/CN=default' }),
        await authority.issue({ names: ['both.example.com'], subject: '/CN=ecdsa' }),
        await authority.issue({ names: ['both.example.com'], subject: '/CN=rsa', key: 'rsa' }),
        await authority.issue({ names: ['rsa.example.com'], subject: '/CN=rsa alone', key: 'rsa' }),
      ];
    });
    afterEach(() => stage.clear());
    after(async () => {
      await stage.end();
      await authority.close();
    });

    async function serve(over: Partial<ListenerTls> = {}): Promise<number> {
      const server = await stage.backend(answering(OK));
      stage.plane.apply(
        snapshotOf({ listeners: [httpsListener(pairs.length, over)], pools: [{ targets: [server.at] }] }),
        secretsOf(pairs),
      );
      return stage.plane.port('tls');
    }

    const refusals = (reason: string): number =>
      stage.plane.metric(`portico_connections_refused_total{listener="tls",reason="${reason}"}`);

    it('serves RSA and ECDSA for one name, each client what it can verify, in TLS 1.2 and 1.3', async () => {
      const port = await serve();
      const subject = async (...parameters: string[]): Promise<string> =>
        (await openssl(port, ['-servername', 'both.example.com', ...parameters])).subject;
      assert.equal(await subject(), 'CN = ecdsa', 'ECDSA first');
      assert.equal(await subject('-sigalgs', 'RSA-PSS+SHA256'), 'CN = rsa');
      assert.equal(await subject('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'), 'CN = ecdsa');
      assert.equal(await subject('-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'), 'CN = rsa');
      const alone = await openssl(port, ['-servername', 'rsa.example.com', '-sigalgs', 'ECDSA+SHA256']);
      assert.equal(alone.alert, HANDSHAKE_FAILURE, 'no other name’s certificate stands in');
      assert.equal((await openssl(port, ['-noservername'])).subject, 'CN = default');
    });

    it('speaks TLS 1.2 and 1.3 in its own cipher order, and nothing older or weaker', async () => {
      const port = await serve();
      const name = ['-servername', 'both.example.com'];
      const old = await openssl(port, [...name, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']);
      assert.equal(old.alert, PROTOCOL_VERSION);
      const twisted = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';
      const order = await openssl(port, [...name, '-tls1_2', '-cipher', twisted]);
      assert.equal(order.cipher, 'ECDHE-ECDSA-AES128-GCM-SHA256');
      for (const weak of ['AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA256', 'DHE-RSA-AES128-GCM-SHA256']) {
        assert.equal(
          (await openssl(port, [...name, '-tls1_2', '-cipher', weak])).alert,
          HANDSHAKE_FAILURE,
          weak,
        );
      }
      const chacha = ['-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'];
      assert.equal((await openssl(port, [...name, ...chacha])).cipher, 'TLS_CHACHA20_POLY1305_SHA256');
      assert.equal((await openssl(port, name)).protocol, 'TLSv1.3');
      assert.ok(refusals('tls-handshake') >= 4);
    });

    it('agrees on the post-quantum group, and on the classic ones with clients that have no other', async () => {
      const port = await serve();
      for (const group of ['X25519MLKEM768', 'X25519', 'P-256', 'P-384']) {
        const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ecdhCurve: group });
        await once(socket, 'secureConnect');
        socket.destroy();
      }
      const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ecdhCurve: 'P-521' });
      const [error] = (await once(socket, 'error')) as [Error];
      assert.match(error.message, /handshake failure/);
    });

    it('speaks TLS 1.3 alone with the profile modern', async () => {
      const port = await serve({ profile: 'modern' });
      assert.equal((await openssl(port, ['-tls1_2'])).alert, PROTOCOL_VERSION);
      assert.equal((await openssl(port, [])).protocol, 'TLSv1.3');
    });

    it('refuses unknown names with unrecognized_name, and clients without a name, when it is told to', async () => {
      const port = await serve({ unknownNames: 'refuse' });
      for (const version of ['-tls1_2', '-tls1_3']) {
        const unknown = await openssl(port, ['-servername', 'other.example.org', version]);
        assert.equal(unknown.alert, UNRECOGNIZED_NAME);
        assert.equal(unknown.subject, '');
        assert.equal((await openssl(port, ['-noservername', version])).alert, HANDSHAKE_FAILURE);
      }
      assert.equal((await openssl(port, ['-servername', 'both.example.com'])).subject, 'CN = ecdsa');
      await eventually(
        'the counts',
        () => refusals('tls-unknown-name') === 2 && refusals('tls-no-certificate') === 2,
      );
      await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
    });

    it('refuses clients whose ALPN protocols it does not speak', async () => {
      const port = await serve();
      assert.equal((await openssl(port, ['-alpn', 'spdy/3'])).alert, NO_APPLICATION_PROTOCOL);
      assert.match((await openssl(port, ['-alpn', 'spdy/3,http/1.1'])).output, /ALPN protocol: http\/1\.1/);
    });

    it('is believed by curl, which verifies name and authority', async () => {
      const port = await serve();
      const { curl } = requirePeers(['curl']);
      const ask = (host: string): Promise<string> =>
        runPeerSoon(curl, [
          ...[
            '-sS',
            '--max-time',
            '10',
            '--cacert',
            authority.path('ca.pem'),
            '--resolve',
            `${host}:${port}:127.0.0.1`,
          ],
          ...['-w', ' %{http_version} %{ssl_verify_result}', `https://${host}:${port}/`],
        ]);
      assert.equal(await ask('both.example.com'), 'ok 2 0');
      await assert.rejects(ask('other.example.org'), /SSL/);
    });

    it('does not renegotiate', async () => {
      const port = await serve();
      const seen = await openssl(
        port,
        ['-servername', 'both.example.com', '-tls1_2'],
        'R\n',
        /no renegotiation|closed/,
      );
      assert.match(seen.output, /no renegotiation/);
    });

    it('staples the response of the certificate that the client gets', async () => {
      const before = pairs;
      pairs = await Promise.all(pairs.map(async (pair) => ({ ...pair, staple: '' })));
      for (const pair of pairs) pair.staple = (await authority.ocsp(pair)).toString('base64');
      const port = await serve();
      pairs = before;
      const serial = async (...parameters: string[]): Promise<readonly [string, string]> => {
        const { output } = await openssl(port, ['-status', ...parameters]);
        assert.match(output, /OCSP Response Status: successful/);
        assert.match(output, /Cert Status: good/);
        const stapled = /Serial Number: (\w+)/.exec(output)![1]!;
        const subject = /^subject=CN = (.*)$/m.exec(output)![1]!;
        return [subject, stapled];
      };
      assert.deepEqual(await serial('-noservername'), ['default', '1000']);
      const both = ['-servername', 'both.example.com'];
      assert.deepEqual(await serial(...both), ['ecdsa', '1001']);
      assert.deepEqual(await serial(...both, '-sigalgs', 'RSA-PSS+SHA256'), ['rsa', '1002']);
      assert.deepEqual(await serial(...both, '-tls1_2'), ['ecdsa', '1001']);
      assert.deepEqual(await serial(...both, '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'), [
        'rsa',
        '1002',
      ]);
      const chacha = 'ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256';
      assert.deepEqual(await serial(...both, '-tls1_2', '-cipher', chacha), ['rsa', '1002']);
    });
  });
}
