// One long-running child process of the cluster test: its log file, its end, and how it is ended by pid.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly parameters: readonly string[];
  /** Receives both of its output streams. */
  readonly logPath: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** How it ended, or null while it runs. */
  ended(): string | null;
  readonly exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Sends the signal, waits, and sends SIGKILL after `patienceMs` (5 s). Resolves when the process is gone. */
  stop(signal?: NodeJS.Signals, patienceMs?: number): Promise<void>;
}

/** Starts a process that is expected to run until it is stopped. */
export function startChild(options: ChildOptions): Child {
  const log = openSync(options.logPath, 'a');
  let child: ChildProcess;
  try {
    child = spawn(options.command, options.parameters, {
      env: { ...process.env, ...options.environment },
      stdio: ['ignore', log, log],
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
    });
  } finally {
    closeSync(log);
  }
  let end: string | null = null;
  const { promise: exit, resolve } = Promise.withResolvers<Awaited<Child['exit']>>();
  child.once('error', (error) => {
    end = error.message;
    resolve({ code: null, signal: null });
  });
  child.once('exit', (code, signal) => {
    end = signal === null ? `exit code ${code}` : `signal ${signal}`;
    resolve({ code, signal });
  });
  if (child.pid === undefined) {
    throw new Error(`${options.name}: cannot start ${options.command}`);
  }
  return {
    name: options.name,
    pid: child.pid,
    logPath: options.logPath,
    ended: () => end,
    exit,
    async stop(signal = 'SIGTERM', patienceMs = 5000) {
      if (end !== null) {
        return;
      }
      child.kill(signal);
      const patience = new AbortController();
      await Promise.race([
        exit,
        delay(patienceMs, undefined, { signal: patience.signal }).then(
          () => child.kill('SIGKILL'),
          // The timer is cut short when the process ends in time.
          () => false,
        ),
      ]);
      patience.abort();
      await exit;
    },
  };
}

/** Asks again every `stepMs` (50 ms) until it gets an answer other than undefined; throws `what` after the limit. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => Promise<T | undefined> | T | undefined,
  stepMs = 50,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) {
      return answer;
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${limitMs} ms: ${what}`);
    }
    await delay(stepMs);
  }
}

/** Waits for `ready`; when the process ends first or the limit passes, throws with the end of its log. */
export async function awaitReady(
  child: Child,
  limitMs: number,
  ready: () => Promise<boolean>,
): Promise<void> {
  try {
    await until(`${child.name} ready`, limitMs, async () => {
      if (child.ended() !== null) {
        throw new Error(`${child.name} ended early: ${child.ended()}`);
      }
      return (await ready()) ? true : undefined;
    });
  } catch (error) {
    const log = await readFile(child.logPath, 'utf8');
    throw new Error(`${(error as Error).message}\n${log.split('\n').slice(-30).join('\n')}`);
  }
}

/** True when the port can be bound on every one of the addresses at this moment. */
async function isFree(addresses: readonly string[], port: number): Promise<boolean> {
  const servers: net.Server[] = [];
  try {
    for (const address of addresses) {
      const server = net.createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, address, resolve);
      });
      servers.push(server);
    }
    return true;
  } catch {
    // Taken on one of them: the caller tries another number.
    return false;
  } finally {
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  }
}

/**
 * As many different ports in the range (inclusive) as asked for, free on all addresses now. Another process may
 * still take one before it is used; the range for ordinary servers is therefore below the ephemeral ports.
 */
export async function findFreePorts(
  count: number,
  addresses: readonly string[],
  range: readonly [number, number] = [20_000, 29_999],
): Promise<number[]> {
  const [first, last] = range;
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 1000) {
      throw new Error(`no ${count} free ports in ${first}-${last} on ${addresses.join(', ')}`);
    }
    const port = first + Math.floor(Math.random() * (last - first + 1));
    if (!found.has(port) && (await isFree(addresses, port))) {
      found.add(port);
    }
  }
  return [...found];
}
