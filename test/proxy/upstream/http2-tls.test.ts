// HTTP/2 to targets over TLS: ALPN and the way back to HTTP/1.1, names, verification, client certificates, sessions.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import tls, { type TLSSocket, type TlsOptions } from 'node:tls';
import type { PoolTls } from '../../../src/model/pool-config.ts';
import { certificateKey, NO_SECRETS, type Secrets } from '../../../src/model/secrets.ts';
import { Authority, type Issued } from '../../support/authority.ts';
import { BlackHole } from '../../support/black-hole.ts';
import { eventually, type RawPeer, Stage } from '../../support/data-plane.ts';
import { freePort } from '../../support/free-port.ts';
import { Http2Client } from '../../support/http2-client.ts';
import { PeerProcess } from '../../support/peer-process.ts';
import { requirePeers } from '../../support/peers.ts';
import { allToFirstPool, type PoolShape, RETRY, snapshotOf } from '../../support/snapshots.ts';

const TLS: PoolTls = {
  verify: true,
  ca: '/ca',
  serverName: 'app.example.com',
  serverNameFromHost: false,
  certificate: null,
};
const PATIENT = {
  connectMs: 60_000,
  responseHeaderMs: 60_000,
  streamIdleMs: 60_000,
  tunnelIdleMs: 60_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
const CLIENT = { kind: 'files' as const, cert: '/client.crt', key: '/client.key', ocsp: null };

type Asked = http2.Http2ServerRequest | http.IncomingMessage;
type Answered = http2.Http2ServerResponse | http.ServerResponse;

describe('http/2 to targets over TLS', () => {
  const stage = new Stage();
  const servers: tls.Server[] = [];
  const sockets = new Set<Socket>();
  const clients: Http2Client[] = [];
  const peers: PeerProcess[] = [];
  const secured: { socket: TLSSocket; resumed: boolean; alpn: string | false | null }[] = [];
  let authority: Authority;
  let pair: Issued;
  let client: Issued;
  let version = 0;

  before(async () => {
    authority = await Authority.create();
    pair = await authority.issue({ names: ['app.example.com', 'other.example.com'] });
    client = await authority.issue({ subject: '/CN=portico' });
  });
  afterEach(async () => {
    for (const one of clients.splice(0)) await one.close();
    await stage.clear();
    for (const socket of sockets) socket.destroy();
    secured.length = 0;
    for (const server of servers.splice(0)) server.close();
    for (const peer of peers.splice(0)) await peer.stop();
  });
  after(async () => {
    await stage.end();
    await authority.close();
  });

  /** Says which version it was asked in, and gives the body back; speaks h2 and HTTP/1.1 as `options` agree by ALPN. */
  async function target(options: TlsOptions = {}): Promise<string> {
    const answer = (request: Asked, response: Answered): void => {
      response.setHeader('x-version', request.httpVersion);
      request.pipe(response as NodeJS.WritableStream);
    };
    const spoken = { h2: http2.createServer(answer), http1: http.createServer(answer) };
    const choice = 'ALPNCallback' in options ? {} : { ALPNProtocols: ['h2', 'http/1.1'] };
    const server = tls.createServer({ cert: pair.cert, key: pair.key, ...choice, ...options }, (socket) => {
      secured.push({ socket, resumed: socket.isSessionReused(), alpn: socket.alpnProtocol });
      spoken[socket.alpnProtocol === 'h2' ? 'h2' : 'http1'].emit('connection', socket);
    });
    servers.push(server);
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    });
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const secrets = (): Secrets => ({
    ...NO_SECRETS,
    files: { '/ca': authority.cert },
    pairs: { [certificateKey(CLIENT)]: { cert: client.cert, key: client.key, staple: null } },
  });

  function apply(at: string, tls: Partial<PoolTls> = {}, more: Partial<PoolShape> = {}): void {
    version += 1;
    const pool = { targets: [at], protocol: 'http2' as const, tls: { ...TLS, ...tls }, ...more };
    stage.plane.apply(snapshotOf({ version, pools: [pool], routes: allToFirstPool(RETRY) }), secrets());
  }

  /** The version that the target was asked in, or the code of a failure. */
  async function ask(host = 'a', body = 'hello', peer?: RawPeer): Promise<string> {
    const asking = peer ?? (await stage.client());
    asking.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await asking.until(() => asking.received.includes(body) || /details=/.test(asking.received), 20_000);
    const answer = asking.take();
    return /details="([\w-]+)"/.exec(answer)?.[1] ?? /x-version: ([\d.]+)/.exec(answer)![1]!;
  }

  it('leaves connections that were made with another certificate, also where they are all that there may be', async () => {
    const at = await target();
    const connections = { perTarget: 1, pending: 0 };
    apply(at, {}, { connections });
    assert.equal(await ask(), '2.0');
    apply(at, { certificate: CLIENT }, { connections });
    assert.equal(await ask(), '2.0');
    assert.equal(secured.length, 2);
    await eventually('the end of the first', () => sockets.size === 1);
  });

  it('agrees on h2 by ALPN, asks for the name, and carries all requests on one connection', async () => {
    apply(await target());
    assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => ask())), Array(20).fill('2.0'));
    assert.equal(secured.length, 1);
    assert.equal(secured[0]!.alpn, 'h2');
    assert.equal(secured[0]!.socket.servername, 'app.example.com');
  });

  it('keeps connections for different names apart where the name is that of the request', async () => {
    apply(await target(), { serverName: null, serverNameFromHost: true });
    assert.equal(await ask('app.example.com'), '2.0');
    assert.equal(await ask('other.example.com'), '2.0');
    assert.equal(await ask('app.example.com'), '2.0');
    assert.deepEqual(
      secured.map(({ socket }) => socket.servername),
      ['app.example.com', 'other.example.com'],
    );
  });

  it('answers certificate-invalid for another name and for an unknown authority, and counts it', async () => {
    apply(await target(), { serverName: 'wrong.example.com' });
    assert.equal(await ask(), 'certificate-invalid');
    apply(await target(), { ca: null });
    assert.equal(await ask(), 'certificate-invalid');
    const failures = 'portico_upstream_connect_failures_total{pool="pool-0",reason="certificate-invalid"}';
    assert.ok(stage.plane.metric(failures) >= 2);
    apply(await target(), { ca: null, verify: false });
    assert.equal(await ask(), '2.0');
  });

  it('shows its certificate to a target that asks for one, and hears where it has none', async () => {
    const at = await target({ requestCert: true, rejectUnauthorized: true, ca: authority.cert });
    apply(at, { certificate: CLIENT });
    assert.equal(await ask(), '2.0');
    assert.equal(secured[0]!.socket.getPeerCertificate().subject.CN, 'portico');
    const strict = await target({ requestCert: true, ca: authority.cert, maxVersion: 'TLSv1.2' });
    apply(strict);
    assert.equal(await ask(), 'tls-handshake-failed');
  });

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`resumes the session with the next connection (${maxVersion})`, async () => {
      const at = await target({ maxVersion });
      apply(at);
      assert.equal(await ask(), '2.0');
      secured[0]!.socket.destroy();
      await eventually('the end', () => stage.plane.metric('portico_upstream_connections_idle') === 0);
      assert.equal(await ask(), '2.0');
      assert.deepEqual(
        secured.map(({ resumed }) => resumed),
        [false, true],
      );
    });
  }

  for (const [what, options] of [
    ['chooses it', { ALPNProtocols: ['http/1.1'] }],
    ['knows no ALPN', { ALPNProtocols: [] }],
  ] as const) {
    it(`speaks HTTP/1.1 to a target that ${what}, whatever has come at once`, async () => {
      apply(await target({ ...options }));
      assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => ask())), Array(20).fill('1.1'));
      const large = await stage.client();
      const body = 'x'.repeat(3_000_000);
      large.send(
        `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      const answer = await large.all(20_000);
      assert.equal(answer.slice(answer.indexOf('\r\n\r\n')).match(/x/g)?.length, body.length);
      const before = secured.length;
      for (let count = 0; count < 5; count += 1) {
        // Idempotent: it may take a connection that has been silent for a while.
        const asking = await stage.client();
        asking.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await asking.expect('x-version: 1.1');
      }
      assert.equal(secured.length, before, 'its connections are used again');
      assert.ok(secured.every(({ alpn }) => alpn !== 'h2'));
      assert.equal(stage.plane.metric('portico_upstream_connect_failures_total'), 0);
    });
  }

  for (const proxyProtocol of [null, { version: 2 as const, facts: [], checksum: false }]) {
    const how = proxyProtocol === null ? 'without' : 'with';
    it(`opens nothing for a request that has what it waited for twice, ${how} PROXY headers`, async () => {
      const behind = Number((await target({ ALPNProtocols: ['http/1.1'] })).split(':')[1]);
      const held: RawPeer[] = [];
      const pass = ({ socket, received }: RawPeer): void => {
        const inner = net.connect(behind, '127.0.0.1');
        inner.on('error', () => {});
        const hello = Buffer.from(received, 'latin1');
        // What is in the clear is for nobody here.
        inner.write(hello.subarray(hello.indexOf(Buffer.from([0x16, 3, 1]))));
        socket.pipe(inner).pipe(socket);
      };
      const gate = await stage.backend((peer) => {
        held.push(peer);
      });
      const hole = await BlackHole.open();
      try {
        stage.plane.freeze();
        version += 1;
        const pool = { targets: [hole.at, gate.at], protocol: 'http2' as const, tls: TLS, timeouts: PATIENT };
        const snapshot = snapshotOf({
          version,
          pools: [{ ...pool, proxyProtocol }],
          routes: allToFirstPool(RETRY),
        });
        // The silent one is dialled first.
        const pools = snapshot.pools.map((one) => ({
          ...one,
          groups: one.groups.map((group, priority) => ({ ...group, priority })),
        }));
        stage.plane.apply({ ...snapshot, pools }, secrets());
        const asked = await stage.client();
        asked.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
        await eventually('the request', () => stage.plane.metric('portico_requests_active') === 1);
        for (let dials = 0; dials < 12; dials += 1) await stage.plane.skip(100);
        await eventually('a hello', () => held[0]?.received.includes('\x16\x03\x01') === true);
        const before = held.length;
        for (const peer of held) pass(peer);
        await asked.expect('hello');
        await stage.plane.skip(0);
        assert.equal(held.length, before);
        assert.equal(stage.plane.metric('portico_upstream_connections{pool="pool-0",state="active"}'), 0);
      } finally {
        await hole.close();
      }
    });
  }

  it('asks for h2 again a minute later: the target may speak it by now', async () => {
    let choice = 'http/1.1';
    const at = await target({
      ALPNCallback: ({ protocols }) => protocols.find((name) => name === choice) ?? 'http/1.1',
    });
    apply(at);
    assert.equal(await ask(), '1.1');
    choice = 'h2';
    assert.equal(await ask(), '1.1');
    await stage.plane.skip(61_000);
    assert.equal(await ask(), '2.0');
  });

  it('clients of HTTP/2 do not see which it is', async () => {
    for (const ALPNProtocols of [['h2'], ['http/1.1']]) {
      // Thirty handshakes, both ends of which this process does.
      apply(await target({ ALPNProtocols }), {}, { timeouts: PATIENT });
      const one = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
      clients.push(one);
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          one.send({ ':path': '/', ':method': 'POST' }, `body ${index}`),
        ),
      );
      for (const [index, { body, headers }] of answers.entries()) {
        assert.equal(body, `body ${index}`);
        assert.equal(headers['x-version'], ALPNProtocols[0] === 'h2' ? '2.0' : '1.1');
      }
    }
  });

  it('agrees with nginx and HAProxy on what they offer', async () => {
    const programs = requirePeers(['nginx', 'haproxy']);
    const files = { 'cert.pem': pair.cert, 'key.pem': pair.key, 'pair.pem': pair.cert + pair.key };
    for (const [protocols, version] of [
      ['ssl http2', '2.0'],
      ['ssl', '1.1'],
    ] as const) {
      const port = await freePort();
      const configuration = `
daemon off; master_process off; pid FOLDER/nginx.pid; error_log stderr;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi; uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
  server { listen 127.0.0.1:${port} ${protocols}; ssl_certificate FOLDER/cert.pem; ssl_certificate_key FOLDER/key.pem;
    add_header x-version $server_protocol; location / { return 200 "hello $ssl_server_name"; } }
}`;
      peers.push(
        await PeerProcess.start({
          program: programs.nginx,
          port,
          files: { ...files, 'nginx.conf': configuration },
          args: ['-p', 'FOLDER', '-c', 'FOLDER/nginx.conf'],
        }),
      );
      assert.equal(await saidBy(port), `HTTP/${version} hello app.example.com`);
    }
    for (const [alpn, version] of [
      ['h2,http/1.1', '2.0'],
      ['http/1.1', '1.1'],
    ] as const) {
      const port = await freePort();
      const configuration = `global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\nfrontend f\n  bind 127.0.0.1:${port} ssl crt FOLDER/pair.pem alpn ${alpn}\n  http-request return status 200 content-type text/plain hdr x-version "HTTP/%[req.ver]" lf-string "hello %[ssl_fc_sni]"\n`;
      peers.push(
        await PeerProcess.start({
          program: programs.haproxy,
          port,
          files: { ...files, 'h.cfg': configuration },
          args: ['-db', '-f', 'FOLDER/h.cfg'],
        }),
      );
      assert.equal(await saidBy(port), `HTTP/${version} hello app.example.com`);
    }
  });

  async function saidBy(port: number): Promise<string> {
    apply(`127.0.0.1:${port}`);
    const asking = await stage.client();
    asking.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const answer = await asking.all(20_000);
    return `${/x-version: (.*)\r/.exec(answer)?.[1]} ${answer.slice(answer.indexOf('\r\n\r\n') + 4)}`;
  }
});
