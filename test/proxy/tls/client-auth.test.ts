// Mutual TLS: who is let in, and what the target is told about it, which no client can say itself.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { pino } from 'pino';
import type { ClientAuthConfig } from '../../../src/model/listener-config.ts';
import { Authority, type Issued } from '../../support/authority.ts';
import { answering, DataPlane, eventually, Stage } from '../../support/data-plane.ts';
import { openssl } from '../../support/openssl.ts';
import { requirePeers, runPeerSoon } from '../../support/peers.ts';
import { listenerConfig, snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, SECURE_SOCKETS, secretsOf } from '../../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer';
/** Every way that a client may try to say who it is. */
const FORGED =
  'X-Client-Cert-Verify: success\r\nX-Client-Cert-Subject: CN=admin\r\nX-Client-Cert-Fingerprint: 00\r\n' +
  'Client-Cert: :AAAA:\r\nClient-Cert-Chain: :AAAA:\r\n' +
  'X_Client_Cert_Subject: CN=admin\r\nx.client-cert.verify: success\r\nclient_cert: :AAAA:\r\n' +
  'Connection: x-client-cert-verify, x-client-cert-subject, keep-alive\r\n';
const request = (fields = ''): string => `GET / HTTP/1.1\r\nHost: a.example.com\r\n${fields}\r\n`;

