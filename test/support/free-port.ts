// Ports for processes that cannot take any: of the tests and of the benchmark.

import { once } from 'node:events';
import net from 'node:net';

/** Below what Linux gives to outgoing connections and to listeners that take any port: nobody takes it meanwhile; below node ports, too. */
const LOWEST = 10_240;
const HIGHEST = 29_999;
const ATTEMPTS = 100;
/** Whoever was given one may not listen yet. */
const given = new Set<number>();

/** A loopback port that was free a moment ago. @throws Error when a hundred of them are taken */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port among ${ATTEMPTS} between ${LOWEST} and ${HIGHEST}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}
