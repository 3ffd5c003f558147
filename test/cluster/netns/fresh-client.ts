// A client that makes a new connection for each request, without a process for each.

import http from 'node:http';
import { type Client, type Edge, inTime, type Ledger, repeat } from '../clients.ts';

/** GET with `connection: close`, again and again. */
export function freshConnectionClient(
  ledger: Ledger,
  name: string,
  edge: Edge,
  path: string,
  pauseMs: number,
): Client {
  return repeat(ledger, name, pauseMs, async () => {
    await once(edge, path);
  });
}

/** One request on a connection of its own; rejects with the reason when it was not answered well and in time. */
export async function once(edge: Edge, path: string, localAddress?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = http.get(
    {
      host: edge.address,
      port: edge.port,
      path,
      agent: false,
      headers: { host: edge.host },
      ...(localAddress === undefined ? {} : { localAddress }),
    },
    (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () => {
        const made = response.headers['proxy-status'];
        if (response.statusCode === 200) resolve(text);
        else
          reject(
            new Error(`status ${response.statusCode} ${made === undefined ? 'from the backend' : made}`),
          );
      });
    },
  );
  request.once('error', (error: NodeJS.ErrnoException) =>
    reject(new Error(error.code === undefined ? error.message : `${error.code}: ${error.message}`)),
  );
  return await inTime(promise, request);
}
