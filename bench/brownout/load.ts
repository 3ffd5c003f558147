// Requests at a fixed rate, whether or not those before were answered: what a brown-out looks like to many clients.

import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export interface Asked {
  /** Milliseconds since the beginning. */
  readonly atMs: number;
  readonly tookMs: number;
  /** 0 when no answer came. */
  readonly status: number;
}

/** A client that gives up after this. */
const PATIENCE_MS = 5000;

export async function askAtRate(
  port: number,
  perSecond: number,
  forMs: number,
  onTime: (atMs: number) => void,
): Promise<readonly Asked[]> {
  const agent = new http.Agent({ keepAlive: true });
  const beganAtMs = performance.now();
  const asked: Promise<Asked>[] = [];
  for (let atMs = 0; atMs < forMs; atMs = performance.now() - beganAtMs) {
    onTime(atMs);
    while (asked.length < (atMs / 1000) * perSecond) asked.push(ask(port, agent, beganAtMs));
    await delay(5);
  }
  const all = await Promise.all(asked);
  agent.destroy();
  return all;
}

function ask(port: number, agent: http.Agent, beganAtMs: number): Promise<Asked> {
  const sentAtMs = performance.now();
  return new Promise((resolve) => {
    const done = (status: number): void =>
      resolve({ atMs: sentAtMs - beganAtMs, tookMs: performance.now() - sentAtMs, status });
    const request = http.get({ host: '127.0.0.1', port, agent }, (response) => {
      response.resume();
      response.once('end', () => done(response.statusCode ?? 0));
      response.once('error', () => done(0));
    });
    request.setTimeout(PATIENCE_MS, () => request.destroy());
    request.once('error', () => done(0));
  });
}
