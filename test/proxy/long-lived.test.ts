// What is silent by nature, on every pair of protocols: server-sent events, long polls and WebSockets, their limits, and reloads.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually, Stage } from '../support/data-plane.ts';
import {
  type Bridge,
  extendedConnectClient,
  extendedConnectTarget,
  type Front,
} from '../support/extended-connect.ts';
import { Http2Client } from '../support/http2-client.ts';
import { connectionsOf, ESTABLISHED, KEEP_ALIVE_TIMER } from '../support/kernel-connections.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

const TIMEOUTS = {
  connectMs: 1000,
  responseHeaderMs: 600_000,
  streamIdleMs: 10_000,
  tunnelIdleMs: 900_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
/** Longer than `idle` of the listener, `streamIdle` and `rateGrace` together. */
const LONG_MS = 300_000;

/** What a client sees of one answer. */
interface Seen {
  text: () => string;
  ended: () => boolean;
  leave: () => void;
}

for (const clientVersion of ['http1', 'http2'] as const) {
  for (const targetVersion of ['http1', 'http2'] as const) {
    describe(`client ${clientVersion}, target ${targetVersion}`, () => {
      const stage = new Stage();
      const clients: Http2Client[] = [];
      const bridges: Bridge[] = [];
      let front: Front | null = null;
      let server: http.Server | null = null;
      let sockets: WebSocketServer | null = null;
      /** The requests that wait at the server. */
      let waiting: http.ServerResponse[] = [];

      afterEach(async () => {
        for (const client of clients.splice(0)) await client.close();
        for (const bridge of bridges.splice(0)) await bridge.close();
        for (const socket of sockets?.clients ?? []) socket.terminate();
        await stage.clear();
        await front?.close();
        front = null;
        server?.closeAllConnections();
        server?.close();
        waiting = [];
      });
      after(() => stage.end());

      async function serve(timeouts: Partial<typeof TIMEOUTS> = {}): Promise<void> {
        server = http.createServer((_request, response) => waiting.push(response));
        sockets = new WebSocketServer({ server });
        sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        const { port } = server.address() as AddressInfo;
        if (targetVersion === 'http2') front = await extendedConnectTarget(port);
        apply(1, timeouts);
      }

      /** @param version a later one changes everything about the pool but its target */
      function apply(version: number, timeouts: Partial<typeof TIMEOUTS> = {}): void {
        const { port } = server!.address() as AddressInfo;
        stage.plane.apply(
          snapshotOf({
            version,
            listeners: [listenerConfig({ limits: { minBodyRate: 240, minReadRate: 240 } })],
            pools: [
              {
                targets: [`127.0.0.1:${front?.port ?? port}`],
                protocol: targetVersion,
                slowStartMs: version,
                timeouts: { ...TIMEOUTS, ...timeouts },
              },
            ],
          }),
        );
      }

      async function ask(path: string): Promise<Seen> {
        if (clientVersion === 'http1') {
          const peer = await stage.client();
          peer.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
          return {
            text: () => peer.received,
            ended: () => peer.ended || peer.closed || peer.received.endsWith('0\r\n\r\n'),
            leave: () => peer.socket.resetAndDestroy(),
          };
        }
        const client = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
        clients.push(client);
        const stream = client.open({ ':path': path });
        let text = '';
        let ended = false;
        stream.on('data', (chunk: Buffer) => {
          text += String(chunk);
        });
        stream.on('close', () => {
          ended = true;
        });
        return { text: () => text, ended: () => ended, leave: () => stream.close(8) };
      }

      async function asked(): Promise<http.ServerResponse> {
        await eventually('the request at the server', () => waiting.length > 0);
        // Else a clock that is moved on makes a path of it that has been silent for minutes.
        const port = front?.port ?? (server!.address() as AddressInfo).port;
        await eventually('its acknowledgement', () =>
          connectionsOf('other', port, ESTABLISHED).every(({ unacknowledged }) => unacknowledged === 0),
        );
        return waiting.shift()!;
      }

      async function open(): Promise<WebSocket> {
        let port = stage.plane.port();
        if (clientVersion === 'http2') {
          const bridge = await extendedConnectClient(port);
          bridges.push(bridge);
          ({ port } = bridge);
        }
        const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
        socket.on('error', () => {});
        await once(socket, 'open');
        return socket;
      }

      async function echoes(socket: WebSocket, text: string): Promise<void> {
        socket.send(text);
        assert.equal(String((await once(socket, 'message'))[0]), text);
      }

      it('passes each event at once, through long silences, and not for ever', async () => {
        await serve();
        const seen = await ask('/events');
        const response = await asked();
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: first\n\n');
        await eventually('the first event', () => seen.text().includes('first'));
        await stage.plane.skip(LONG_MS);
        response.write('data: second\n\n');
        await eventually('the second event', () => seen.text().includes('second'));
        assert.equal(seen.ended(), false);
        const closed = once(response, 'close');
        await stage.plane.skip(TIMEOUTS.tunnelIdleMs + 1000);
        await eventually('the end', seen.ended);
        await closed;
        assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="stream-idle"'), 1);
      });

      it('asks the client of a WebSocket or of events whether it is there, and no other', async () => {
        await serve();
        const timers = (): readonly string[] =>
          connectionsOf('own', stage.plane.port(), ESTABLISHED).map(({ timer }) => timer);
        await ask('/poll');
        await asked();
        assert.ok(!timers().includes(KEEP_ALIVE_TIMER), timers().join());
        await ask('/events');
        (await asked()).writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        await eventually('a timer that asks', () => timers().includes(KEEP_ALIVE_TIMER));
        await open();
        await eventually(
          'another',
          () => timers().filter((timer) => timer === KEEP_ALIVE_TIMER).length === 2,
        );
      });

      it('waits for the answer of a long poll as long as responseHeader says', async () => {
        await serve();
        const seen = await ask('/poll');
        const response = await asked();
        await stage.plane.skip(LONG_MS);
        assert.equal(seen.ended(), false);
        response.end('news');
        await eventually('the answer', () => seen.text().includes('news'));
        const late = await ask('/poll');
        await asked();
        await stage.plane.skip(TIMEOUTS.responseHeaderMs + 1000);
        await eventually('the end of patience', () => late.text().includes('did not answer in time'));
        assert.equal(
          stage.plane.metric('portico_failures_total{listener="web",reason="response-timeout"'),
          1,
        );
      });

      it('tells the target when the client of a long poll has left', async () => {
        await serve();
        const seen = await ask('/poll');
        const response = await asked();
        const closed = once(response, 'close');
        seen.leave();
        await closed;
        assert.equal(response.writableEnded, false);
      });

      it('lets a WebSocket be silent for tunnelIdle, and no longer', async () => {
        await serve();
        const socket = await open();
        await stage.plane.skip(LONG_MS);
        await echoes(socket, 'after five minutes');
        const closed = once(socket, 'close');
        await stage.plane.skip(TIMEOUTS.tunnelIdleMs + 1000);
        assert.equal((await closed)[0], 1006);
        assert.equal(stage.plane.metric('portico_failures_total{listener="web",reason="stream-idle"'), 1);
      });

      it('ends a WebSocket with 1001 after tunnelLifetime, however busy it is', async () => {
        await serve({ tunnelLifetimeMs: 60_000 });
        const socket = await open();
        await stage.plane.skip(50_000);
        await echoes(socket, 'busy');
        const atServer = once([...sockets!.clients][0]!, 'close');
        const closed = once(socket, 'close');
        await stage.plane.skip(11_000);
        assert.equal((await closed)[0], 1001);
        assert.equal((await atServer)[0], 1001);
      });

      it('leaves WebSockets and events alone when the configuration changes', async () => {
        await serve();
        const socket = await open();
        const seen = await ask('/events');
        const response = await asked();
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: before\n\n');
        await eventually('the event before', () => seen.text().includes('before'));
        apply(2);
        await echoes(socket, 'after');
        response.write('data: after\n\n');
        await eventually('the event after', () => seen.text().includes('after'));
        apply(3);
        await echoes(socket, 'still');
        assert.equal(stage.plane.metric('portico_failures_total'), 0);
      });
    });
  }
}
