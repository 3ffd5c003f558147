// Listening sockets of the demo: awaited start, awaited end, and ports that are free.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';

export interface Listening {
  readonly port: number;
  /** Stops accepting; resolves when the last connection is gone. */
  close(): Promise<void>;
}

/** Starts `server`; rejects when the address cannot be had. */
export async function listen(server: Server, host: string, port: number): Promise<Listening> {
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
}

/** A port that was free a moment ago: `wanted` itself, or any one when that is 0. Rejects when `wanted` is taken. */
export async function freePort(host: string, wanted: number): Promise<number> {
  const listening = await listen(createServer(), host, wanted);
  await listening.close();
  return listening.port;
}

export const isAddressInUse = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES');
