// TLS to targets: who is believed, what is asked for and shown, sessions and connections reused, and how failures are told.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import tls, { type TLSSocket, type TlsOptions } from 'node:tls';
import { pino } from 'pino';
import type { PoolTls } from '../../../src/model/pool-config.ts';
import { certificateKey, NO_SECRETS, type Secrets } from '../../../src/model/secrets.ts';
import { Authority, type Issued } from '../../support/authority.ts';
import { type CertificatePair, certificateFor } from '../../support/certificates.ts';
import { answering, DataPlane, eventually, RawPeer, Stage } from '../../support/data-plane.ts';
import { freePort } from '../../support/free-port.ts';
import { PeerProcess } from '../../support/peer-process.ts';
import { requirePeers } from '../../support/peers.ts';
import { listenerConfig, type PoolShape, route, rule, snapshotOf } from '../../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const TLS: PoolTls = {
  verify: true,
  ca: '/ca',
  serverName: null,
  serverNameFromHost: false,
  certificate: null,
};
const CLIENT = { kind: 'files' as const, cert: '/client.crt', key: '/client.key', ocsp: null };

describe('TLS to targets', () => {
  const stage = new Stage();
  let authority: Authority;
  let stranger: Authority;
  let byAddress: Issued;
  let named: Issued;
  let client: Issued;
  let version = 0;
  const servers: tls.Server[] = [];
  const accepted: TLSSocket[] = [];

  before(async () => {
    authority = await Authority.create();
    stranger = await Authority.create('/CN=somebody else');
    byAddress = await authority.issue({ names: ['IP:127.0.0.1'] });
    named = await authority.issue({ names: ['app.example.com', '*.site.example.com'] });
    client = await authority.issue({ subject: '/CN=portico' });
  });
  afterEach(async () => {
    await stage.clear();
    for (const socket of accepted.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) {
      server.close();
      await once(server, 'close');
    }
  });
  after(async () => {
    await stage.end();
    await authority.close();
    await stranger.close();
  });

  /** A TLS target; every connection is kept. */
  async function target(options: TlsOptions): Promise<string> {
    const server = tls.createServer(options, (socket) => {
      accepted.push(socket);
      answering(OK)(new RawPeer(socket));
    });
    server.on('tlsClientError', () => {});
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** A target that answers every handshake with this alert (RFC 8446, section 6). */
  async function alerting(alert: number): Promise<string> {
    const server = await stage.backend(({ socket }) => {
      socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, alert])));
    });
    return server.at;
  }

  const secrets = (over: Partial<Secrets> = {}): Secrets => ({
    ...NO_SECRETS,
    files: { '/ca': authority.cert },
    pairs: { [certificateKey(CLIENT)]: { cert: client.cert, key: client.key, staple: null } },
    ...over,
  });

  function apply(shape: PoolShape, given = secrets(), host: string | null = null): void {
    version += 1;
    const filters = host === null ? [] : [{ kind: 'rewrite' as const, host, path: null }];
    const action = { kind: 'pools' as const, pools: [{ pool: 0, weight: 1 }] };
    stage.plane.apply(
      snapshotOf({
        version,
        pools: [shape],
        routes: [
          route([{ ...rule(action, { filters }), retry: { attempts: 0, statuses: [], budget: 0.2 } }]),
        ],
      }),
      given,
    );
  }

  async function ask(host = 'a', peer?: RawPeer): Promise<string> {
    const client = peer ?? (await stage.client());
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(() => /\r\n\r\n[^\r\n]+\n?$/.test(client.received));
    const answer = client.take();
    return /details="([\w-]+)"/.exec(answer)?.[1] ?? /^HTTP\/1\.1 (\d+)/.exec(answer)![1]!;
  }

  it('verifies the certificate for the address by default, and for the name that is set', async () => {
    const at = await target({ cert: byAddress.cert, key: byAddress.key });
    apply({ targets: [at], tls: TLS });
    assert.equal(await ask(), '200');
    assert.equal(accepted[0]!.servername, false, 'an address is no name');
    assert.equal(accepted[0]!.alpnProtocol, false, 'the target speaks no ALPN');
    const other = await target({ cert: named.cert, key: named.key, ALPNProtocols: ['h2', 'http/1.1'] });
    apply({ targets: [other], tls: { ...TLS, serverName: 'app.example.com' } });
    assert.equal(await ask(), '200');
    assert.equal(accepted[1]!.servername, 'app.example.com');
    assert.equal(accepted[1]!.alpnProtocol, 'http/1.1');
  });

  it('answers certificate-invalid for another name, an unknown authority, and an expired or self-made certificate', async () => {
    const forged = await stranger.issue({ names: ['IP:127.0.0.1'] });
    const expired = await authority.issue({ names: ['IP:127.0.0.1'], expired: true });
    const selfMade = await certificateFor('app.example.com');
    const lines: string[] = [];
    await stage.plane.close();
    stage.plane = new DataPlane(pino({}, { write: (line: string) => lines.push(line) }));
    const cases: readonly (readonly [CertificatePair, Partial<PoolTls>, RegExp])[] = [
      [named, {}, /IP: 127\.0\.0\.1 is not in the cert's list/],
      [byAddress, { serverName: 'app.example.com' }, /Host: app\.example\.com\. is not/],
      [forged, {}, /unable to verify the first certificate/],
      [byAddress, { ca: null }, /unable to verify the first certificate/],
      [expired, {}, /certificate has expired/],
      [selfMade, { serverName: 'app.example.com' }, /self-signed certificate/],
    ];
    for (const [pair, over, reason] of cases) {
      apply({ targets: [await target({ cert: pair.cert, key: pair.key })], tls: { ...TLS, ...over } });
      assert.equal(await ask(), 'certificate-invalid');
      const said = lines.splice(0).find((line) => line.includes('"code":"certificate-invalid"'));
      assert.match((JSON.parse(said ?? '{}') as { detail: string }).detail, reason);
      // It is said again, but not with every connection.
      await stage.plane.skip(11_000);
    }
    assert.equal(accepted.filter((socket) => !socket.destroyed).length, 0, 'nothing was sent to them');
    apply({
      targets: [await target({ cert: forged.cert, key: forged.key })],
      tls: { ...TLS, verify: false },
    });
    assert.equal(await ask(), '200');
    const failures = 'portico_upstream_connect_failures_total{pool="pool-0",reason="certificate-invalid"}';
    // A slow dial gets company, which fails too.
    assert.ok(stage.plane.metric(failures) >= cases.length);
  });

  it('answers tls-handshake-failed where the target speaks none, hangs up, or has no version in common', async () => {
    const plain = await stage.backend(answering(OK));
    apply({ targets: [plain.at], tls: TLS });
    assert.equal(await ask(), 'connect-timeout', 'it waits for a request that never comes');
    const rude = await stage.backend(
      (upstream) => void upstream.socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    apply({ targets: [rude.at], tls: TLS });
    assert.equal(await ask(), 'tls-handshake-failed');
    const gone = await stage.backend((upstream) => void upstream.socket.end());
    apply({ targets: [gone.at], tls: TLS });
    assert.equal(await ask(), 'tls-handshake-failed');
    const old = await target({
      ...byAddress,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    apply({ targets: [old], tls: TLS });
    assert.equal(await ask(), 'tls-handshake-failed');
  });

  it('shows its certificate to targets that ask for one', async () => {
    const at = await target({
      cert: byAddress.cert,
      key: byAddress.key,
      ca: authority.cert,
      requestCert: true,
    });
    apply({ targets: [at], tls: TLS });
    assert.notEqual(await ask(), '200');
    apply({ targets: [at], tls: { ...TLS, certificate: CLIENT } });
    assert.equal(await ask(), '200');
    assert.equal(accepted.at(-1)!.getPeerCertificate().subject.CN, 'portico');
  });

  it('nginx and HAProxy see the name, the client certificate and a resumed session, and refuse without', async () => {
    const programs = requirePeers(['nginx', 'haproxy']);
    const files = {
      'cert.pem': named.cert,
      'key.pem': named.key,
      'pair.pem': named.cert + named.key,
      'ca.pem': authority.cert,
    };
    const nginxPort = await freePort();
    const haproxyPort = await freePort();
    const peers = [
      await PeerProcess.start({
        program: programs.nginx,
        port: nginxPort,
        args: ['-p', 'FOLDER', '-c', 'FOLDER/nginx.conf'],
        files: {
          ...files,
          'nginx.conf': `
daemon off; master_process off; pid FOLDER/nginx.pid; error_log stderr;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi; uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
  keepalive_timeout 0;
  server { listen 127.0.0.1:${nginxPort} ssl; ssl_certificate FOLDER/cert.pem; ssl_certificate_key FOLDER/key.pem;
    ssl_client_certificate FOLDER/ca.pem; ssl_verify_client on;
    location / { return 200 "$ssl_server_name $ssl_client_s_dn $ssl_session_reused"; } }
}`,
        },
      }),
      await PeerProcess.start({
        program: programs.haproxy,
        port: haproxyPort,
        args: ['-db', '-f', 'FOLDER/h.cfg'],
        files: {
          ...files,
          'h.cfg': `global\n  maxconn 100\ndefaults\n  mode http\n  option httpclose\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\nfrontend f\n  bind 127.0.0.1:${haproxyPort} ssl crt FOLDER/pair.pem ca-file FOLDER/ca.pem verify required\n  http-request return status 200 content-type text/plain lf-string "%[ssl_fc_sni] CN=%[ssl_c_s_dn(cn)] %[ssl_fc_is_resumed]"\n`,
        },
      }),
    ];
    try {
      for (const [port, first, next] of [
        [nginxPort, '.', 'r'],
        [haproxyPort, '0', '1'],
      ] as const) {
        const shape = { targets: [`127.0.0.1:${port}`] };
        const tls = { ...TLS, serverName: 'app.example.com' };
        apply({ ...shape, tls: { ...tls, certificate: CLIENT } });
        const whole = async (): Promise<string> => {
          const asking = await stage.client();
          asking.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
          return await asking.all(20_000);
        };
        for (const resumed of [first, next]) {
          const answer = await whole();
          assert.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4), `app.example.com CN=portico ${resumed}`);
        }
        apply({ ...shape, tls });
        // nginx answers 400 itself, HAProxy ends the handshake.
        assert.match(await whole(), /^HTTP\/1\.1 (400|502) /);
      }
    } finally {
      for (const peer of peers) await peer.stop();
    }
  });

  it('keeps connections for the next request, and resumes the session on a new one', async () => {
    const at = await target({ cert: byAddress.cert, key: byAddress.key });
    apply({ targets: [at], tls: TLS });
    const peer = await stage.client();
    for (let round = 0; round < 3; round += 1) assert.equal(await ask('a', peer), '200');
    assert.equal(accepted.length, 1);
    assert.equal(accepted[0]!.isSessionReused(), false);
    accepted[0]!.end();
    await eventually(
      'the end of the idle connection',
      () => stage.plane.metric('portico_upstream_connections') === 0,
    );
    assert.equal(await ask('a', peer), '200');
    assert.equal(accepted.length, 2);
    assert.equal(accepted[1]!.isSessionReused(), true);
  });

  it('uses no connection that was made with other certificates or authorities than now', async () => {
    const at = await target({ cert: byAddress.cert, key: byAddress.key });
    apply({ targets: [at], tls: TLS });
    assert.equal(await ask(), '200');
    apply({ targets: [at], tls: TLS }, secrets({ files: { '/ca': authority.cert + stranger.cert } }));
    assert.equal(await ask(), '200');
    assert.equal(accepted.length, 2);
    assert.equal(accepted[1]!.isSessionReused(), false);
    apply({ targets: [at], tls: TLS }, secrets({ files: { '/ca': stranger.cert } }));
    assert.equal(await ask(), 'certificate-invalid');
  });

  it('asks for the host of each request when told to, and reuses connections of the same name only', async () => {
    const at = await target({ cert: named.cert, key: named.key });
    apply({ targets: [at], tls: { ...TLS, serverNameFromHost: true } });
    for (const host of [
      'a.site.example.com',
      'B.site.example.com:8443',
      'a.site.example.com',
      'b.site.example.com.',
    ]) {
      assert.equal(await ask(host), '200', host);
    }
    assert.deepEqual(
      accepted.map(({ servername }) => servername),
      ['a.site.example.com', 'b.site.example.com'],
    );
    assert.equal(await ask('other.example.org'), 'certificate-invalid');
    assert.equal(await ask('127.0.0.1'), 'certificate-invalid', 'no name: the address counts');
    apply({ targets: [at], tls: { ...TLS, serverNameFromHost: true } }, secrets(), 'app.example.com:80');
    assert.equal(await ask('other.example.org'), '200', 'the host as it is sent');
  });

  for (const [how, serve] of [
    ['their certificate does not name', () => target({ cert: named.cert, key: named.key })],
    ['they refuse', () => alerting(112)],
  ] as const)
    it(`does not hold a host against targets that ${how}, where the client has chosen it`, async () => {
      const targets = [await serve(), await serve()];
      const ejection = { connectFailures: 2, gatewayErrors: 0, baseMs: 5000, maxMs: 5000, maxShare: 0.5 };
      apply({ targets, tls: { ...TLS, serverNameFromHost: true }, ejection });
      for (let round = 0; round < 12; round += 1) assert.notEqual(await ask('other.example.org'), '200');
      assert.equal(stage.plane.metric('portico_ejections_total'), 0);
      apply({ targets, tls: { ...TLS, serverName: 'other.example.org' }, ejection });
      for (let round = 0; round < 12; round += 1) assert.notEqual(await ask(), '200');
      assert.equal(stage.plane.metric('portico_ejections_total'), 1, 'a name that is configured');
    });

  it('carries large bodies both ways, and tcp connections', async () => {
    const size = 3 * 1024 * 1024;
    const server = tls.createServer({ cert: byAddress.cert, key: byAddress.key }, (socket) => {
      accepted.push(socket);
      let received = 0;
      socket.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received < size) return;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        socket.write(Buffer.alloc(size, 'z'));
        received = Number.NEGATIVE_INFINITY;
      });
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    apply({ targets: [at], tls: TLS });
    const peer = await stage.client();
    peer.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    peer.socket.write(Buffer.alloc(size, 'y'));
    await peer.until(() => peer.received.endsWith('z') && peer.received.length > size, 20_000);

    version += 1;
    const echo = tls.createServer({ cert: byAddress.cert, key: byAddress.key }, (socket) => {
      accepted.push(socket);
      socket.pipe(socket);
    });
    servers.push(echo);
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    stage.plane.apply(
      snapshotOf({
        version,
        listeners: [listenerConfig({ name: 'tcp', protocol: 'tcp', pool: 'pool-0' })],
        pools: [{ targets: [`127.0.0.1:${(echo.address() as AddressInfo).port}`], tls: TLS }],
        routes: [],
      }),
      secrets(),
    );
    const raw = await stage.client('tcp');
    raw.send('through TLS');
    await raw.expect('through TLS');
  });
});