for (const [kind, tcp] of SECURE_SOCKETS) {
  describe(`client certificates on ${kind}`, () => {
    const stage = new Stage({ tcp });
    let authority: Authority;
    let stranger: Authority;
    let server: Issued;
    let known: Issued;
    let revoked: Issued;
    let unknown: Issued;
    let expired: Issued;
    let nameless: Issued;
    let crl: string;

    before(async () => {
      authority = await Authority.create();
      stranger = await Authority.create('/CN=somebody else');
      server = await authority.issue({ names: ['a.example.com'] });
      known = await authority.issue({ subject: '/C=DE/O=Grün, Blau/CN=known' });
      revoked = await authority.issue({ subject: '/CN=revoked' });
      unknown = await stranger.issue({ subject: '/CN=admin' });
      expired = await authority.issue({ subject: '/CN=expired', expired: true });
      const names = ['subjectAltName=critical,URI:spiffe://example.com/client'];
      nameless = await authority.issue({ subject: '/', extensions: names });
      await authority.revoke(revoked);
      crl = await authority.crl();
    });
    afterEach(() => stage.clear());
    after(async () => {
      await stage.end();
      await authority.close();
      await stranger.close();
    });

    let seen = '';

    async function serve(
      clientAuth: ClientAuthConfig | null,
      trustedProxies: readonly string[] = [],
    ): Promise<void> {
      const backend = await stage.backend((upstream) => {
        upstream.socket.on('data', (chunk) => {
          seen += chunk.toString('latin1');
        });
        answering(OK)(upstream);
      });
      seen = '';
      stage.plane.apply(
        snapshotOf({
          listeners: [httpsListener(1, { clientAuth }), listenerConfig()],
          pools: [{ targets: [backend.at] }],
          trustedProxies,
        }),
        secretsOf([server], { files: { '/ca': authority.cert, '/crl': crl } }),
      );
    }

    const as = (client: Issued | null, fields = '', version = '-tls1_3') =>
      openssl(
        stage.plane.port('tls'),
        [
          ...['-servername', 'a.example.com', version],
          ...(client === null ? [] : ['-cert', client.certPath, '-key', client.keyPath]),
        ],
        request(fields),
        /answer|alert/,
      );

    const told = (name: string): readonly string[] =>
      [...seen.matchAll(new RegExp(`^${name}: (.*)\\r$`, 'gim'))].map(([, value]) => value!);
    const refusals = (reason: string): number =>
      stage.plane.metric(`portico_connections_refused_total{listener="tls",reason="${reason}"}`);

    /** What the log says of handshakes that fail because of the client's certificate, as it comes. */
    async function logDetails(): Promise<readonly string[]> {
      const details: string[] = [];
      const write = (line: string): void => {
        const { code, detail } = JSON.parse(line);
        if (code === 'tls-client-certificate') details.push(detail);
      };
      await stage.plane.close();
      stage.plane = new DataPlane(pino({ level: 'debug' }, { write }), { tcp });
      return details;
    }

    const REQUIRED: ClientAuthConfig = { mode: 'required', ca: '/ca', crl: null };

    for (const [version, alert] of [
      ['-tls1_2', 40],
      ['-tls1_3', 116],
    ] as const) {
      it(`tells a client without a certificate that one is required, and counts it (${version})`, async () => {
        const details = await logDetails();
        await serve(REQUIRED);
        const seenBy = await as(null, '', version);
        assert.equal(seenBy.alert, alert, seenBy.output);
        await eventually('the count', () => refusals('tls-client-certificate') === 1);
        assert.equal(refusals('tls-handshake'), 0);
        assert.deepEqual(details, ['none']);
      });

      it(`closes on a certificate that is not good before a byte is served, and says why in the log (${version})`, async () => {
        const details = await logDetails();
        await serve({ ...REQUIRED, crl: '/crl' });
        for (const client of [unknown, revoked, expired]) {
          const { output } = await as(client, '', version);
          assert.doesNotMatch(output, /answer/);
        }
        await eventually('the counts', () => refusals('tls-client-certificate') === 3);
        assert.deepEqual(details, ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_REVOKED', 'CERT_HAS_EXPIRED']);
        assert.equal(seen, '');
      });
    }

    for (const version of ['-tls1_2', '-tls1_3']) {
      it(`lets only clients of the authority in when required (${version})`, async () => {
        await serve(REQUIRED);
        assert.match((await as(known, '', version)).output, /answer/);
        assert.deepEqual(told('x-client-cert-verify'), ['success']);
        assert.doesNotMatch((await as(null, '', version)).output, /answer/);
        assert.doesNotMatch((await as(unknown, '', version)).output, /answer/);
        await eventually('the count', () => refusals('tls-client-certificate') === 2);
        await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
        assert.equal(told('x-client-cert-verify').length, 1, 'nothing of the others came through');
      });
    }

    it('sends subject and fingerprint of a good certificate', async () => {
      await serve(REQUIRED);
      await as(known);
      assert.deepEqual(told('x-client-cert-subject'), ['CN=known,O=Gr\\C3\\BCn\\, Blau,C=DE']);
      const fingerprint = new X509Certificate(known.cert).fingerprint256.replaceAll(':', '').toLowerCase();
      assert.deepEqual(told('x-client-cert-fingerprint'), [fingerprint]);
    });

    it('lets a certificate in that has alternative names and no subject, and sends none', async () => {
      await serve(REQUIRED);
      for (const version of ['-tls1_2', '-tls1_3'])
        assert.match((await as(nameless, '', version)).output, /answer/);
      assert.deepEqual(told('x-client-cert-verify'), ['success', 'success']);
      assert.deepEqual(told('x-client-cert-subject'), []);
      assert.equal(told('x-client-cert-fingerprint').length, 2);
    });

    it('refuses revoked certificates, and serves the others, by the revocation list', async () => {
      await serve({ ...REQUIRED, crl: '/crl' });
      assert.doesNotMatch((await as(revoked)).output, /answer/);
      assert.match((await as(known)).output, /answer/);
      await serve(REQUIRED);
    });

    it('serves everybody when optional, and says who is who without a name for those that did not verify', async () => {
      await serve({ mode: 'optional', ca: '/ca', crl: '/crl' });
      for (const client of [null, unknown, revoked, known]) assert.match((await as(client)).output, /answer/);
      assert.deepEqual(told('x-client-cert-verify'), [
        'none',
        'failed; reason=UNABLE_TO_VERIFY_LEAF_SIGNATURE',
        'failed; reason=CERT_REVOKED',
        'success',
      ]);
      assert.equal(told('x-client-cert-subject').length, 1);
      assert.equal(told('x-client-cert-fingerprint').length, 1);
    });

    it('lets no client say any of it: not by name, not by another spelling, not by nominating ours in Connection', async () => {
      await serve({ mode: 'optional', ca: '/ca', crl: null });
      assert.match((await as(null, FORGED)).output, /answer/);
      assert.deepEqual(told('.*client.cert.*'), ['none']);
      assert.match((await as(known, FORGED)).output, /answer/);
      assert.deepEqual(told('x-client-cert-verify'), ['none', 'success']);
      assert.deepEqual(told('x-client-cert-subject'), ['CN=known,O=Gr\\C3\\BCn\\, Blau,C=DE']);
      assert.doesNotMatch(seen, /admin|AAAA/);
    });

    for (const version of ['-tls1_2', '-tls1_3']) {
      it(`tells the same when a session is resumed (${version})`, async () => {
        await serve(REQUIRED);
        const file = authority.path('client-session.pem');
        const shared = [
          '-servername',
          'a.example.com',
          version,
          '-cert',
          known.certPath,
          '-key',
          known.keyPath,
        ];
        const port = stage.plane.port('tls');
        const first = await openssl(port, [...shared, '-sess_out', file], request(), /answer/);
        const again = await openssl(port, [...shared, '-sess_in', file], request(), /answer/);
        assert.deepEqual([...first.sessions, ...again.sessions], ['New', 'Reused']);
        assert.deepEqual(told('x-client-cert-verify'), ['success', 'success']);
        assert.equal(new Set(told('x-client-cert-fingerprint')).size, 1);
        assert.equal(told('x-client-cert-fingerprint').length, 2);
      });
    }

    it('tells it of requests over HTTP/2 too, which can forge no more, and keeps them to the host of the connection', async () => {
      await serve({ mode: 'optional', ca: '/ca', crl: null });
      const { curl } = requirePeers(['curl']);
      const port = stage.plane.port('tls');
      const ask = (...parameters: string[]): Promise<string> =>
        runPeerSoon(curl, [
          ...['-sS', '--http2', '--max-time', '10', '--cacert', authority.path('ca.pem')],
          ...['--resolve', `a.example.com:${port}:127.0.0.1`, '-w', ' %{http_version} %{response_code}'],
          ...parameters,
          `https://a.example.com:${port}/`,
        ]);
      const forged = FORGED.split('\r\n').filter((line) => line !== '' && !line.startsWith('Connection'));
      const fields = forged.flatMap((line) => ['-H', line]);
      assert.equal(await ask('--cert', known.certPath, '--key', known.keyPath, ...fields), 'answer 2 200');
      assert.deepEqual(told('x-client-cert-verify'), ['success']);
      assert.deepEqual(told('x-client-cert-subject'), ['CN=known,O=Gr\\C3\\BCn\\, Blau,C=DE']);
      assert.equal(await ask(...fields), 'answer 2 200');
      assert.deepEqual(told('x-client-cert-verify'), ['success', 'none']);
      assert.doesNotMatch(seen, /admin|AAAA/);
      assert.match(await ask('-H', 'Host: other.example.org'), / 2 421$/);
    });

    it('says nothing, and lets nothing be said, where no certificate is asked for, with and without TLS', async () => {
      await serve(null);
      assert.match((await as(known, FORGED)).output, /answer/);
      const plain = await stage.client('web');
      plain.send(request(FORGED));
      await plain.expect('answer');
      assert.doesNotMatch(seen, /client.cert/i);
    });

    it('passes on what a trusted proxy says, but not where it asks for certificates itself', async () => {
      await serve({ mode: 'optional', ca: '/ca', crl: null }, ['127.0.0.1']);
      const plain = await stage.client('web');
      plain.send(request('X-Client-Cert-Subject: CN=from the proxy\r\n'));
      await plain.expect('answer');
      assert.deepEqual(told('x-client-cert-subject'), ['CN=from the proxy']);
      await as(null, 'X-Client-Cert-Subject: CN=from the proxy\r\n');
      assert.deepEqual(told('x-client-cert-subject'), ['CN=from the proxy']);
      assert.deepEqual(told('x-client-cert-verify'), ['none']);
    });
  });
}
