// https listeners: which certificate a client gets, HTTP over TLS, and handshakes that never become one.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { after, afterEach, before, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import tls, { type TLSSocket } from 'node:tls';
import type { Secrets } from '../../../src/model/secrets.ts';
import { type CertificatePair, certificateFor } from '../../support/certificates.ts';
import {
  answering,
  eventually,
  RawPeer,
  type RawServer,
  Stage,
  whenAsked,
} from '../../support/data-plane.ts';
import { listenerConfig, type PoolShape, route, rule, snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, SECURE_SOCKETS, secretsOf } from '../../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n';

for (const [kind, tcp] of SECURE_SOCKETS) {
  describe(`https listener on ${kind}`, () => {
    const stage = new Stage({ tcp });
    let fallback: CertificatePair;
    let exact: CertificatePair;
    let wildcard: CertificatePair;

    before(async () => {
      fallback = await certificateFor('default.example.net');
      exact = await certificateFor('a.example.com', 'b.example.com');
      wildcard = await certificateFor('*.example.com');
    });
    afterEach(() => stage.clear());
    after(() => stage.end());

    const listener = (connections = 1000): ReturnType<typeof listenerConfig> =>
      httpsListener(3, {}, { limits: { ...listenerConfig().limits, connections } });

    function apply(pool: PoolShape, secrets: Secrets, version = 1, connections?: number): void {
      stage.plane.apply(snapshotOf({ version, listeners: [listener(connections)], pools: [pool] }), secrets);
    }

    const secrets = (): Secrets => secretsOf([fallback, exact, wildcard]);

    async function serve(connections?: number): Promise<RawServer> {
      const server = await stage.backend(answering(OK));
      apply({ targets: [server.at] }, secrets(), 1, connections);
      return server;
    }

    async function secureClient(servername?: string): Promise<{ peer: RawPeer; socket: TLSSocket }> {
      const options: tls.ConnectionOptions & { allowHalfOpen: boolean } = {
        host: '127.0.0.1',
        port: stage.plane.port('tls'),
        rejectUnauthorized: false,
        allowHalfOpen: true,
        ...(servername === undefined ? {} : { servername }),
      };
      const socket = tls.connect(options);
      await once(socket, 'secureConnect');
      const peer = new RawPeer(socket);
      stage.clients.push(peer);
      return { peer, socket };
    }

    async function namesFor(servername?: string): Promise<string | undefined> {
      const { peer, socket } = await secureClient(servername);
      const names = socket.getPeerCertificate().subjectaltname;
      peer.destroy();
      return names;
    }

    it('chooses the certificate by the name that the client asks for', async () => {
      await serve();
      const both = 'DNS:a.example.com, DNS:b.example.com';
      assert.equal(await namesFor('a.example.com'), both, 'an exact name');
      assert.equal(await namesFor('b.example.com'), both, 'another name of the same certificate');
      assert.equal(await namesFor('B.Example.COM'), both, 'in any case');
      assert.equal(await namesFor('c.example.com'), 'DNS:*.example.com', 'a wildcard');
      assert.equal(await namesFor('a.b.example.com'), 'DNS:default.example.net', 'a wildcard is one label');
      assert.equal(await namesFor('example.com'), 'DNS:default.example.net', 'and not none');
      assert.equal(
        await namesFor('other.example.org'),
        'DNS:default.example.net',
        'the first is the default',
      );
      assert.equal(await namesFor(), 'DNS:default.example.net', 'also for clients that name nobody');
    });

    it('keeps connections alive on both sides and says https to the target', async () => {
      let seen = '';
      const server = await stage.backend((upstream) => {
        upstream.socket.on('data', (chunk) => {
          seen += chunk.toString('latin1');
        });
        answering(OK)(upstream);
      });
      apply({ targets: [server.at] }, secrets());
      const { peer, socket } = await secureClient('a.example.com');
      assert.equal(socket.alpnProtocol, false, 'a client that offers nothing gets nothing');
      for (let round = 0; round < 3; round += 1) {
        peer.send(GET);
        await peer.expect('\r\n\r\nok');
        peer.take();
      }
      assert.equal(server.connections, 1);
      assert.match(seen, /X-Forwarded-Proto: https\r\n/);
      assert.equal(stage.plane.metric('portico_connections_total{listener="tls"'), 1);
    });

    it('answers all that a client has sent ahead of its end, also where that needs no target', async () => {
      const asked = Promise.withResolvers<RawPeer>();
      const server = await stage.backend((upstream) => whenAsked(upstream, () => asked.resolve(upstream)));
      const routes = [
        route([rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] })], {
          hosts: [{ kind: 'exact', text: 'a.example.com', host: 'a.example.com' }],
        }),
      ];
      const pools = [{ targets: [server.at] }];
      stage.plane.apply(snapshotOf({ listeners: [listener()], pools, routes }), secrets());
      const { peer, socket } = await secureClient('a.example.com');
      const ended = once(socket, 'finish');
      socket.end(`${GET}${'GET / HTTP/1.1\r\nHost: b.example.com\r\n\r\n'.repeat(3)}`);
      const target = await asked.promise;
      await ended;
      for (let turn = 0; turn < 5; turn += 1) await nextTurn();
      target.send(OK);
      const statuses = [...(await peer.all()).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
      assert.deepEqual(statuses, ['200', '404', '404', '404']);
    });

    it('agrees on h2 by ALPN, and on http/1.1 with those that offer no more', async () => {
      await serve();
      for (const offered of [['http/1.1', 'h2'], ['http/1.1']]) {
        const socket = tls.connect({
          host: '127.0.0.1',
          port: stage.plane.port('tls'),
          rejectUnauthorized: false,
          ALPNProtocols: offered,
        });
        await once(socket, 'secureConnect');
        assert.equal(socket.alpnProtocol, offered.at(-1));
        stage.clients.push(new RawPeer(socket));
      }
    });

    it('finishes handshakes whose bytes come one by one', async () => {
      await serve();
      const raw = await stage.client('tls');
      raw.socket.setNoDelay(true);
      const dripping = new Duplex({
        read() {},
        async write(chunk: Buffer, _encoding, done) {
          for (const byte of chunk) {
            raw.socket.write(Buffer.from([byte]));
            await nextTurn();
          }
          done();
        },
      });
      raw.socket.on('data', (chunk: Buffer) => dripping.push(chunk));
      const socket = tls.connect({
        socket: dripping,
        servername: 'a.example.com',
        rejectUnauthorized: false,
      });
      await once(socket, 'secureConnect');
      assert.equal(socket.getPeerCertificate().subjectaltname, 'DNS:a.example.com, DNS:b.example.com');
      const peer = new RawPeer(socket);
      peer.send(GET);
      await peer.expect('\r\n\r\nok');
      peer.destroy();
    });

    it('becomes a tunnel on an upgrade', async () => {
      const server = await stage.backend((upstream) => {
        void upstream
          .expect('Upgrade: websocket')
          .then(() =>
            upstream.send(
              'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly',
            ),
          )
          .then(() => upstream.expect('from client'))
          .then(() => upstream.send('from server'))
          .then(() => upstream.until(() => upstream.ended))
          .then(() => upstream.socket.end(' and last'));
      });
      apply({ targets: [server.at] }, secrets());
      const { peer } = await secureClient('a.example.com');
      peer.send(
        'GET /ws HTTP/1.1\r\nHost: a.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      );
      await peer.expect('early');
      peer.send('from client');
      await peer.expect('from server');
      peer.socket.end();
      assert.match(await peer.all(), /from server and last$/);
      await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
    });

    it('streams a large answer unharmed to a slow reader', async () => {
      const size = 6 * 1024 * 1024;
      const server = await stage.backend((upstream) => {
        void upstream.expect('\r\n\r\n').then(() => {
          upstream.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
          upstream.socket.write(Buffer.alloc(size, 'z'));
        });
      });
      apply({ targets: [server.at] }, secrets());
      const { peer, socket } = await secureClient();
      socket.on('data', () => {
        socket.pause();
        setImmediate(() => socket.resume());
      });
      peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      const all = await peer.all(20_000);
      const body = all.slice(all.indexOf('\r\n\r\n') + 4);
      assert.equal(body.length, size);
      assert.match(body, /^z+$/);
    });

    it('outlives clients that leave within a large answer', async () => {
      const size = 4 * 1024 * 1024;
      const server = await stage.backend((upstream) => {
        void upstream.expect('\r\n\r\n').then(() => {
          upstream.send(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
          upstream.socket.end(Buffer.alloc(size, 'z'));
        });
      });
      apply({ targets: [server.at] }, secrets());
      const ways = [
        (socket: TLSSocket): void => void socket.destroy(),
        (socket: TLSSocket): void => void socket.end(),
        (_socket: TLSSocket, raw: net.Socket): void => void raw.resetAndDestroy(),
      ];
      for (const leave of ways) {
        for (let round = 0; round < 5; round += 1) {
          const raw = net.connect(stage.plane.port('tls'), '127.0.0.1');
          const socket = tls.connect({ socket: raw, rejectUnauthorized: false });
          const peer = new RawPeer(socket);
          stage.clients.push(peer);
          peer.send(GET);
          await peer.expect('zzzz');
          leave(socket, raw);
          await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
        }
      }
      assert.equal(stage.plane.metric('portico_connections_total{listener="tls"'), 15);
    });

    it('forgets connections whose handshake fails, is cut short or never begins', async () => {
      await serve(2);
      const attempts = [
        (peer: RawPeer): void => peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
        (peer: RawPeer): void => peer.send('\x16\x03\x01\x00\x05\x01\x00\x00'),
        (peer: RawPeer): void => void peer.socket.end(),
        (peer: RawPeer): void => void peer.socket.resetAndDestroy(),
      ];
      for (let round = 0; round < 2; round += 1) {
        for (const [index, attempt] of attempts.entries()) {
          const peer = await stage.client('tls');
          attempt(peer);
          if (index === 1) peer.socket.end();
          await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
          peer.destroy();
        }
      }
      assert.ok(
        stage.plane.metric('portico_connections_refused_total{listener="tls",reason="tls-handshake"}') >= 2,
      );
      const { peer } = await secureClient();
      peer.send(GET);
      await peer.expect('ok');
    });

    it('uses the certificates of a new snapshot for new connections; open ones go on', async () => {
      const server = await serve();
      const { peer } = await secureClient('a.example.com');
      peer.send(GET);
      await peer.expect('ok');
      peer.take();
      const renewed = await certificateFor('renewed.example.com');
      apply({ targets: [server.at] }, secretsOf([renewed]), 2);
      assert.equal(await namesFor('a.example.com'), 'DNS:renewed.example.com');
      assert.equal(await namesFor(), 'DNS:renewed.example.com');
      peer.send(GET);
      await peer.expect('ok');
    });

    it('refuses a snapshot whose key does not fit and serves on with the certificates before', async () => {
      const server = await serve();
      assert.throws(
        () => apply({ targets: [server.at] }, secretsOf([{ cert: exact.cert, key: fallback.key }]), 2),
        (error: Error) => /rejected/.test(error.message) && !error.message.includes('PRIVATE'),
      );
      assert.equal(await namesFor('a.example.com'), 'DNS:a.example.com, DNS:b.example.com');
      const { peer } = await secureClient();
      peer.send(GET);
      await peer.expect('ok');
    });

    it('counts connections in their handshake as open when it drains', async () => {
      await serve();
      const raw = await stage.client('tls');
      await eventually('the accept', () => stage.plane.metric('portico_connections_active') === 1);
      stage.plane.worker.drain(60_000, 60_000);
      let exited = false;
      void stage.plane.exited.then(() => {
        exited = true;
      });
      await stage.plane.skip(1000);
      assert.equal(exited, false);
      const socket = tls.connect({ socket: raw.socket, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const peer = new RawPeer(socket);
      peer.send(GET);
      await peer.expect('ok');
      assert.match(peer.received, /\r\nConnection: close\r\n/);
      socket.end();
      assert.equal(await stage.plane.exited, 0);
      peer.destroy();
    });
  });
}
