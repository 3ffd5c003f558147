// The people outside: HTTP clients of every kind that never stop, and the ledger of what failed them.

import { spawn } from 'node:child_process';
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { PAUSES } from './pauses.ts';

/** An answer later than this is a failure even when it is right; while this process stands still nothing is late. */
export const LATE_MS = 2000;

export interface FailedRequest {
  /** `performance.now()` of this process when the failure was seen. */
  readonly atMs: number;
  readonly client: string;
  readonly reason: string;
}

/** Counts of every client, with each failure by time and reason. */
export class Ledger {
  readonly failures: FailedRequest[] = [];
  readonly #durations = new Map<string, number[]>();

  succeeded(client: string, durationMs: number): void {
    const endedAtMs = performance.now();
    const lateMs = durationMs - PAUSES.within(endedAtMs - durationMs, endedAtMs);
    if (lateMs > LATE_MS) {
      this.failed(client, `late: ${Math.round(lateMs)} ms`);
    }
    this.#of(client).push(durationMs);
  }

  failed(client: string, reason: string): void {
    this.#of(client);
    this.failures.push({ atMs: performance.now(), client, reason });
  }

  /** Successes of one client, or of all. */
  successes(client?: string): number {
    const lists = client === undefined ? [...this.#durations.values()] : [this.#of(client)];
    return lists.reduce((sum, list) => sum + list.length, 0);
  }

  /** One line a client: successes, failures, median, 99th percentile and maximum in milliseconds. */
  rows(): { client: string; succeeded: number; failed: number; p50: number; p99: number; max: number }[] {
    return [...this.#durations].map(([client, durations]) => {
      const sorted = durations.toSorted((a, b) => a - b);
      const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
      const failed = this.failures.filter((failure) => failure.client === client).length;
      return { client, succeeded: sorted.length, failed, p50: at(0.5), p99: at(0.99), max: at(1) };
    });
  }

  #of(client: string): number[] {
    const list = this.#durations.get(client) ?? [];
    this.#durations.set(client, list);
    return list;
  }
}

/** Something that goes on until it is told to stop; `stop` resolves when its last request has ended. */
export interface Client {
  stop(): Promise<void>;
}

/** Repeats `work` with a pause between; what `work` throws is a failure of the client. */
export function repeat(
  ledger: Ledger,
  name: string,
  pauseMs: number,
  work: (signal: AbortSignal) => Promise<void>,
): Client {
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      try {
        await work(stopping.signal);
        ledger.succeeded(name, performance.now() - startedAt);
      } catch (error) {
        ledger.failed(name, (error as Error).message);
      }
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => {
        // Cut short by stop(): the loop's condition ends it.
      });
    }
  };
  const ended = loop();
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

export interface Edge {
  readonly address: string;
  readonly port: number;
  /** The Host that the route asks for. */
  readonly host: string;
}

/** Requests over kept-alive connections, `method` with or without a body. */
export function keepAliveClient(
  ledger: Ledger,
  name: string,
  edge: Edge,
  path: string,
  method: 'GET' | 'POST',
  pauseMs: number,
): Client {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const client = repeat(ledger, name, pauseMs, async () => {
    await request(agent, edge, path, method);
  });
  return {
    async stop() {
      await client.stop();
      agent.destroy();
    },
  };
}

async function request(agent: http.Agent, edge: Edge, path: string, method: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const outgoing = http.request(
    {
      host: edge.address,
      port: edge.port,
      path,
      method,
      agent,
      headers: { host: edge.host },
    },
    (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200) {
          resolve();
        } else {
          reject(new Error(describeStatus(response.statusCode ?? 0, response.headers['proxy-status'], text)));
        }
      });
    },
  );
  outgoing.once('error', (error: NodeJS.ErrnoException) =>
    reject(new Error(error.code === undefined ? error.message : `${error.code}: ${error.message}`)),
  );
  outgoing.end(method === 'POST' ? 'a body of some bytes' : undefined);
  await inTime(promise, outgoing);
}

/** What the promise brings; the request is given up when that is late. */
export async function inTime<T>(promise: Promise<T>, request: http.ClientRequest): Promise<T> {
  const patience = PAUSES.patience(LATE_MS, () =>
    request.destroy(new Error(`late: no answer for ${LATE_MS} ms`)),
  );
  try {
    return await promise;
  } finally {
    patience.end();
  }
}

/** Says whether Portico made the answer: only its own answers carry Proxy-Status with an error. */
function describeStatus(status: number, proxyStatus: string | string[] | undefined, text: string): string {
  return proxyStatus === undefined
    ? `status ${status} from the backend: ${text.slice(0, 80).trim()}`
    : `status ${status} made by Portico: ${String(proxyStatus)}`;
}

/** The real curl, a process and a new connection for each request. */
export function curlClient(
  ledger: Ledger,
  name: string,
  curl: string,
  edge: Edge,
  path: string,
  pauseMs: number,
): Client {
  const parameters = [
    ...['--silent', '--show-error', '--output', '/dev/null'],
    ...['--header', `Host: ${edge.host}`],
    ...['--write-out', '%{http_code} %header{proxy-status}'],
    `http://${edge.address}:${edge.port}${path}`,
  ];
  return repeat(ledger, name, pauseMs, async () => {
    const late = new AbortController();
    const patience = PAUSES.patience(LATE_MS, () => late.abort());
    const { code, stdout, stderr } = await runProgram(curl, parameters, {}, late.signal);
    patience.end();
    if (late.signal.aborted) throw new Error(`late: no answer for ${LATE_MS} ms`);
    if (code !== 0) {
      throw new Error(stderr.trim() || `curl exit code ${code}`);
    }
    const [status = '', ...proxyStatus] = stdout.split(' ');
    if (status !== '200') {
      const made = proxyStatus.join(' ').trim();
      throw new Error(describeStatus(Number(status), made === '' ? undefined : made, ''));
    }
  });
}

/** Runs a program to its end, which `end` brings at once, with its output collected; never rejects for an exit code. */
export async function runProgram(
  command: string,
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  end?: AbortSignal,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, parameters, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  end?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** A response that takes `seconds`, line by line: it must come whole, with no gap longer than 2 s. */
export function streamClient(ledger: Ledger, name: string, edge: Edge, seconds: number): Client {
  const run = async (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const outgoing = http.get(
      {
        host: edge.address,
        port: edge.port,
        path: `/stream?seconds=${seconds}`,
        agent: false,
        headers: { host: edge.host },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          patience.restart();
        });
        response.once('error', (error) =>
          reject(new Error(`cut after ${text.length} bytes: ${error.message}`)),
        );
        response.once('end', () => {
          if (response.statusCode !== 200) {
            reject(
              new Error(describeStatus(response.statusCode ?? 0, response.headers['proxy-status'], text)),
            );
          } else if (text.endsWith('end\n')) {
            resolve();
          } else {
            reject(new Error(`ended early after ${text.length} bytes`));
          }
        });
      },
    );
    const patience = PAUSES.patience(LATE_MS, () =>
      outgoing.destroy(new Error(`late: no byte for ${LATE_MS} ms`)),
    );
    outgoing.once('error', reject);
    try {
      await promise;
    } finally {
      patience.end();
    }
  };
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await run();
        // Its length is its own doing: only gaps count as late.
        ledger.succeeded(name, 0);
      } catch (error) {
        ledger.failed(name, (error as Error).message);
        await delay(200);
      }
    }
  };
  const ended = loop();
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}
