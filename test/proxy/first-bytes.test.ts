// Connections that are told apart by their first bytes: TLS that is passed on unopened, and one port for several protocols.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import tls from 'node:tls';
import type { ListenerConfig, TlsRouteConfig } from '../../src/model/listener-config.ts';
import { protocolOf } from '../../src/proxy/first-bytes/protocol-reader.ts';
import { TlsRoutes } from '../../src/proxy/first-bytes/tls-routes.ts';
import { readHeader } from '../../src/proxy-protocol/read-header.ts';
import { writeLine } from '../../src/proxy-protocol/write-header.ts';
import { type CertificatePair, certificateFor } from '../support/certificates.ts';
import { eventually, RawPeer, type RawServer, Stage, sendApart } from '../support/data-plane.ts';
import { connectionsOf, ESTABLISHED, KEEP_ALIVE_TIMER } from '../support/kernel-connections.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function tlsRoute(hosts: readonly string[], pool: string, alpn: readonly string[] = []): TlsRouteConfig {
  return {
    hosts: hosts.map((text) =>
      text === '*'
        ? { kind: 'any', text }
        : text.startsWith('*.')
          ? { kind: 'wildcard', text, suffix: text.slice(1) }
          : { kind: 'exact', text, host: text },
    ),
    alpn,
    pools: [{ name: pool, weight: 1 }],
  };
}

describe('TLS routes', () => {
  const routes = new TlsRoutes([
    tlsRoute(['*.example.com'], 'wild'),
    tlsRoute(['*.deep.example.com'], 'deep'),
    tlsRoute(['a.example.com'], 'exact-h2', ['h2']),
    tlsRoute(['a.example.com'], 'exact', ['http/1.1', 'h2c']),
    tlsRoute(['*'], 'any', ['acme-tls/1']),
  ]);
  for (const [name, alpn, expected] of [
    ['a.example.com', ['h2', 'http/1.1'], 'exact-h2'],
    ['a.example.com', ['http/1.1'], 'exact'],
    ['a.example.com', [], 'wild'],
    ['b.example.com', [], 'wild'],
    ['x.y.example.com', [], 'wild'],
    ['x.deep.example.com', [], 'deep'],
    ['deep.example.com', [], 'wild'],
    ['example.com', [], null],
    ['notexample.com', [], null],
    ['.example.com', [], null],
    ['', [], null],
    ['', ['acme-tls/1'], 'any'],
    ['other.net', ['acme-tls/1'], 'any'],
  ] as const) {
    it(`${name || 'no name'} offering ${alpn.join(', ') || 'nothing'}: ${expected}`, () => {
      assert.equal(routes.choose(name, alpn, 0.5), expected);
    });
  }

  it('chooses pools in proportion to their weights', () => {
    const pools = [
      { name: 'a', weight: 1 },
      { name: 'none', weight: 0 },
      { name: 'b', weight: 3 },
    ];
    const weighted = new TlsRoutes([{ ...tlsRoute(['*'], ''), pools }]);
    const chosen = [0, 0.24, 0.25, 0.5, 0.999].map((random) => weighted.choose('x', [], random));
    assert.deepEqual(chosen, ['a', 'a', 'b', 'b', 'b']);
  });
});

describe('the first bytes', () => {
  for (const [text, expected] of [
    ['\x16\x03\x01\x02', 'tls'],
    ['\x16\x03', 'tls'],
    ['\x16', null],
    ['\x16\x02', 'default'],
    ['SSH-2.0-OpenSSH', 'ssh'],
    ['SSH-', 'ssh'],
    ['SSH', null],
    ['S', null],
    ['GET /', 'http'],
    ['PRI * HTTP/2.0', 'http'],
    ['M-SEARCH * HTTP', 'http'],
    ['SSHOW /', 'http'],
    ['GET', null],
    ['G', null],
    ['get /', 'default'],
    ['GET\t/', 'default'],
    ['AAAAAAAAAAAAAAAAAAAAA', 'default'],
    ['\0', 'default'],
    ['', null],
  ] as const) {
    it(`${JSON.stringify(text)}: ${expected ?? 'not yet known'}, at every prefix before that not another`, () => {
      const bytes = Buffer.from(text, 'latin1');
      assert.equal(protocolOf(bytes, bytes.length), expected);
      for (let length = 0; length < bytes.length; length += 1) {
        const told = protocolOf(bytes, length);
        assert.ok(told === null || told === expected, `${told} after ${length} bytes`);
      }
    });
  }
});

