// PROXY headers, TLS that is passed on and SSH probes beside the real thing: HAProxy, nginx, curl, openssl and sshd.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import type { LookupFunction } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { createProber } from '../../src/control/health/probes.ts';
import type { ListenerConfig } from '../../src/model/listener-config.ts';
import type { PoolTls, ProxyProtocolOut } from '../../src/model/pool-config.ts';
import { type CertificatePair, certificateFor } from '../support/certificates.ts';
import { answering, eventually, RawPeer, Stage } from '../support/data-plane.ts';
import { freePort } from '../support/free-port.ts';
import { PeerProcess } from '../support/peer-process.ts';
import { requirePeers, runPeer } from '../support/peers.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const CLIENT = '127.0.0.77';
const GET = 'GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n';
const POOL_TLS: PoolTls = {
  verify: true,
  ca: '/ca',
  serverName: 'a.example.com',
  serverNameFromHost: false,
  certificate: null,
};
const OUT: readonly ProxyProtocolOut[] = [
  { version: 1, facts: [], checksum: false },
  { version: 2, facts: [], checksum: false },
  { version: 2, facts: ['authority', 'alpn', 'unique-id', 'tls'], checksum: true },
];

describe('beside real peers', () => {
  const stage = new Stage();
  const peers: PeerProcess[] = [];
  const programs = requirePeers(['haproxy', 'nginx', 'sshd', 'ssh-keygen', 'curl']);
  let certificate: CertificatePair;
  before(async () => {
    certificate = await certificateFor('a.example.com', 'b.example.com');
  });
  afterEach(async () => {
    await stage.clear();
    for (const peer of peers.splice(0)) await peer.stop();
  });
  after(() => stage.end());

  async function start(
    program: string,
    port: number,
    files: Readonly<Record<string, string>>,
    args: readonly string[],
  ): Promise<PeerProcess> {
    const peer = await PeerProcess.start({ program, port, files, args });
    peers.push(peer);
    return peer;
  }

  async function haproxy(rest: (port: number) => string, mode: 'http' | 'tcp'): Promise<number> {
    const port = await freePort();
    const head = `global\n  maxconn 100\ndefaults\n  mode ${mode}\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n`;
    const files = { 'h.cfg': head + rest(port), 'pair.pem': certificate.cert + certificate.key };
    await start(programs.haproxy, port, files, ['-db', '-f', 'FOLDER/h.cfg']);
    return port;
  }

  async function nginx(server: (port: number) => string): Promise<number> {
    const port = await freePort();
    const configuration = `
daemon off; master_process off; pid FOLDER/nginx.pid; error_log stderr;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi; uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
  ${server(port)}
}`;
    const files = { 'nginx.conf': configuration, 'cert.pem': certificate.cert, 'key.pem': certificate.key };
    await start(programs.nginx, port, files, ['-p', 'FOLDER', '-c', 'FOLDER/nginx.conf']);
    return port;
  }

  for (const [name, options] of [
    ['send-proxy', 'send-proxy'],
    ['send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c'],
  ] as const) {
    it(`HAProxy with ${name} in front: the client of HAProxy is the client`, async () => {
      let seen = '';
      const target = await stage.backend((peer) => {
        peer.socket.on('data', (chunk) => {
          seen += chunk.toString('latin1');
        });
        answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')(peer);
      });
      const listener = listenerConfig({
        proxyProtocol: { from: ['127.0.0.1'], mode: 'required', timeoutMs: 5000 },
      });
      stage.plane.apply(snapshotOf({ listeners: [listener], pools: [{ targets: [target.at] }] }));
      const portico = stage.plane.port();
      const port = await haproxy(
        (own) => `listen front\n  bind 127.0.0.1:${own}\n  server portico 127.0.0.1:${portico} ${options}\n`,
        'tcp',
      );
      const answer = runCurl(['--interface', CLIENT, `http://127.0.0.1:${port}/`]);
      assert.equal(await answer, 'ok');
      assert.match(seen, new RegExp(`X-Forwarded-For: ${CLIENT}\r\n`));
    });
  }

  async function runCurl(parameters: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(programs.curl, ['-sS', '--max-time', '20', ...parameters]);
    return stdout;
  }

  /** What a target says of a client that comes through Portico from another address. */
  async function throughPortico(
    port: number,
    out: ProxyProtocolOut,
    protocol: 'http' | 'tcp',
  ): Promise<{ readonly answer: string; readonly client: RawPeer }> {
    const over: Partial<ListenerConfig> = protocol === 'tcp' ? { protocol, pool: 'pool-0' } : {};
    stage.plane.apply(
      snapshotOf({
        listeners: [listenerConfig(over)],
        pools: [{ targets: [`127.0.0.1:${port}`], proxyProtocol: out }],
        ...(protocol === 'tcp' ? { routes: [] } : {}),
      }),
    );
    const client = await stage.client('web', CLIENT);
    client.send(GET);
    return { answer: await client.all(20_000), client };
  }

  for (const out of OUT) {
    const what = `version ${out.version}${out.checksum ? ' with facts and a checksum' : ''}`;
    for (const protocol of ['tcp', 'http'] as const) {
      it(`${protocol} to HAProxy with accept-proxy, ${what}: it sees the client`, async () => {
        const port = await haproxy(
          (own) =>
            `frontend f\n  bind 127.0.0.1:${own} accept-proxy\n  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] [%[fc_pp_unique_id]]"\n`,
          'http',
        );
        const { answer, client } = await throughPortico(port, out, protocol);
        const { localPort } = client.socket;
        assert.match(answer, new RegExp(`${CLIENT} ${localPort} `));
        if (out.facts.length > 0) assert.match(answer, /\[[\da-f]{8}-[^\]]+\]/);
      });

      it(`${protocol} to nginx with proxy_protocol, ${what}: it sees the client`, async () => {
        const port = await nginx(
          (own) =>
            `server { listen 127.0.0.1:${own} proxy_protocol; location / { return 200 "$proxy_protocol_addr $proxy_protocol_port"; } }`,
        );
        const { answer, client } = await throughPortico(port, out, protocol);
        assert.match(answer, new RegExp(`${CLIENT} ${client.socket.localPort}`));
      });
    }
  }

  for (const out of OUT) {
    const what = `version ${out.version}${out.checksum ? ' with facts and a checksum' : ''}`;
    for (const downstream of ['tcp', 'http', 'https'] as const) {
      it(`${downstream} to HAProxy with accept-proxy and ssl, ${what}: the header comes before TLS`, async () => {
        const port = await haproxy(
          (own) =>
            `frontend f\n  bind 127.0.0.1:${own} accept-proxy ssl crt FOLDER/pair.pem alpn http/1.1\n  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] [%[fc_pp_unique_id]] [%[fc_pp_authority]] %[ssl_fc_sni] %[ssl_fc_is_resumed]"\n`,
          'http',
        );
        await sees(port, out, downstream, (answer, localPort) => {
          assert.match(answer, new RegExp(`${CLIENT} ${localPort} `));
          assert.match(answer, / a\.example\.com [01]$/, 'and TLS names the server');
          if (out.facts.length === 0) return assert.match(answer, /\[\] \[\]/);
          assert.match(answer, /\[[\da-f]{8}-[^\]]+\]/);
          if (downstream === 'https') assert.match(answer, /\[b\.example\.com\]/);
        });
      });

      it(`${downstream} to nginx with ssl and proxy_protocol, ${what}: the header comes before TLS`, async () => {
        const port = await nginx(
          (own) =>
            `server { listen 127.0.0.1:${own} ssl proxy_protocol; ssl_certificate FOLDER/cert.pem; ssl_certificate_key FOLDER/key.pem; location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $ssl_server_name"; } }`,
        );
        // nginx 1.22 reads no header of more than 107 bytes.
        const short = { ...out, facts: out.facts.filter((fact) => fact === 'unique-id') };
        await sees(port, short, downstream, (answer, localPort) => {
          assert.match(answer, new RegExp(`${CLIENT} ${localPort} a\\.example\\.com`));
        });
      });
    }
  }

  /** Asks twice over TLS that the pool speaks: what a target says of a client, and from which port that came. */
  async function sees(
    port: number,
    out: ProxyProtocolOut,
    downstream: 'tcp' | 'http' | 'https',
    look: (answer: string, localPort: number) => void,
  ): Promise<void> {
    const config =
      downstream === 'https'
        ? httpsListener(1, {}, { name: 'web' })
        : listenerConfig(downstream === 'tcp' ? { protocol: 'tcp', pool: 'pool-0' } : {});
    stage.plane.apply(
      snapshotOf({
        listeners: [config],
        pools: [{ targets: [`127.0.0.1:${port}`], proxyProtocol: out, tls: POOL_TLS }],
        ...(downstream === 'tcp' ? { routes: [] } : {}),
      }),
      secretsOf([certificate], { files: { '/ca': certificate.cert } }),
    );
    for (let count = 0; count < 2; count += 1) {
      const client = await stage.client('web', CLIENT);
      const peer = downstream === 'https' ? await throughTls(client) : client;
      peer.send(GET.replace('a.example', downstream === 'https' ? 'b.example' : 'a.example'));
      const answer = await peer.all(20_000);
      look(answer.slice(answer.indexOf('\r\n\r\n') + 4), client.socket.localPort!);
    }
  }

  async function throughTls({ socket }: RawPeer): Promise<RawPeer> {
    socket.removeAllListeners('data');
    const secure = tls.connect({
      socket,
      servername: 'b.example.com',
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    await once(secure, 'secureConnect');
    return new RawPeer(secure);
  }

  it('probes of pools with PROXY headers and TLS pass at HAProxy and nginx', async () => {
    const port = await nginx(
      (own) =>
        `server { listen 127.0.0.1:${own} ssl proxy_protocol; ssl_certificate FOLDER/cert.pem; ssl_certificate_key FOLDER/key.pem; location / { return 200 "ok"; } }`,
    );
    const accepting = await haproxy(
      (own) =>
        `frontend f\n  bind 127.0.0.1:${own} accept-proxy ssl crt FOLDER/pair.pem\n  http-request return status 200\n`,
      'http',
    );
    for (const version of [1, 2] as const) {
      for (const at of [port, accepting]) assert.equal(await probe('http', at, version, POOL_TLS), null);
    }
    assert.notEqual(await probe('http', port, null, POOL_TLS), null, 'without a header it is refused');
  });

  it('probes of pools with PROXY headers pass at HAProxy and nginx, and say nothing of a client', async () => {
    const port = await nginx(
      (own) => `server { listen 127.0.0.1:${own} proxy_protocol; location / { return 200 "ok"; } }`,
    );
    const accepting = await haproxy(
      (own) => `frontend f\n  bind 127.0.0.1:${own} accept-proxy\n  http-request return status 200\n`,
      'http',
    );
    for (const version of [1, 2] as const) {
      for (const at of [port, accepting]) {
        const said = (): string => peers.map((peer) => peer.said).join('\n');
        assert.equal(await probe('http', at, version), null, `version ${version}: ${said()}`);
      }
    }
    assert.notEqual(await probe('http', port, null), null, 'without a header it is refused');
  });

  async function probe(
    kind: 'http' | 'ssh',
    port: number,
    proxyProtocol: 1 | 2 | null,
    poolTls: PoolTls | null = null,
  ): Promise<string | null> {
    const prober = createProber({
      lookup: dns.lookup as LookupFunction,
      clock: {
        now: Date.now,
        after: (ms, task) => {
          const timer = setTimeout(task, ms);
          return () => clearTimeout(timer);
        },
      },
      monotonic: () => performance.now(),
      tlsOptions: () => ({ ca: certificate.cert, servername: 'a.example.com' }),
    });
    const host = '127.0.0.1';
    const target =
      kind === 'ssh'
        ? ({ kind, host, port, proxyProtocol } as const)
        : ({
            kind,
            host,
            port,
            path: '/',
            hostHeader: null,
            statuses: [[200, 200]],
            proxyProtocol,
            tls: poolTls,
          } as const);
    let failure: string | null = 'nothing';
    await prober(target, 10_000, new AbortController().signal, (result) => {
      failure = result.failure;
    });
    return failure;
  }

  it('curl and openssl reach nginx through TLS that Portico does not open', async () => {
    const tlsServer = (port: number, name: string): string =>
      `server { listen 127.0.0.1:${port} ssl http2; ssl_certificate FOLDER/cert.pem; ssl_certificate_key FOLDER/key.pem; location / { return 200 "${name} $ssl_server_name $server_protocol"; } }`;
    const first = await nginx((port) => tlsServer(port, 'first'));
    const second = await nginx((port) => tlsServer(port, 'second'));
    const route = (host: string, pool: string) => ({
      hosts: [{ kind: 'exact', text: host, host } as const],
      alpn: [],
      pools: [{ name: pool, weight: 1 }],
    });
    const listener = listenerConfig({
      protocol: 'tls-passthrough',
      tlsRoutes: [route('a.example.com', 'pool-0'), route('b.example.com', 'pool-1')],
    });
    stage.plane.apply(
      snapshotOf({
        listeners: [listener],
        pools: [{ targets: [`127.0.0.1:${first}`] }, { targets: [`127.0.0.1:${second}`] }],
        routes: [],
      }),
    );
    const port = stage.plane.port();
    const ask = (name: string): Promise<string> =>
      runCurl(['-k', '--resolve', `${name}:${port}:127.0.0.1`, `https://${name}:${port}/`]);
    assert.equal(await ask('a.example.com'), 'first a.example.com HTTP/2.0');
    assert.equal(await ask('b.example.com'), 'second b.example.com HTTP/2.0');
    await assert.rejects(ask('c.example.com'), /unrecognized name/i);
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      `openssl s_client -connect 127.0.0.1:${port} -servername b.example.com -alpn h2 </dev/null`,
    ]);
    assert.match(stdout, /ALPN protocol: h2/);
  });

  it('sshd logs no complaint about a probe', async () => {
    const port = await freePort();
    const folder = await import('node:fs/promises').then(({ mkdtemp }) => mkdtemp('/tmp/portico-sshd-'));
    runPeer(programs['ssh-keygen'], ['-q', '-t', 'ed25519', '-N', '', '-f', `${folder}/host-key`]);
    // sshd wants its directory for privilege separation, which Debian makes when the service starts.
    runPeer('mkdir', ['-p', '/run/sshd']);
    const configuration = `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${folder}/host-key\nPidFile none\nUsePAM no\nLogLevel VERBOSE\n`;
    const sshd = await start(programs.sshd, port, { conf: configuration }, ['-D', '-e', '-f', 'FOLDER/conf']);
    try {
      // The check that it accepts was a bare connect: what that left in the log is not the probe's.
      await eventually('the log of the check', () => /closed|reset|identification/i.test(sshd.said));
      const before = sshd.said.length;
      for (let count = 0; count < 3; count += 1) assert.equal(await probe('ssh', port, null), null);
      const closed = (): number => sshd.said.slice(before).match(/Connection (closed|reset)/g)?.length ?? 0;
      await eventually('the ends of the probes', () => closed() >= 3);
      assert.doesNotMatch(
        sshd.said.slice(before),
        /error|invalid|bad|did not receive|kex_exchange|disconnect/i,
      );
    } finally {
      runPeer('rm', ['-r', folder]);
    }
  });
});
