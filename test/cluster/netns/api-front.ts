// A front before the API server, for Portico alone: it passes everything on, or lies as an ill API server would.

import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { Socket } from 'node:net';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

export const FRONT_MODES = [
  'pass',
  'empty',
  'half',
  'garbage',
  'slow',
  'gone-list',
  'gone-stream',
  'unauthorized-stream',
] as const;
export type FrontMode = (typeof FRONT_MODES)[number];
const SLOW_MS = 4000;

const [directory = '', host = '', serverPort = '', port = ''] = process.argv.slice(2);
const cert = readFileSync(`${directory}/pki/apiserver.crt`);
const key = readFileSync(`${directory}/pki/apiserver.key`);
const agent = new https.Agent({ ca: cert, keepAlive: true });
const connections = new Set<Socket>();
let mode: FrontMode = 'pass';

const server = https.createServer({ cert, key }, (request, response) => {
  const url = request.url ?? '/';
  const isWatch = /[?&]watch=(true|1)/.test(url);
  void answer(isWatch).catch(() => response.destroy());

  async function answer(watch: boolean): Promise<void> {
    if (mode === 'slow') await delay(SLOW_MS);
    if (mode === 'garbage') return garbage(watch);
    if (watch && (mode === 'empty' || mode === 'half')) return status(410, 'Expired');
    if (!watch && mode === 'gone-list') return status(410, 'Expired');
    if (watch && mode === 'gone-list') return status(410, 'Expired');
    if (watch && mode === 'gone-stream') return streamError(410, 'Expired');
    if (watch && mode === 'unauthorized-stream') return streamError(401, 'Unauthorized');
    const isNodes = url.startsWith('/api/v1/nodes');
    pass(!watch && (mode === 'empty' || (mode === 'half' && isNodes)) ? mode : 'pass');
  }

  function status(code: number, reason: string): void {
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: reason }),
    );
  }

  function streamError(code: number, reason: string): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: reason };
    response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  }

  function garbage(watch: boolean): void {
    response.writeHead(200, { 'content-type': watch ? 'application/json' : 'text/html' });
    response.end(
      watch ? '{"type":"ADDED","object":{"kind":"No\n\u0000\u0001' : '<html>Welcome to nginx!</html>',
    );
  }

  function pass(change: 'pass' | 'empty' | 'half'): void {
    const upstream = https.request(
      { host, port: Number(serverPort), path: url, method: request.method, headers: request.headers, agent },
      (answered) => {
        if (change === 'pass') {
          response.writeHead(answered.statusCode ?? 502, answered.headers);
          response.flushHeaders();
          answered.pipe(response);
          answered.once('error', () => response.destroy());
          return;
        }
        let text = '';
        answered.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answered.once('end', () => {
          const list = JSON.parse(text) as { items?: unknown[] };
          if (list.items !== undefined) {
            list.items = change === 'empty' ? [] : list.items.slice(0, Math.floor(list.items.length / 2));
          }
          response.writeHead(answered.statusCode ?? 502, { 'content-type': 'application/json' });
          response.end(JSON.stringify(list));
        });
      },
    );
    upstream.once('error', () => response.destroy());
    response.once('close', () => upstream.destroy());
    request.pipe(upstream);
  }
});

server.on('secureConnection', (socket) => {
  connections.add(socket);
  socket.once('close', () => connections.delete(socket));
});
server.on('tlsClientError', () => {});

// A mode begins for everyone: what is open is cut, as by a server that was replaced.
process.on('message', (message: { mode: FrontMode }) => {
  ({ mode } = message);
  for (const socket of connections) socket.destroy();
  process.send?.({ mode });
});
process.on('disconnect', () => process.exit(0));
server.listen(Number(port), '127.0.0.1', () => process.send?.({ mode }));