describe('listeners that read the first bytes', () => {
  const stage = new Stage();
  const secure: tls.Server[] = [];
  let certificate: CertificatePair;
  before(async () => {
    certificate = await certificateFor('a.example.com', 'b.example.com');
  });
  afterEach(async () => {
    await stage.clear();
    for (const server of secure.splice(0)) await new Promise((resolve) => server.close(resolve));
  });
  after(() => stage.end());

  const refused = (reason: string, listener = 'door'): number =>
    stage.plane.metric(`portico_connections_refused_total{listener="${listener}",reason="${reason}"}`);

  /** A TLS server that says its name and what was agreed on; resolves with `address:port`. */
  async function secureServer(name: string, alpn: readonly string[] = []): Promise<string> {
    const server = tls.createServer({ ...certificate, ALPNProtocols: [...alpn] }, (socket) => {
      socket.on('error', () => {});
      socket.end(`${name} ${socket.servername || 'none'} ${socket.alpnProtocol || 'none'}`);
    });
    server.on('tlsClientError', () => {});
    secure.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  }

  function passthrough(over: Partial<ListenerConfig> = {}): ListenerConfig {
    return listenerConfig({
      name: 'door',
      protocol: 'tls-passthrough',
      tlsRoutes: [tlsRoute(['a.example.com'], 'pool-0', ['h2']), tlsRoute(['*.example.com'], 'pool-1')],
      ...over,
    });
  }

  async function passOn(over: Partial<ListenerConfig> = {}): Promise<void> {
    const targets = [await secureServer('first', ['h2']), await secureServer('second', ['http/1.1'])];
    stage.plane.apply(
      snapshotOf({
        listeners: [passthrough(over)],
        pools: targets.map((at) => ({ targets: [at] })),
        routes: [],
      }),
    );
  }

  /** What a real TLS client reads, or the code of its error. */
  async function secureAnswer(
    servername: string,
    alpn: readonly string[],
    listener = 'door',
  ): Promise<string> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: stage.plane.port(listener),
      servername,
      rejectUnauthorized: false,
      ALPNProtocols: [...alpn],
    });
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    return await new Promise((resolve) => {
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.once('close', () => resolve(text));
    });
  }

  it('passes TLS on unopened, by name and offered protocol', async () => {
    await passOn();
    assert.equal(await secureAnswer('a.example.com', ['h2', 'http/1.1']), 'first a.example.com h2');
    assert.equal(await secureAnswer('a.example.com', ['http/1.1']), 'second a.example.com http/1.1');
    assert.equal(await secureAnswer('b.example.com', []), 'second b.example.com none');
  });

  it('answers a name that no route takes with an alert, and counts it', async () => {
    await passOn();
    assert.equal(await secureAnswer('other.net', []), 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
    assert.equal(refused('hello-no-route'), 1);
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
  });

  /** The first flight of a real client. */
  async function helloOf(servername: string): Promise<Buffer> {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const client = tls.connect({ host: '127.0.0.1', port, servername });
    client.on('error', () => {});
    const [socket] = (await once(server, 'connection')) as [net.Socket];
    const [hello] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    client.destroy();
    server.close();
    return hello;
  }

  it('reads a hello that comes byte by byte, or in many small records and packets, and hands on every byte of it', async () => {
    const reached: RawPeer[] = [];
    const target = await stage.backend((peer) => void reached.push(peer));
    stage.plane.apply(
      snapshotOf({
        listeners: [passthrough({ tlsRoutes: [tlsRoute(['a.example.com'], 'pool-0')] })],
        pools: [{ targets: [target.at] }],
        routes: [],
      }),
    );
    const hello = await helloOf('a.example.com');
    const small: Buffer[] = [];
    for (let at = 5; at < hello.length; at += 40) {
      const part = hello.subarray(at, at + 40);
      small.push(Buffer.from([0x16, 3, 1, 0, part.length]), part);
    }
    for (const [index, bytes] of [hello, Buffer.concat(small)].entries()) {
      const peer = await stage.client('door');
      for (let at = 0; at < bytes.length; at += at < 100 ? 1 : 61) {
        peer.socket.write(bytes.subarray(at, at < 100 ? at + 1 : at + 61));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await eventually('the hello', () => reached[index]?.received.length === bytes.length);
      assert.equal(reached[index]!.received, bytes.toString('latin1'));
    }
  });

  it('closes what is no hello, what is cut, broken, or too slow, by reason', async () => {
    await passOn();
    const hello = await helloOf('a.example.com');
    const broken = Buffer.from(hello);
    // The length of the session id: the rest no longer fits.
    broken[43] = 0xff;
    const endless = Buffer.concat(
      Array.from({ length: 5 }, () =>
        Buffer.concat([Buffer.from([0x16, 3, 1, 0x40, 0]), Buffer.alloc(16_384)]),
      ),
    );
    Buffer.from([1, 0, 0xff, 0xff]).copy(endless, 5);
    for (const [reason, bytes] of [
      ['hello-missing', Buffer.from(GET)],
      ['hello-missing', Buffer.from('SSH-2.0-x\r\n')],
      ['hello-malformed', broken],
      ['hello-oversize', endless],
    ] as const) {
      const before = refused(reason);
      const peer = await stage.client('door');
      peer.socket.write(bytes);
      await peer.until(() => peer.ended || peer.closed);
      assert.equal(peer.received, '');
      assert.equal(refused(reason), before + 1, reason);
    }
    const cut = await stage.client('door');
    cut.socket.end(hello.subarray(0, 50));
    await eventually('the count', () => refused('hello-incomplete') === 1);
    const slow = await stage.client('door');
    slow.socket.write(hello.subarray(0, -1));
    await eventually('the connection', () => stage.plane.metric('portico_connections_active') === 1);
    await stage.plane.skip(11_000);
    await slow.until(() => slow.ended || slow.closed);
    assert.equal(refused('hello-timeout'), 1);
    assert.equal(stage.plane.metric('portico_connections_active'), 0);
  });

  it('takes a PROXY header before the hello, and tells a target who came and for which name', async () => {
    const reached: RawPeer[] = [];
    const target = await stage.backend((peer) => void reached.push(peer));
    const listener = passthrough({
      tlsRoutes: [tlsRoute(['*'], 'pool-0')],
      proxyProtocol: { from: ['127.0.0.1'], mode: 'required', timeoutMs: 5000 },
    });
    const proxyProtocol = { version: 2, facts: ['authority'], checksum: false } as const;
    const pools = [{ targets: [target.at], proxyProtocol }];
    stage.plane.apply(snapshotOf({ listeners: [listener], pools, routes: [] }));
    const ends = {
      source: { address: '192.0.2.1', port: 1 },
      destination: { address: '192.0.2.2', port: 2 },
    };
    const hello = await helloOf('a.example.com');
    const peer = await stage.client('door');
    peer.socket.write(Buffer.concat([writeLine(ends), hello]));
    await eventually('the hello', () => reached[0]?.received.endsWith(hello.toString('latin1')) === true);
    const bytes = Buffer.from(reached[0]!.received, 'latin1');
    const reading = readHeader(bytes, bytes.length);
    assert.ok(reading.kind === 'header');
    const { source, destination, authority } = reading.header;
    assert.deepEqual({ source, destination, authority }, { ...ends, authority: 'a.example.com' });
  });

  // One port for several protocols -------------------------------------------------------------------------------------

  interface World {
    readonly ssh: RawServer;
  }

  async function oneDoor(mux: Partial<NonNullable<ListenerConfig['mux']>> = {}): Promise<World> {
    const http = await stage.backend((peer) => {
      let answered = 0;
      peer.socket.on('data', () => {
        for (const heads = peer.received.split('\r\n\r\n').length - 1; answered < heads; answered += 1)
          peer.send(OK);
      });
    });
    const ssh = await stage.backend((peer) => peer.send('SSH-2.0-server\r\n'));
    const passed = await secureServer('passed');
    const door = listenerConfig({
      name: 'door',
      protocol: 'mux',
      mux: { tls: 'tls', http: 'plain', ssh: 'git', default: null, silenceMs: 300, ...mux },
    });
    stage.plane.apply(
      snapshotOf({
        listeners: [
          door,
          listenerConfig({ name: 'plain' }),
          httpsListener(1),
          listenerConfig({ name: 'git', protocol: 'tcp', pool: 'pool-1' }),
          passthrough({ name: 'passed', tlsRoutes: [tlsRoute(['*'], 'pool-2')] }),
        ],
        pools: [{ targets: [http.at] }, { targets: [ssh.at] }, { targets: [passed] }],
      }),
      secretsOf([certificate]),
    );
    // On a slow machine a client would be silent for too long before its first bytes come.
    stage.plane.freeze();
    return { ssh };
  }

  it('tells HTTP, TLS and SSH apart on one port, and counts each where its listener is', async () => {
    const { ssh } = await oneDoor();
    const http = await stage.client('door');
    for (const byte of GET) {
      http.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await http.expect('ok');
    http.send(GET);
    await http.until(() => http.received.split('200 OK').length === 3);
    const git = await stage.client('door');
    git.send('SSH-2.0-client\r\n');
    await git.expect('SSH-2.0-server\r\n');
    await eventually('the client', () => [...ssh.sockets].length === 1);
    const secured = tls.connect({
      host: '127.0.0.1',
      port: stage.plane.port('door'),
      servername: 'a.example.com',
      rejectUnauthorized: false,
    });
    await once(secured, 'secureConnect');
    const peer = new RawPeer(secured);
    stage.clients.push(peer);
    peer.send(GET);
    await peer.expect('ok');
    const active = (listener: string): number =>
      stage.plane.metric(`portico_connections_active{listener="${listener}"`);
    assert.deepEqual(['door', 'plain', 'git', 'tls'].map(active), [0, 1, 1, 1]);
  });

  it('takes HTTP/2 with prior knowledge for HTTP', async () => {
    await oneDoor();
    const peer = await stage.client('door');
    peer.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    // The server's preface: a SETTINGS frame.
    await peer.until(() => peer.received.length > 9 && peer.received[3] === '\x04');
  });

  it('hands TLS on to a listener that does not open it', async () => {
    await oneDoor({ tls: 'passed' });
    assert.equal(await secureAnswer('a.example.com', []), 'passed a.example.com none');
  });

  it('takes a silent client for one that waits for a banner, after the stated time and not before', async () => {
    const { ssh } = await oneDoor({ silenceMs: 5000 });
    const peer = await stage.client('door');
    await eventually('the connection', () => stage.plane.metric('portico_connections_active') === 1);
    await stage.plane.skip(4000);
    assert.equal(ssh.connections, 0);
    await stage.plane.skip(1500);
    await peer.expect('SSH-2.0-server\r\n');
  });

  it('has the kernel ask a client of a tcp listener whether it is there', async () => {
    await oneDoor();
    const git = await stage.client('door');
    git.send('SSH-2.0-test\r\n');
    await git.expect('SSH-2.0-server\r\n');
    const timers = () =>
      connectionsOf('own', stage.plane.port('door'), ESTABLISHED).map(({ timer }) => timer);
    await eventually('a timer that asks', () => timers().includes(KEEP_ALIVE_TIMER));
  });

  it('gives a client that has begun to speak its whole time', async () => {
    await oneDoor();
    const peer = await stage.client('door');
    await sendApart(peer, Buffer.from('GE'));
    await stage.plane.skip(5000);
    peer.send(GET.slice(2));
    await peer.expect('ok');
    const slow = await stage.client('door');
    await sendApart(slow, Buffer.from('GE'));
    await stage.plane.skip(1000);
    await stage.plane.skip(10_000);
    await slow.until(() => slow.ended || slow.closed);
    assert.equal(refused('first-bytes-timeout'), 1);
  });

  it('closes what nothing takes, and leaves it to the default where there is one', async () => {
    await oneDoor();
    const lost = await stage.client('door');
    lost.send('\0nonsense');
    assert.equal(await lost.all(), '');
    assert.equal(refused('first-bytes-unknown'), 1);
    stage.plane.apply(
      snapshotOf({
        version: 2,
        listeners: [
          listenerConfig({
            name: 'door',
            protocol: 'mux',
            mux: { tls: null, http: null, ssh: null, default: 'git', silenceMs: 300 },
          }),
          listenerConfig({ name: 'git', protocol: 'tcp', pool: 'pool-0' }),
        ],
        pools: [{ targets: [stage.servers[1]!.at] }],
        routes: [],
      }),
    );
    for (const text of ['\0nonsense', GET]) {
      const peer = await stage.client('door');
      peer.send(text);
      await peer.expect('SSH-2.0-server\r\n');
    }
  });
});
