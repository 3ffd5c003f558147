// `npm run test:clients`: headless Chromium through Portico over TLS: a page of many resources, a WebSocket over HTTP/2, events, a drain.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WebSocketServer } from 'ws';
import { certificateFor } from '../support/certificates.ts';
import { DataPlane, eventually } from '../support/data-plane.ts';
import { extendedConnectTarget, type Front } from '../support/extended-connect.ts';
import { requirePeers } from '../support/peers.ts';
import { snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const RESOURCES = 120;
const RESOURCE_BYTES = 20_000;
const EVENTS = 4;
/** Chromium starts slowly on a busy machine. */
const LIMIT_MS = 60_000;

/** What the page does, and tells on its console: each line is `told <what> <JSON>`. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>page</title><body><script type="module">
const tell = (what, value) => console.log('told ' + what + ' ' + JSON.stringify(value));
try {
  performance.setResourceTimingBufferSize(1000);
  const bodies = await Promise.all(
    Array.from({ length: ${RESOURCES} }, (_, i) => fetch('/resource/' + i).then((r) => r.text())),
  );
  const used = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/resource/'));
  const protocols = used.map((entry) => entry.nextHopProtocol);
  tell('resources', { count: bodies.filter((b) => b.length === ${RESOURCE_BYTES}).length, protocols: [...new Set(protocols)] });

  const body = 'u'.repeat(3_000_000);
  tell('upload', await (await fetch('/upload', { method: 'POST', body })).text());

  const seen = [];
  await new Promise((resolve, reject) => {
    const source = new EventSource('/events');
    source.onerror = () => reject(new Error('events ended'));
    source.onmessage = ({ data }) => {
      seen.push(data);
      if (seen.length === ${EVENTS}) { source.close(); resolve(); return; }
      // The next one is sent when this one has been seen.
      fetch('/seen', { method: 'POST', body: data }).catch(reject);
    };
  });
  tell('events', seen);

  const socket = new WebSocket('wss://' + location.host + '/socket');
  socket.onclose = ({ code, wasClean }) => tell('closed', { code, wasClean });
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error('socket failed')); });
  const text = 'x'.repeat(200_000);
  socket.send(text);
  const echo = await new Promise((resolve) => { socket.onmessage = ({ data }) => resolve(data); });
  tell('echo', { same: echo === text, extensions: socket.extensions });
} catch (error) { tell('failed', String(error)); }
</script>`;

for (const target of ['http1', 'http2'] as const) {
  describe(`headless Chromium, target ${target}`, () => {
    const { chromium } = requirePeers(['chromium']);
    const plane = new DataPlane();
    /** Via of the handshakes that came to the server. */
    const handshakes: string[] = [];
    const told = new Map<string, unknown>();
    let said = '';
    let nextEvent: (() => void) | null = null;
    let browser: ChildProcess | null = null;
    let front: Front | null = null;
    let profile = '';

    const server = http.createServer((request, response) => {
      const url = request.url ?? '';
      if (url === '/') response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
      else if (url.startsWith('/resource/')) response.end('r'.repeat(RESOURCE_BYTES));
      else if (url === '/events') serveEvents(response);
      else {
        let length = 0;
        request.on('data', (chunk: Buffer) => {
          length += chunk.length;
        });
        request.on('end', () => {
          if (url === '/seen') nextEvent?.();
          response.end(String(length));
        });
      }
    });
    const sockets = new WebSocketServer({ server, perMessageDeflate: true });

    function serveEvents(response: http.ServerResponse): void {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let sent = 0;
      nextEvent = () => {
        sent += 1;
        response.write(`data: event ${sent}\n\n`);
      };
      nextEvent();
    }

    before(async () => {
      sockets.on('connection', (socket, request) => {
        handshakes.push(String(request.headers.via));
        socket.on('message', (data, binary) => socket.send(data, { binary }));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      if (target === 'http2') front = await extendedConnectTarget(port);
      const pair = await certificateFor('localhost');
      plane.apply(
        snapshotOf({
          listeners: [httpsListener(1)],
          pools: [{ targets: [`127.0.0.1:${front?.port ?? port}`], protocol: target }],
        }),
        secretsOf([pair]),
      );
      profile = await mkdtemp(path.join(tmpdir(), 'portico-chromium-'));
      browser = spawn(
        chromium,
        [
          ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
          ...['--ignore-certificate-errors', '--enable-logging=stderr', `--user-data-dir=${profile}`],
          ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
          `https://localhost:${plane.port('tls')}/`,
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      browser.stderr!.on('data', (chunk: Buffer) => {
        said += String(chunk);
        for (const [, what, json] of said.matchAll(/"told (\w+) (.*)", source:/g))
          told.set(what!, JSON.parse(json!));
      });
    });
    after(async () => {
      if (browser !== null && browser.exitCode === null) {
        browser.kill('SIGKILL');
        await once(browser, 'exit');
      }
      await plane.close();
      for (const socket of sockets.clients) socket.terminate();
      await front?.close();
      server.closeAllConnections();
      server.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    });

    async function toldOf(what: string): Promise<unknown> {
      await eventually(`the page telling ${what}`, () => told.has(what) || told.has('failed'), LIMIT_MS);
      assert.equal(told.get('failed'), undefined, said.slice(-2000));
      return told.get(what);
    }

    it(`loads ${RESOURCES} resources at once, all over HTTP/2`, async () => {
      assert.deepEqual(await toldOf('resources'), { count: RESOURCES, protocols: ['h2'] });
    });

    it('uploads 3 MB', async () => {
      assert.equal(await toldOf('upload'), '3000000');
    });

    it('sees each server-sent event before the next one is sent', async () => {
      assert.deepEqual(await toldOf('events'), ['event 1', 'event 2', 'event 3', 'event 4']);
    });

    it('opens its WebSocket over HTTP/2, compressed', async () => {
      const { same, extensions } = (await toldOf('echo')) as { same: boolean; extensions: string };
      assert.ok(same);
      assert.match(extensions, /permessage-deflate/);
      if (target === 'http1') assert.deepEqual(handshakes, ['2.0 portico']);
      else
        assert.equal(front!.requests.find((head) => head[':protocol'] === 'websocket')?.via, '2.0 portico');
    });

    it('is told with a code, cleanly, that the worker drains', async () => {
      await toldOf('echo');
      plane.worker.drain(0, 5000);
      assert.deepEqual(await toldOf('closed'), { code: 1001, wasClean: true });
    });
  });
}
