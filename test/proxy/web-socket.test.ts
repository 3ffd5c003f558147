// WebSockets through the data plane, over HTTP/1.1 and HTTP/2, to a server of the library `ws`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually, Stage } from '../support/data-plane.ts';
import { closeOf, Http2Client } from '../support/http2-client.ts';
import { snapshotOf } from '../support/snapshots.ts';

const TIMEOUTS = {
  connectMs: 1000,
  responseHeaderMs: 10_000,
  streamIdleMs: 10_000,
  tunnelIdleMs: 600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
const MASK = Buffer.from([1, 2, 3, 4]);

/** A text frame as clients send it. */
function masked(text: string, opcode = 1): Buffer {
  const payload = Buffer.from(text, 'latin1').map((byte, index) => byte ^ MASK[index % 4]!);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), MASK, payload]);
}

describe('web sockets', () => {
  const stage = new Stage();
  const clients: Http2Client[] = [];
  let server: WebSocketServer | null = null;

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    for (const socket of server?.clients ?? []) socket.terminate();
    server?.close();
    server = null;
    await stage.clear();
  });
  after(() => stage.end());

  /** An echo that greets at once, in the packet of the handshake if it can. */
  async function serve(timeouts: Partial<typeof TIMEOUTS> = {}): Promise<void> {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    server.on('connection', (socket) => {
      socket.send('hello');
      socket.on('message', (data) => socket.send(String(data)));
    });
    const { port } = server.address() as { port: number };
    const pool = { targets: [`127.0.0.1:${port}`], timeouts: { ...TIMEOUTS, ...timeouts } };
    stage.plane.apply(snapshotOf({ pools: [pool] }));
  }

  async function open(): Promise<{ socket: WebSocket; next: () => Promise<string> }> {
    const socket = new WebSocket(`ws://127.0.0.1:${stage.plane.port()}/chat`);
    const messages: string[] = [];
    socket.on('message', (data) => messages.push(String(data)));
    socket.on('error', () => {});
    const next = async (): Promise<string> => {
      await eventually('a message', () => messages.length > 0);
      return messages.shift()!;
    };
    assert.equal(await next(), 'hello');
    return { socket, next };
  }

  async function closeCodeOverHttp1(): Promise<number> {
    const socket = new WebSocket(`ws://127.0.0.1:${stage.plane.port()}/chat`);
    return (await once(socket, 'close'))[0];
  }

  /** The stream of an extended CONNECT (RFC 8441), and what has come on it so far. */
  async function overHttp2() {
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    clients.push(client);
    await once(client.session, 'remoteSettings');
    assert.equal(client.session.remoteSettings.enableConnectProtocol, true);
    const stream = client.open(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', 'sec-websocket-version': '13' },
      { endStream: false },
    );
    let bytes = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
    });
    return { stream, received: () => bytes };
  }

  /** Answers the Close of the server with its own. */
  async function closeCodeOverHttp2(): Promise<number> {
    const { stream, received } = await overHttp2();
    await eventually('a Close', () => received().includes('\x88\x02', 'latin1'));
    stream.write(masked('\x03\xe9', 8));
    return received().readUInt16BE(received().indexOf('\x88\x02', 0, 'latin1') + 2);
  }

  it('come over HTTP/2 by extended CONNECT', async () => {
    await serve();
    const { stream, received } = await overHttp2();
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 200);
    assert.equal(headers['sec-websocket-accept'], undefined);
    await eventually('the greeting', () => received().includes('hello'));
    stream.write(masked('over h2'));
    await eventually('the echo', () => received().includes('over h2'));
    stream.write(masked('\x03\xe8', 8));
    await eventually('the close of the server', () => received().includes(Buffer.from([0x88, 2, 3, 232])));
    stream.end();
    await closeOf(stream);
    assert.equal(stream.rstCode, 0);
    await eventually(
      'its record',
      () => stage.plane.metric('portico_http_requests_total{listener="web"') === 1,
    );
  });

  it('are refused over HTTP/2 as their target refuses them', async () => {
    const backend = await stage.backend((peer) => {
      peer.when('\r\n\r\n', () => {
        const plain = peer.received.startsWith('GET /plain');
        peer.send(
          `HTTP/1.1 ${plain ? '200 OK' : '403 No'}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno`,
        );
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at] }] }));
    const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    clients.push(client);
    await once(client.session, 'remoteSettings');
    const ask = async (path: string): Promise<unknown> => {
      const stream = client.open(
        { ':method': 'CONNECT', ':protocol': 'websocket', ':path': path },
        { endStream: false },
      );
      stream.resume();
      const [headers] = await once(stream, 'response');
      return headers[':status'];
    };
    assert.equal(await ask('/chat'), 403);
    assert.equal(await ask('/plain'), 502, 'a 200 would open a tunnel');
  });

  it('live on when the configuration changes', async () => {
    await serve();
    const { socket, next } = await open();
    const { port } = server!.address() as { port: number };
    stage.plane.apply(
      snapshotOf({ version: 2, pools: [{ targets: [`127.0.0.1:${port}`], slowStartMs: 7 }] }),
    );
    socket.send('still here');
    assert.equal(await next(), 'still here');
  });

  it('are silent for longer than a request may be, and not for ever', async () => {
    await serve();
    const { socket, next } = await open();
    await stage.plane.skip(300_000);
    socket.send('after five minutes');
    assert.equal(await next(), 'after five minutes');
    const closed = once(socket, 'close');
    await stage.plane.skip(601_000);
    await closed;
    assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="stream-idle"'), 1);
  });

  it('end with a code when they have lived for as long as they may', async () => {
    await serve({ tunnelLifetimeMs: 60_000 });
    const { socket } = await open();
    const closed = once(socket, 'close');
    await stage.plane.skip(61_000);
    assert.equal((await closed)[0], 1001);
  });

  it('end with a code when the worker drains, the client having the last word', async () => {
    await serve();
    const { socket } = await open();
    const upstream = [...server!.clients][0]!;
    const upstreamClosed = once(upstream, 'close');
    const closed = once(socket, 'close');
    stage.plane.worker.drain(0, 5000);
    assert.equal((await closed)[0], 1001);
    assert.equal((await upstreamClosed)[0], 1001);
    await stage.plane.exited;
  });

  for (const version of ['1.1', '2']) {
    it(`end with a code when the worker drains, those too that begin after that, over HTTP/${version}`, async () => {
      await serve();
      let admit: ((isWelcome: boolean) => void) | null = null;
      server!.options.verifyClient = (_, done) => {
        admit = done;
      };
      const closed = version === '1.1' ? closeCodeOverHttp1() : closeCodeOverHttp2();
      await eventually('the request at its target', () => admit !== null);
      stage.plane.worker.drain(3_600_000, 3_600_000);
      stage.plane.worker.drain(5000, 5000);
      admit!(true);
      assert.equal(await closed, 1001);
    });
  }

  it('are cut after a grace time when the client does not answer', async () => {
    await serve({ tunnelLifetimeMs: 60_000 });
    const peer = await stage.client();
    peer.send(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await peer.expect('hello');
    await stage.plane.skip(61_000);
    await peer.expect('\x88\x02\x03\xe9');
    await stage.plane.skip(6000);
    await peer.until(() => peer.ended || peer.closed);
    assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="tunnel-expired"'), 1);
  });
});

describe('server-sent events', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  it('pass as they come, and are silent for longer than another body may be', async () => {
    let upstream: { send: (text: string) => void } | null = null;
    const backend = await stage.backend((peer) => {
      upstream = peer;
      peer.when('\r\n\r\n', () => {
        peer.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n');
      });
    });
    stage.plane.apply(snapshotOf({ pools: [{ targets: [backend.at], timeouts: TIMEOUTS }] }));
    const peer = await stage.client();
    peer.send('GET /events HTTP/1.1\r\nHost: a\r\n\r\n');
    await peer.expect('data: 1\n\n');
    await stage.plane.skip(300_000);
    upstream!.send('data: 2\n\n');
    await peer.expect('data: 2\n\n');
  });
});
