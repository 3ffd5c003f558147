// PROXY headers at both ends of the data plane: whom a listener believes, what becomes of the client, what a target is told.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import tls from 'node:tls';
import type { ListenerConfig, ProxyProtocolIn } from '../../src/model/listener-config.ts';
import type { ProxyProtocolOut } from '../../src/model/pool-config.ts';
import { NO_FACTS, type ProxyHeader } from '../../src/proxy-protocol/header.ts';
import { readHeader } from '../../src/proxy-protocol/read-header.ts';
import { writeBinary, writeLine } from '../../src/proxy-protocol/write-header.ts';
import { type CertificatePair, certificateFor } from '../support/certificates.ts';
import { eventually, RawPeer, Stage } from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, NO_TLS, secretsOf } from '../support/tls.ts';

const ENDS = {
  source: { address: '192.0.2.1', port: 4000 },
  destination: { address: '198.51.100.7', port: 443 },
};
const LINE = writeLine(ENDS);
const BINARY = writeBinary(ENDS, { ...NO_FACTS, authority: 'told.example', uniqueId: 'id-1' }, true);
const GET = 'GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n';
const FROM_US: ProxyProtocolIn = { from: ['127.0.0.1/32'], mode: 'required', timeoutMs: 5000 };
const VERSION_2: ProxyProtocolOut = {
  version: 2,
  facts: ['authority', 'alpn', 'unique-id', 'tls'],
  checksum: true,
};
const PROTOCOLS = ['http', 'https', 'tcp'] as const;
type Protocol = (typeof PROTOCOLS)[number];

/** Answers each request head; what has come stays to be looked at. */
function answerAll(peer: RawPeer): void {
  let answered = 0;
  peer.socket.on('data', () => {
    for (const heads = peer.received.split('\r\n\r\n').length - 1; answered < heads; answered += 1) {
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    }
  });
}

