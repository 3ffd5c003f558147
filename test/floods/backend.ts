// A target in a process of its own: answers fast, in bulk, a byte a second, or never, by the path of the request.
// usage: node test/floods/backend.ts   (prints its port, and serves until it is ended)

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';

const BULK = Buffer.alloc(64 * 1024, 'b');
const BULK_CHUNKS = 512;

function bulk(response: http.ServerResponse): void {
  let left = BULK_CHUNKS;
  response.writeHead(200, { 'content-length': BULK.length * BULK_CHUNKS });
  const more = (): void => {
    while (left > 0) {
      left -= 1;
      if (left === 0) response.end(BULK);
      else if (!response.write(BULK)) return;
    }
  };
  response.on('drain', more);
  more();
}

function drip(response: http.ServerResponse): void {
  response.writeHead(200, { 'content-length': 1_000_000 });
  response.flushHeaders();
  const timer = setInterval(() => response.write('.'), 1000);
  response.once('close', () => clearInterval(timer));
}

const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
  request.on('error', () => {});
  request.resume();
  if (request.url === '/never') return;
  if (request.url === '/bulk') bulk(response);
  else if (request.url === '/drip') drip(response);
  else request.once('end', () => response.end('ok'));
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
