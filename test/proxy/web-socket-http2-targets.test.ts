// WebSockets to targets that speak HTTP/2 (RFC 8441), from clients of both versions: Node's HTTP/2 and the library `ws` behind Portico.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Stream, constants } from 'node:http2';
import net from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually, Stage } from '../support/data-plane.ts';
import {
  acceptOf,
  type Bridge,
  extendedConnectClient,
  extendedConnectTarget,
  type Front,
} from '../support/extended-connect.ts';
import { closeOf, Http2Client } from '../support/http2-client.ts';
import { snapshotOf } from '../support/snapshots.ts';

const CANCEL = constants.NGHTTP2_CANCEL;
const MEBIBYTE = 1024 * 1024;
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HANDSHAKE =
  'GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nConnection: upgrade\r\nUpgrade: websocket\r\n' +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`;

describe('web sockets to http/2 targets', () => {
  const stage = new Stage();
  let server: WebSocketServer | null = null;
  const fronts: Front[] = [];
  const bridges: Bridge[] = [];
  const clients: Http2Client[] = [];
  /** What the server's side of each connection was closed with. */
  const closes: number[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    for (const bridge of bridges.splice(0)) await bridge.close();
    for (const socket of server?.clients ?? []) socket.terminate();
    server?.close();
    server = null;
    closes.length = 0;
    await stage.clear();
    for (const front of fronts.splice(0)) await front.close();
  });
  after(() => stage.end());

  async function serve(enableConnectProtocol = true, version = 1): Promise<Front> {
    server ??= new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      perMessageDeflate: { threshold: 0 },
      handleProtocols: (protocols: Set<string>) => (protocols.has('chat') ? 'chat' : false),
    });
    if (server.address() === null) await once(server, 'listening');
    server.on('connection', (socket) => {
      socket.on('close', (code) => closes.push(code));
      socket.on('message', (data, binary) => socket.send(data, { binary }));
    });
    const front = await extendedConnectTarget(
      (server.address() as net.AddressInfo).port,
      enableConnectProtocol,
    );
    fronts.push(front);
    stage.plane.apply(
      snapshotOf({ version, pools: [{ targets: [`127.0.0.1:${front.port}`], protocol: 'http2' }] }),
    );
    return front;
  }

  /** A client of either version: over HTTP/2 it stands behind a bridge of Node's HTTP/2. */
  async function open(version: 'HTTP/1.1' | 'HTTP/2'): Promise<WebSocket> {
    let port = stage.plane.port();
    if (version === 'HTTP/2') {
      const bridge = await extendedConnectClient(port);
      bridges.push(bridge);
      ({ port } = bridge);
    }
    const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`, 'chat', {
      perMessageDeflate: { threshold: 0 },
    });
    socket.on('error', () => {});
    await once(socket, 'open');
    return socket;
  }

  async function http2Client(): Promise<Http2Client> {
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    clients.push(client);
    await once(client.session, 'remoteSettings');
    return client;
  }

  const connectOver = (client: Http2Client): ClientHttp2Stream =>
    client.open(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' },
      { endStream: false },
    );

  const said = async (socket: WebSocket): Promise<string> => String((await once(socket, 'message'))[0]);

  for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
    it(`pass both ways from ${version}, with their protocol, extensions and close codes`, async () => {
      const front = await serve();
      const socket = await open(version);
      assert.equal(socket.protocol, 'chat');
      assert.match(socket.extensions, /permessage-deflate/);
      assert.deepEqual(front.protocols, ['websocket']);
      const [request] = front.requests;
      assert.equal(request![':method'], 'CONNECT');
      assert.equal(request![':path'], '/chat');
      assert.equal(request!['sec-websocket-version'], '13');
      assert.equal(request!['sec-websocket-key'], undefined);
      assert.equal(request!['connection'], undefined);
      assert.match(String(request!.via), /portico/);
      socket.send('over to you');
      assert.equal(await said(socket), 'over to you');
      socket.close(4001, 'enough');
      await once(socket, 'close');
      await eventually('the close at the server', () => closes.includes(4001));
      await eventually('the end of the stream', () => front.streams.size === 0);
      assert.equal(stage.plane.metric('portico_http_requests_total{listener="web"'), 1);
      assert.equal(stage.plane.metric('portico_failures_total'), 0);
    });

    it(`tell ${version} the code with which the server closes`, async () => {
      await serve();
      const socket = await open(version);
      [...server!.clients][0]!.close(4002, 'no more');
      assert.equal((await once(socket, 'close'))[0], 4002);
    });

    it(`reset the stream when ${version === 'HTTP/2' ? 'that of the client is reset' : 'the client is gone'} (${version})`, async () => {
      const front = await serve();
      if (version === 'HTTP/1.1') {
        const peer = await stage.client();
        peer.send(HANDSHAKE);
        await peer.expect('HTTP/1.1 101 ');
        peer.socket.resetAndDestroy();
      } else {
        const stream = connectOver(await http2Client());
        await once(stream, 'response');
        stream.close(CANCEL);
      }
      const [stream] = front.streams;
      await eventually('the reset', () => stream!.closed);
      assert.equal(stream!.rstCode, CANCEL);
      await eventually('the close at the server', () => closes.includes(1006));
    });

    it(`end the client when the target resets the stream (${version})`, async () => {
      const front = await serve();
      const socket = await open(version);
      [...front.streams][0]!.close(0x8);
      assert.equal((await once(socket, 'close'))[0], 1006);
      assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="upstream-reset"'), 1);
    });

    it(`end the client when the target's connection is cut (${version})`, async () => {
      const front = await serve();
      const socket = await open(version);
      for (const session of front.sessions) session.destroy();
      assert.equal((await once(socket, 'close'))[0], 1006);
    });

    it(`carry more than every window holds, both ways at once (${version})`, async () => {
      await serve();
      const socket = await open(version);
      const message = Buffer.alloc(8 * MEBIBYTE, 'x');
      for (let index = 0; index < message.length; index += 997) message[index] = index % 251;
      socket.send(message);
      const [echo] = (await once(socket, 'message')) as [Buffer];
      assert.ok(message.equals(echo));
    });

    it(`get a Close when the worker drains, client and target both (${version})`, async () => {
      await serve();
      const socket = await open(version);
      const closed = once(socket, 'close');
      stage.plane.worker.drain(0, 5000);
      assert.equal((await closed)[0], 1001);
      await eventually('the close at the server', () => closes.includes(1001));
    });

    it(`are told when the target takes none (${version})`, async () => {
      await serve(false);
      if (version === 'HTTP/1.1') {
        const peer = await stage.client();
        peer.send(HANDSHAKE);
        await peer.expect('\r\n\r\n');
        assert.match(
          peer.received,
          /^HTTP\/1\.1 502 [\s\S]*error=http_upgrade_failed; details="upgrade-unsupported"/,
        );
      } else {
        const stream = connectOver(await http2Client());
        const [headers] = await once(stream, 'response');
        assert.equal(headers[':status'], 502);
        assert.match(headers['proxy-status'], /details="upgrade-unsupported"/);
        stream.resume();
        await closeOf(stream);
      }
      assert.equal(
        stage.plane.metric('portico_failures_total{listener="web",reason="upgrade-unsupported"'),
        1,
      );
    });
  }

  it('answer the key of the client themselves', async () => {
    await serve();
    const peer = await stage.client();
    peer.send(HANDSHAKE);
    await peer.expect('\r\n\r\n');
    assert.match(peer.received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.ok(peer.received.includes(`\r\nSec-WebSocket-Accept: ${acceptOf(KEY)}\r\n`));
    assert.match(peer.received, /\r\nConnection: upgrade\r\nUpgrade: websocket\r\n/);
    assert.match(peer.received, /\r\nsec-websocket-protocol: chat\r\n/i);
  });

  it('are refused as their target refuses them, and the connection goes on', async () => {
    const front = await serve();
    server!.shouldHandle = () => false;
    const peer = await stage.client();
    peer.send(HANDSHAKE);
    await peer.expect('HTTP/1.1 400 ');
    await eventually('the end of the stream', () => front.streams.size === 0);
    server!.shouldHandle = () => true;
    const again = await stage.client();
    again.send(HANDSHAKE);
    await again.expect('HTTP/1.1 101 ');
    assert.equal(front.sessions.size, 1);
  });

  it('keep one direction open when the other has ended', async () => {
    // A server that is no WebSocket library: what it does with an end is its own.
    let upstream: net.Socket | null = null;
    const tcp = net.createServer({ allowHalfOpen: true }, (socket) => {
      upstream = socket;
      socket.on('error', () => {});
      socket.once('data', () =>
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n' +
            `Sec-WebSocket-Accept: ${acceptOf(Buffer.alloc(16, 7).toString('base64'))}\r\n\r\n`,
        ),
      );
    });
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const front = await extendedConnectTarget((tcp.address() as net.AddressInfo).port);
    fronts.push(front);
    stage.plane.apply(snapshotOf({ pools: [{ targets: [`127.0.0.1:${front.port}`], protocol: 'http2' }] }));
    const peer = await stage.client();
    peer.send(HANDSHAKE);
    await peer.expect('\r\n\r\n');
    peer.socket.end();
    await once(upstream!, 'end');
    (upstream as net.Socket | null)!.end('\x81\x04last');
    await peer.expect('last');
    await peer.until(() => peer.ended);
    await eventually('the end of the stream', () => front.streams.size === 0);
    assert.equal(stage.plane.metric('portico_failures_total'), 0);
    tcp.close();
  });

  it('hold back a server whose client does not read, and let others go on', async () => {
    const front = await serve();
    const slow = await open('HTTP/1.1');
    slow.pause();
    const [toSlow] = server!.clients;
    const message = Buffer.alloc(MEBIBYTE);
    for (let index = 0; index < message.length; index += 1)
      message[index] = (index * 31 + (index >> 7)) % 251;
    for (let count = 0; count < 64; count += 1) toSlow!.send(message, { compress: false });
    await eventually('the end of what is taken', () => toSlow!.bufferedAmount > 32 * MEBIBYTE);
    const other = await open('HTTP/1.1');
    other.send('meanwhile');
    assert.equal(await said(other), 'meanwhile');
    assert.equal(front.sessions.size, 1, 'both are streams of one connection');
    assert.ok(toSlow!.bufferedAmount > 32 * MEBIBYTE, `${toSlow!.bufferedAmount} bytes wait at the server`);
    let received = 0;
    slow.on('message', (data: Buffer) => {
      received += data.length;
    });
    slow.resume();
    await eventually('all of it', () => received === 64 * MEBIBYTE, 20_000);
  });

  it('live on when the configuration changes, while their connection takes no more', async () => {
    const front = await serve();
    const socket = await open('HTTP/1.1');
    const elsewhere = await serve(true, 2);
    socket.send('still here');
    assert.equal(await said(socket), 'still here');
    const next = await open('HTTP/1.1');
    assert.equal(elsewhere.protocols.length, 1);
    assert.equal(front.protocols.length, 1);
    next.close();
  });

  it('do not take an Upgrade without a key for a handshake', async () => {
    const front = await serve();
    const peer = await stage.client();
    peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
    await peer.expect('HTTP/1.1 426 ');
    assert.deepEqual(front.protocols, ['']);
  });
});
