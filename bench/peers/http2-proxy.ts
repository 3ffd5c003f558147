// The HTTP/2 peer that Node itself offers: a node:http2 server in front of an undici pool, nothing logged.
// `node bench/peers/http2-proxy.ts PORT BACKEND_PORT DIRECTORY`, which holds tls.crt and tls.key

import { readFileSync } from 'node:fs';
import http2, { type IncomingHttpHeaders } from 'node:http2';
import path from 'node:path';
import process from 'node:process';
import { type Dispatcher, Pool } from 'undici';

const [port, backendPort, directory] = process.argv.slice(2);
/** As many as there are streams in progress in the largest case: none waits for a connection. */
const pool = new Pool(`http://127.0.0.1:${backendPort}`, { connections: 320, pipelining: 1 });
const pairOf = (name: string): Buffer => readFileSync(path.join(directory!, name));

/** Without HTTP/2's pseudo-fields, and without those that belong to one connection of HTTP/1.1. */
function endToEnd(headers: IncomingHttpHeaders | Record<string, string | string[] | undefined>) {
  const kept: Record<string, string | string[] | undefined> = {};
  for (const name in headers) {
    if (
      !name.startsWith(':') &&
      name !== 'connection' &&
      name !== 'keep-alive' &&
      name !== 'transfer-encoding'
    )
      kept[name] = headers[name];
  }
  return kept;
}

http2
  .createSecureServer(
    { allowHTTP1: true, cert: pairOf('tls.crt'), key: pairOf('tls.key') },
    (request, response) => {
      const headers = endToEnd(request.headers);
      headers['host'] ??= request.authority;
      // A client that leaves must not keep a connection of the pool.
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const hasBody = request.method !== 'GET' && request.method !== 'HEAD';
      pool.stream(
        {
          path: request.url,
          method: request.method as Dispatcher.HttpMethod,
          headers,
          body: hasBody ? request : null,
          signal: gone.signal,
        },
        ({ statusCode, headers: answered }) => {
          response.writeHead(statusCode, endToEnd(answered));
          return response;
        },
        (error) => {
          if (error === null || response.destroyed) return;
          if (!response.headersSent) response.writeHead(502);
          response.end();
        },
      );
    },
  )
  .listen(Number(port), '127.0.0.1');
