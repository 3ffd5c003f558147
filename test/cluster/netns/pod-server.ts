// A pod's program: answers HTTP and WebSocket in its namespace, tells each arrival on standard output, ends as told.

import http from 'node:http';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocketServer } from 'ws';

const [service = '', pod = '', node = '', port = '80'] = process.argv.slice(2);
const PROBE_PATH = '/_ping';
const STREAM_STEP_MS = 100;
/** What is in flight at the end of the grace period gets this long. */
const END_LIMIT_MS = 8000;

let terminating = false;
const sockets = new WebSocketServer({ noServer: true });
// Longer than any pooled connection of a balancer idles, as application servers are set behind one.
const server = http.createServer({ keepAliveTimeout: 65_000, requestTimeout: 0 }, (request, response) => {
  void answer(request, response);
});

/** One line for each arrival: CLOCK_MONOTONIC in milliseconds is the same for all processes of a machine. */
function tell(request: http.IncomingMessage): void {
  const atMs = Number(process.hrtime.bigint() / 1000n) / 1000;
  const what = `${request.method} ${request.url}`;
  const by = request.headers['x-balancer'] ?? 'portico';
  process.stdout.write(`${JSON.stringify([atMs, request.socket.remoteAddress, what, by])}\n`);
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  tell(request);
  if (terminating) {
    response.setHeader('connection', 'close');
  }
  if (request.url === PROBE_PATH) {
    response.end('ok\n');
    return;
  }
  response.setHeader('x-pod', pod);
  const url = new URL(request.url ?? '/', 'http://pod');
  if (url.pathname.endsWith('/stream')) {
    const lines = Math.round((Number(url.searchParams.get('seconds') ?? '3') * 1000) / STREAM_STEP_MS);
    for (let line = 0; line < lines && !response.destroyed; line++) {
      response.write(`${line}\n`);
      await delay(STREAM_STEP_MS);
    }
    response.end('end\n');
    return;
  }
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
  }
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify({ service, pod, node, bytes })}\n`);
}

server.on('upgrade', (request, socket, head) => {
  tell(request);
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
    // A client that vanished is the client's own business; its ledger has the failure.
    client.on('error', () => {});
  });
});

// The kubelet's SIGTERM: serve on, and ask connections to go with their next answer.
process.once('SIGTERM', () => {
  terminating = true;
});

// The end of the grace period, as an application that shuts down well ends it: nothing in flight is cut.
process.once('SIGINT', () => {
  terminating = true;
  server.close(() => process.exit(0));
  for (const client of sockets.clients) {
    client.close(1001, 'the pod ends');
  }
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  idle.unref();
  setTimeout(() => process.exit(0), END_LIMIT_MS).unref();
});

server.listen(Number(port), '0.0.0.0', () => process.stdout.write('"listening"\n'));
