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
  'one-node',
  'one-service',
  'one-slice',
  'garbage',
  'slow',
  'gone-list',
  'gone-stream',
  'unauthorized-stream',
] as const;
export type FrontMode = (typeof FRONT_MODES)[number];
const SLOW_MS = 4000;

/** Lists in which something is missing. */
const CHANGED_LISTS = ['empty', 'half', 'one-node', 'one-service', 'one-slice'] as const;
type ChangedList = (typeof CHANGED_LISTS)[number];
const isChangedList = (wanted: FrontMode): wanted is ChangedList =>
  (CHANGED_LISTS as readonly string[]).includes(wanted);

/** How the front is told to behave; what is left out stays as it is. */
export interface FrontOrder {
  readonly mode?: FrontMode;
  /** PEM: it presents this certificate from now on. */
  readonly certificate?: { readonly cert: string; readonly key: string };
}

/** What it answers, and what it has seen of clients since the last answer. */
export interface FrontReport {
  readonly mode: FrontMode;
  /** Answers that were not the API server's own, in the order's mode: delayed, refused, altered. */
  readonly lies: number;
  /** Handshakes that clients broke off. */
  readonly refusedHandshakes: number;
  /** Last characters of the bearer tokens of requests. */
  readonly tokens: readonly string[];
}

interface Item {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
}

const [directory = '', host = '', serverPort = '', port = '', missing = ''] = process.argv.slice(2);
const cert = readFileSync(`${directory}/pki/apiserver.crt`);
const key = readFileSync(`${directory}/pki/apiserver.key`);
const agent = new https.Agent({ ca: cert, keepAlive: true });
const connections = new Set<Socket>();
const tokens = new Set<string>();
let refusedHandshakes = 0;
let lies = 0;
let mode: FrontMode = 'pass';

const server = https.createServer({ cert, key }, (request, response) => {
  const url = request.url ?? '/';
  const isWatch = /[?&]watch=(true|1)/.test(url);
  tokens.add((request.headers.authorization ?? '').slice(-12));
  void answer(isWatch).catch(() => response.destroy());

  async function answer(watch: boolean): Promise<void> {
    if (mode === 'slow') {
      lies += 1;
      await delay(SLOW_MS);
    }
    if (mode === 'garbage') return garbage(watch);
    if (watch && isChangedList(mode)) return status(410, 'Expired');
    if (!watch && mode === 'gone-list') return status(410, 'Expired');
    if (watch && mode === 'gone-list') return status(410, 'Expired');
    if (watch && mode === 'gone-stream') return streamError(410, 'Expired');
    if (watch && mode === 'unauthorized-stream') return streamError(401, 'Unauthorized');
    pass(!watch && isChangedList(mode) ? mode : 'pass');
  }

  function status(code: number, reason: string): void {
    // Those that make a list necessary are only the way to the lie.
    if (!isChangedList(mode)) lies += 1;
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: reason }),
    );
  }

  function streamError(code: number, reason: string): void {
    lies += 1;
    response.writeHead(200, { 'content-type': 'application/json' });
    const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: reason };
    response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  }

  function garbage(watch: boolean): void {
    lies += 1;
    response.writeHead(200, { 'content-type': watch ? 'application/json' : 'text/html' });
    response.end(
      watch ? '{"type":"ADDED","object":{"kind":"No\n\u0000\u0001' : '<html>Welcome to nginx!</html>',
    );
  }

  function pass(change: 'pass' | ChangedList): void {
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
          const list = JSON.parse(text) as { items?: readonly Item[] };
          if (list.items !== undefined) {
            const left = itemsLeft(url, change, list.items);
            if (left.length < list.items.length) lies += 1;
            list.items = left;
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

/** What such a list still has; `missing` names the service of which something is left out. */
function itemsLeft(url: string, change: ChangedList, items: readonly Item[]): readonly Item[] {
  const kind = /\/(nodes|services|endpointslices)/.exec(url)?.[1];
  switch (change) {
    case 'empty':
      return [];
    case 'half':
      return kind === 'nodes' ? items.slice(0, Math.floor(items.length / 2)) : items;
    case 'one-node':
      return kind === 'nodes' ? items.slice(1) : items;
    case 'one-service':
      return kind === 'services' ? items.filter(({ metadata }) => metadata.name !== missing) : items;
    case 'one-slice':
      return kind === 'endpointslices'
        ? items.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] !== missing)
        : items;
  }
}

server.on('secureConnection', (socket) => {
  connections.add(socket);
  socket.once('close', () => connections.delete(socket));
});
server.on('tlsClientError', () => {
  refusedHandshakes += 1;
});

function report(): void {
  const answer: FrontReport = { mode, lies, refusedHandshakes, tokens: [...tokens] };
  lies = 0;
  refusedHandshakes = 0;
  tokens.clear();
  process.send?.(answer);
}

// An order begins for everyone: what is open is cut, as by a server that was replaced. An empty one only asks.
process.on('message', (order: FrontOrder) => {
  if (order.certificate !== undefined) server.setSecureContext(order.certificate);
  mode = order.mode ?? mode;
  if (order.mode !== undefined) for (const socket of connections) socket.destroy();
  report();
});
process.on('disconnect', () => process.exit(0));
server.listen(Number(port), '127.0.0.1', report);
