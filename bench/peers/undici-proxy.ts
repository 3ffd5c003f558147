// The peer that one would write by hand: a node:http server in front of an undici pool, nothing logged.
// `node bench/peers/undici-proxy.ts PORT BACKEND_PORT`

import http, { type IncomingHttpHeaders } from 'node:http';
import process from 'node:process';
import { type Dispatcher, Pool } from 'undici';

const [port, backendPort] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${backendPort}`, { connections: 64, pipelining: 1 });

/** Fields that belong to one connection (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const kept: IncomingHttpHeaders = {};
  for (const name in headers) if (!HOP_BY_HOP.has(name)) kept[name] = headers[name];
  return kept;
}

http
  .createServer((request, response) => {
    const hasBody = 'content-length' in request.headers || 'transfer-encoding' in request.headers;
    pool.stream(
      {
        path: request.url ?? '/',
        method: request.method as Dispatcher.HttpMethod,
        headers: endToEnd(request.headers),
        body: hasBody ? request : null,
      },
      ({ statusCode, headers }) => {
        response.writeHead(statusCode, endToEnd(headers));
        return response;
      },
      (error) => {
        if (error === null) return;
        if (!response.headersSent) response.writeHead(502);
        response.end();
      },
    );
  })
  .listen(port, '127.0.0.1');
