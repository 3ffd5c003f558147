// Outside the load: is the proxy there, and does it answer what the backend said, byte for byte?

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { LoadResult } from '../drivers/driver.ts';
import type { Child } from './child.ts';

const RETRY_MS = 50;
const PATIENCE_MS = 20_000;
const REQUEST_MS = 2000;

/** Waits until somebody accepts connections, and asks for nothing. @throws Error when that is not within 20 s */
export function awaitListening(port: number, child: Child): Promise<void> {
  return untilWell(async () => {
    const socket = net.connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return null;
    } catch (error) {
      return `port ${port}: ${String(error)}`;
    } finally {
      socket.destroy();
    }
  }, child);
}

/** Waits for the first right answer. @throws Error with the last problem when none comes within 20 s */
export function awaitAnswer(url: string, body: string, child: Child): Promise<void> {
  return untilWell(async () => {
    const problem = await problemOf(url, body);
    return problem === null ? null : `${url}: ${problem}`;
  }, child);
}

/** Waits until a short load finds nothing wrong. @throws Error with the last problem when that is not within 20 s */
export function awaitCase(attempt: () => Promise<LoadResult>, child: Child): Promise<void> {
  return untilWell(async () => {
    const { requests, problems } = await attempt();
    return requests > 0 && problems.length === 0 ? null : problems.join(', ');
  }, child);
}

/** @param look what is wrong, or null */
async function untilWell(look: () => Promise<string | null>, child: Child): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const problem = await look();
    if (problem === null) return;
    const end = child.ended();
    if (end !== null || performance.now() > untilMs) {
      throw new Error(`${problem}${end === null ? '' : `, ended with ${end}`}\n${child.errors()}`);
    }
    await delay(RETRY_MS);
  }
}

/** What is wrong with the answer, or null. */
export function problemOf(url: string, body: string): Promise<string | null> {
  return new Promise((resolve) => {
    const request = http.get(url, { agent: false, timeout: REQUEST_MS }, (response) => {
      let received = '';
      response.setEncoding('latin1').on('data', (text: string) => {
        received += text;
      });
      response.on('end', () => {
        if (response.statusCode !== 200) resolve(`status ${response.statusCode}`);
        else resolve(received === body ? null : `${received.length} bytes that are not the backend's`);
      });
      response.on('error', (error) => resolve(error.message));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer in ${REQUEST_MS} ms`)));
    request.on('error', (error) => resolve(error.message));
  });
}