describe('PROXY headers', () => {
  const stage = new Stage();
  let certificate: CertificatePair;
  before(async () => {
    certificate = await certificateFor('a.example.com');
  });
  afterEach(() => stage.clear());
  after(() => stage.end());

  /** A listener of this kind over one target, whose connections are collected. */
  async function serve(
    protocol: Protocol,
    listener: Partial<ListenerConfig> = {},
    out: ProxyProtocolOut | null = null,
    more: { readonly trustedProxies?: readonly string[]; readonly accessLogPath?: string } = {},
  ): Promise<RawPeer[]> {
    const reached: RawPeer[] = [];
    const server = await stage.backend((peer) => {
      reached.push(peer);
      if (protocol === 'tcp') peer.send('hello');
      else answerAll(peer);
    });
    const over = {
      name: 'web',
      proxyProtocol: FROM_US,
      pool: protocol === 'tcp' ? 'pool-0' : null,
      ...listener,
    };
    const config = protocol === 'https' ? httpsListener(1, {}, over) : listenerConfig({ protocol, ...over });
    const snapshot = snapshotOf({
      listeners: [config],
      pools: [{ targets: [server.at], proxyProtocol: out }],
      ...(protocol === 'tcp' ? { routes: [] } : {}),
      ...more,
    });
    stage.plane.apply(snapshot, protocol === 'https' ? secretsOf([certificate]) : undefined);
    return reached;
  }

  const refused = (reason: string): number =>
    stage.plane.metric(`portico_connections_refused_total{listener="web",reason="${reason}"}`);

  /** Sends the header in pieces that arrive one by one, then goes on over the connection as the protocol wants. */
  async function speak(
    protocol: Protocol,
    pieces: readonly Buffer[],
    localAddress?: string,
    together = false,
  ): Promise<RawPeer> {
    const raw = await stage.client('web', localAddress);
    if (together) {
      raw.socket.cork();
      setImmediate(() => raw.socket.uncork());
    }
    for (const piece of pieces) {
      raw.socket.write(piece);
      if (!together) await new Promise((resolve) => setImmediate(resolve));
    }
    if (protocol !== 'https') {
      raw.send(GET);
      return raw;
    }
    raw.socket.removeAllListeners('data');
    const socket = tls.connect({
      socket: raw.socket,
      servername: 'a.example.com',
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    const peer = new RawPeer(socket);
    peer.send(GET);
    return peer;
  }

  const each = (header: Buffer): readonly Buffer[] => [...header].map((byte) => Buffer.from([byte]));

  for (const protocol of PROTOCOLS) {
    for (const [name, header] of [
      ['version 1', LINE],
      ['version 2', BINARY],
    ] as const) {
      for (const [how, pieces] of [
        ['whole', [header]],
        ['byte by byte', each(header)],
        ['together with what follows', [header]],
      ] as const) {
        it(`${protocol}: ${name}, ${how}, names the client and leaves the rest to the protocol`, async () => {
          const reached = await serve(protocol);
          await (await speak(protocol, pieces, undefined, how === 'together with what follows')).expect(
            'hello',
          );
          await eventually('the request', () => reached[0]?.received.includes('GET / HTTP/1.1') === true);
          const { received } = reached[0]!;
          assert.ok(received.startsWith('GET / HTTP/1.1\r\n'), 'nothing of the header reaches the target');
          if (protocol !== 'tcp') assert.match(received, /X-Forwarded-For: 192\.0\.2\.1\r\n/);
        });
      }
    }

    for (const [what, header] of [
      ['LOCAL', writeBinary(null, NO_FACTS, false)],
      ['UNKNOWN', writeLine(null)],
    ] as const) {
      it(`${protocol}: ${what} leaves the connection's own end for the client`, async () => {
        const reached = await serve(protocol);
        await (await speak(protocol, [header])).expect('hello');
        if (protocol !== 'tcp') assert.match(reached[0]!.received, /X-Forwarded-For: 127\.0\.0\.1\r\n/);
      });
    }

    for (const [reason, bytes] of [
      ['proxy-missing', Buffer.from(GET)],
      ['proxy-malformed', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n')],
      ['proxy-oversize', Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff', 'latin1')],
      ['proxy-checksum', Buffer.from(BINARY.toString('latin1').replace('told', 'sold'), 'latin1')],
    ] as const) {
      it(`${protocol}: closes a connection that begins with ${reason.slice(6)} bytes, and counts it`, async () => {
        const reached = await serve(protocol);
        const peer = await stage.client();
        peer.socket.write(bytes);
        assert.equal(await peer.all(), '');
        assert.equal(refused(reason), 1);
        assert.equal(reached.length, 0);
        assert.equal(stage.plane.metric('portico_connections_active'), 0);
      });
    }

    it(`${protocol}: gives a header its own time, and no more`, async () => {
      await serve(protocol);
      const silent = await stage.client();
      const slow = await stage.client();
      slow.socket.write(BINARY.subarray(0, -1));
      await eventually('both', () => stage.plane.metric('portico_connections_active') === 2);
      await stage.plane.skip(4000);
      assert.equal(slow.closed || silent.closed, false);
      await stage.plane.skip(1500);
      assert.equal((await silent.all()) + (await slow.all()), '');
      assert.equal(refused('proxy-timeout'), 2);
    });

    it(`${protocol}: counts who leaves within the header`, async () => {
      await serve(protocol);
      const peer = await stage.client();
      peer.socket.end(BINARY.subarray(0, 20));
      await peer.until(() => peer.ended || peer.closed);
      await eventually('the count', () => refused('proxy-incomplete') === 1);
      assert.equal(stage.plane.metric('portico_connections_active'), 0);
    });

    it(`${protocol}: a forged header from elsewhere is closed unread where a header is required`, async () => {
      const reached = await serve(protocol);
      const peer = await stage.client('web', '127.0.0.9');
      peer.socket.write(LINE);
      await peer.until(() => peer.ended || peer.closed);
      assert.equal(refused('proxy-untrusted'), 1);
      assert.equal(reached.length, 0);
    });

    it(`${protocol}: an optional header may be left out, by its senders and by others`, async () => {
      const reached = await serve(protocol, { proxyProtocol: { ...FROM_US, mode: 'optional' } });
      await (await speak(protocol, [])).expect('hello');
      await (await speak(protocol, [], '127.0.0.9')).expect('hello');
      await (await speak(protocol, [LINE])).expect('hello');
      if (protocol === 'tcp') return;
      const clients = reached.flatMap(({ received }) =>
        [...received.matchAll(/X-Forwarded-For: (.*)\r/g)].map(([, client]) => client),
      );
      assert.deepEqual(clients, ['127.0.0.1', '127.0.0.9', '192.0.2.1']);
    });
  }

  it('http: a forged header is no request where headers are optional', async () => {
    await serve('http', { proxyProtocol: { ...FROM_US, mode: 'optional' } });
    for (const header of [LINE, BINARY]) {
      const peer = await stage.client('web', '127.0.0.9');
      peer.socket.write(Buffer.concat([header, Buffer.from(GET)]));
      assert.match(await peer.all(), /^HTTP\/1\.1 400 /);
    }
    assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="bad-request"}'), 2);
  });

  it('tcp: a client that waits for the server to speak gets its word when the time for an optional header is over', async () => {
    await serve('tcp', { proxyProtocol: { ...FROM_US, mode: 'optional' } });
    const peer = await stage.client();
    await eventually('the connection', () => stage.plane.metric('portico_connections_active') === 1);
    await stage.plane.skip(6000);
    await peer.expect('hello');
  });

  it('limits the connections of the client that the header names, and not those of its sender', async () => {
    const limits = { ...listenerConfig().limits, connectionsPerClient: 1 };
    await serve('tcp', { limits });
    const client = (address: string): Buffer => writeLine({ ...ENDS, source: { address, port: 1 } });
    await (await speak('tcp', [client('192.0.2.1')])).expect('hello');
    const held = await speak('tcp', [client('192.0.2.2')]);
    await held.expect('hello');
    const second = await speak('tcp', [client('192.0.2.1')]);
    await second.until(() => second.ended || second.closed);
    assert.equal(second.received, '');
    assert.equal(refused('client-limit'), 1);
    held.socket.resetAndDestroy();
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 1);
    await (await speak('tcp', [client('192.0.2.2')])).expect('hello');
  });

  it('asks whether the client that the header names is a trusted proxy, not its sender', async () => {
    for (const [trusted, chain] of [
      ['192.0.2.0/24', '10.9.8.7, 192.0.2.1'],
      ['127.0.0.1', '192.0.2.1'],
    ] as const) {
      const reached = await serve('http', {}, null, { trustedProxies: [trusted] });
      const peer = await stage.client();
      peer.socket.write(
        Buffer.concat([LINE, Buffer.from(GET.replace('\r\n\r\n', '\r\nX-Forwarded-For: 10.9.8.7\r\n\r\n'))]),
      );
      await peer.expect('hello');
      assert.equal(/X-Forwarded-For: (.*)\r/.exec(reached[0]!.received)?.[1], chain);
      await stage.clear();
    }
  });

  it('logs the client that the header names', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'portico-proxy-protocol-'));
    const log = path.join(directory, 'access.log');
    try {
      await serve('tcp', {}, null, { accessLogPath: log });
      const peer = await speak('tcp', [BINARY]);
      await peer.expect('hello');
      peer.socket.resetAndDestroy();
      await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
      await stage.clear();
      assert.equal(JSON.parse(await readFile(log, 'utf8')).client, '192.0.2.1');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  // Out ------------------------------------------------------------------------------------------------------------

  /** What a target got first: a whole header, and what came behind it. */
  function headerAt(peer: RawPeer): { readonly header: ProxyHeader; readonly rest: string } {
    const bytes = Buffer.from(peer.received, 'latin1');
    const reading = readHeader(bytes, bytes.length);
    assert.ok(reading.kind === 'header', JSON.stringify(peer.received));
    return { header: reading.header, rest: peer.received.slice(reading.length) };
  }

  for (const protocol of PROTOCOLS) {
    for (const out of [{ version: 1, facts: [], checksum: false }, VERSION_2] as const) {
      it(`${protocol}: tells a target in version ${out.version} whose connection it is`, async () => {
        const reached = await serve(protocol, { proxyProtocol: null }, out);
        const peer = await speak(protocol, []);
        await peer.expect('hello');
        await eventually('the request', () => reached[0]!.received.endsWith('\r\n\r\n'));
        const { header, rest } = headerAt(reached[0]!);
        const ends = [header.version, header.source, header.destination];
        const { localPort } = stage.clients[0]!.socket;
        assert.deepEqual(ends, [
          out.version,
          { address: '127.0.0.1', port: localPort },
          { address: '127.0.0.1', port: stage.plane.port() },
        ]);
        assert.ok(rest.startsWith('GET / HTTP/1.1\r\n'));
        if (out.version === 1) return;
        assert.match(header.uniqueId, /^[\da-f]{8}-/);
        if (protocol !== 'tcp') assert.ok(rest.includes(`X-Request-Id: ${header.uniqueId}\r\n`));
        assert.equal(header.authority, protocol === 'https' ? 'a.example.com' : '');
        if (protocol !== 'https') return assert.equal(header.tls, null);
        assert.deepEqual({ ...header.tls, cipher: '' }, { ...NO_TLS, version: 'TLSv1.3', cipher: '' });
        assert.match(header.tls?.cipher ?? '', /^TLS_/);
      });
    }

    it(`${protocol}: passes on what a sender has told, and nothing that was not asked for`, async () => {
      const reached = await serve(protocol, {}, { ...VERSION_2, facts: ['unique-id'] });
      await (await speak(protocol, [BINARY])).expect('hello');
      const { header } = headerAt(reached[0]!);
      assert.deepEqual({ source: header.source, destination: header.destination }, ENDS);
      assert.deepEqual([header.uniqueId, header.authority, header.tls], ['id-1', '', null]);
    });
  }

  // Before TLS -----------------------------------------------------------------------------------------------------

  interface Heard {
    readonly header: ProxyHeader;
    /** What is left of the connection, with TLS taken off. */
    readonly peer: RawPeer;
  }

  /** A target that reads a header in the clear, then ends TLS with this certificate and answers. */
  async function secureTarget(pair: CertificatePair, heard: Heard[]): Promise<string> {
    const secureContext = tls.createSecureContext(pair);
    const server = await stage.backend(({ socket }) => {
      socket.removeAllListeners('data');
      let bytes = Buffer.alloc(0);
      const read = (chunk: Buffer): void => {
        bytes = Buffer.concat([bytes, chunk]);
        const reading = readHeader(bytes, bytes.length);
        if (reading.kind !== 'header') return;
        socket.off('data', read);
        // What has come of the handshake already is read by TLS from the paused socket.
        socket.pause();
        const rest = bytes.subarray(reading.length);
        if (rest.length > 0) socket.unshift(rest);
        const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
        secure.on('error', () => {});
        const peer = new RawPeer(secure);
        heard.push({ header: reading.header, peer });
        answerAll(peer);
      };
      socket.on('data', read);
    });
    return server.at;
  }

  function applySecure(protocol: Protocol, at: readonly string[], out: ProxyProtocolOut, name: string): void {
    const over = { name: 'web', pool: protocol === 'tcp' ? 'pool-0' : null };
    const poolTls = {
      verify: true,
      ca: '/ca',
      serverName: name,
      serverNameFromHost: false,
      certificate: null,
    };
    stage.plane.apply(
      snapshotOf({
        listeners: [
          protocol === 'https' ? httpsListener(1, {}, over) : listenerConfig({ protocol, ...over }),
        ],
        pools: [{ targets: at, proxyProtocol: out, tls: poolTls }],
        ...(protocol === 'tcp' ? { routes: [] } : {}),
      }),
      secretsOf([certificate], { files: { '/ca': certificate.cert } }),
    );
  }

  for (const protocol of PROTOCOLS) {
    for (const out of [{ version: 1, facts: [], checksum: false }, VERSION_2] as const) {
      it(`${protocol}: tells a target with TLS in version ${out.version}, in the clear and before the handshake`, async () => {
        const heard: Heard[] = [];
        applySecure(protocol, [await secureTarget(certificate, heard)], out, 'a.example.com');
        for (let count = 0; count < 2; count += 1) {
          const client = await speak(protocol, []);
          await client.expect('hello');
        }
        await eventually('both', () => heard.length === 2);
        for (const [index, { header, peer }] of heard.entries()) {
          const { localPort } = stage.clients[index]!.socket;
          assert.deepEqual(header.source, { address: '127.0.0.1', port: localPort });
          assert.ok(peer.received.startsWith('GET / HTTP/1.1\r\n'), 'the header is not sent once more');
          if (out.version === 1) continue;
          assert.match(header.uniqueId, /^[\da-f]{8}-/);
          if (protocol !== 'tcp') assert.ok(peer.received.includes(`X-Request-Id: ${header.uniqueId}\r\n`));
          assert.equal(header.authority, protocol === 'https' ? 'a.example.com' : '');
          assert.equal(header.tls?.version, protocol === 'https' ? 'TLSv1.3' : undefined);
        }
      });
    }
  }

  it('a target with TLS that does not prove its name has been told the client, and gets nothing else', async () => {
    const heard: Heard[] = [];
    applySecure('http', [await secureTarget(certificate, heard)], VERSION_2, 'other.example.com');
    const client = await stage.client();
    client.send(GET);
    await client.expect('certificate-invalid');
    await eventually('the end', () => heard[0]!.peer.ended || heard[0]!.peer.closed);
    assert.equal(heard.length, 1);
    assert.equal(heard[0]!.peer.received, '');
  });

  it('a target with TLS that joins in time because another is silent hears the same header', async () => {
    const heard: Heard[] = [];
    const silent = await stage.backend(() => {});
    const good = await secureTarget(certificate, heard);
    applySecure('http', [silent.at, good], VERSION_2, 'a.example.com');
    for (let count = 0; count < 4; count += 1) {
      const client = await stage.client();
      client.send(GET);
      await client.expect('HTTP/1.1 ', 10_000);
    }
    assert.ok(heard.length > 0);
    for (const { header } of heard) assert.equal(header.source?.address, '127.0.0.1');
  });

  it('http: no two requests share a connection to a target that has been told whose it is', async () => {
    const reached = await serve('http', { proxyProtocol: null }, VERSION_2);
    const peer = await stage.client();
    for (let count = 1; count <= 3; count += 1) {
      peer.send(GET);
      await peer.expect('hello');
      peer.take();
      await eventually('the close', () => reached[count - 1]!.ended || reached[count - 1]!.closed);
    }
    assert.equal(reached.length, 3);
    for (const connection of reached) headerAt(connection);
  });

  it('http: a pool that sends one from now on uses no connection that was made without', async () => {
    const reached: RawPeer[] = [];
    const server = await stage.backend((peer) => {
      reached.push(peer);
      answerAll(peer);
    });
    const reload = (version: number, proxyProtocol: ProxyProtocolOut | null): void =>
      stage.plane.apply(snapshotOf({ version, pools: [{ targets: [server.at], proxyProtocol }] }));
    reload(1, null);
    const peer = await stage.client();
    const ask = async (): Promise<void> => {
      peer.send(GET);
      await peer.expect('hello');
      peer.take();
    };
    await ask();
    reload(2, VERSION_2);
    await ask();
    assert.equal(reached.length, 2);
    headerAt(reached[1]!);
    await eventually('the end of the one made without', () => reached[0]!.ended || reached[0]!.closed);
  });
});
