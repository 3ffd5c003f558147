// Portico as it really runs: a supervisor process with its children, its log, its admin HTTP and its end.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMIT_MS, until } from '../support/until.ts';

const PROGRAM = path.join(import.meta.dirname, '../../src/portico.js');

export interface LogLine {
  readonly level: string;
  readonly role: string;
  readonly pid: number;
  readonly code?: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** How the program is started, where that is not as usual. */
export interface LaunchOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** A command that runs the one behind it: a shell that lowers a limit first, `setpriv`, `unshare`. */
  readonly prefix?: readonly string[];
}

/** `prefix` for a shell that does this first. */
export const shell = (first: string): readonly string[] => ['sh', '-c', `${first}; exec "$@"`, 'sh'];

/** One running program; everything that it started is gone after `close`. */
export class Portico {
  readonly directory: string;
  readonly log: LogLine[] = [];
  /** What was written to standard error and is not a log line. */
  text = '';
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  /** Every process that was ever seen below this one. */
  readonly #pids = new Set<number>();
  #ended = false;

  private constructor(directory: string, logLevel: string, { environment, prefix = [] }: LaunchOptions) {
    this.directory = directory;
    const parameters = [PROGRAM, 'run', '-c', this.configPath, '--log-level', logLevel];
    const [command, ...args] = [...prefix, process.execPath, ...parameters] as [string, ...string[]];
    const env = { ...process.env, ...environment };
    this.#child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    this.#pids.add(this.pid);
    this.exited = once(this.#child, 'exit').then(([code, signal]) => {
      this.#ended = true;
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
    let rest = '';
    this.#child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    });
  }

  /** Starts the program on this configuration, without waiting for anything. */
  static async launch(
    configuration: object | string,
    logLevel = 'info',
    options: LaunchOptions = {},
  ): Promise<Portico> {
    const directory = await mkdtemp(path.join(tmpdir(), 'portico-test-'));
    await writeConfiguration(path.join(directory, 'portico.yaml'), configuration);
    return new Portico(directory, logLevel, options);
  }

  /** Starts the program and waits until all its workers serve. */
  static async start(
    configuration: object,
    logLevel?: string,
    options: LaunchOptions = {},
    workers = 2,
  ): Promise<Portico> {
    const portico = await Portico.launch(configuration, logLevel, options);
    try {
      await portico.untilServing(workers);
    } catch (error) {
      await portico.close();
      throw new Error(`${(error as Error).message}\n${JSON.stringify(portico.log, null, 1)}`);
    }
    return portico;
  }

  get configPath(): string {
    return path.join(this.directory, 'portico.yaml');
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get ended(): boolean {
    return this.#ended;
  }

  configure(configuration: object | string): Promise<void> {
    return writeConfiguration(this.configPath, configuration);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /**
   * The first log line from number `from` on with this code.
   * @param pid of the process that the line is about; any when left out
   */
  logged(code: string, from = 0, pid?: number): Promise<LogLine> {
    return until(`log line ${code}`, () =>
      this.log.slice(from).find((line) => line.code === code && (pid === undefined || line['pid'] === pid)),
    );
  }

  /** Port that a listener was given. */
  port(listener = 'web'): number {
    const line = this.log.findLast(({ code, listener: name }) => code === 'listening' && name === listener);
    if (line === undefined) throw new Error(`listener ${listener} has not been bound`);
    return line['port'] as number;
  }

  /** Port of the newest controller's admin HTTP; 0 before there is one. */
  get adminPort(): number {
    return this.#adminAddress === '' ? 0 : Number(new URL(this.#adminAddress).port);
  }

  /** Of the newest controller; empty before there is one. */
  get #adminAddress(): string {
    const line = this.log.findLast(({ message }) => message === 'admin HTTP listens');
    return line === undefined ? '' : (line['address'] as string);
  }

  /** A call of the admin HTTP, on a connection of its own. Rejects when nobody answers. */
  async admin(pathname: string, method = 'GET'): Promise<AdminAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<AdminAnswer>();
    const address = this.#adminAddress;
    const place = address.startsWith('unix:')
      ? { socketPath: address.slice('unix:'.length) }
      : { host: '127.0.0.1', port: this.adminPort };
    const request = http.request({ ...place, path: pathname, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.setTimeout(LIMIT_MS, () => request.destroy(new Error(`${pathname}: no answer`)));
    request.once('error', reject);
    request.end();
    return await promise;
  }

  /** The same, while a controller may be on its way: undefined when nobody answers. */
  tryAdmin(pathname: string): Promise<AdminAnswer | undefined> {
    // A controller that is gone or not there yet is what the caller waits out.
    return this.#adminAddress === ''
      ? Promise.resolve(undefined)
      : this.admin(pathname).catch(() => undefined);
  }

  /** Worker processes by name, with the snapshot that each has in force. */
  async workers(): Promise<readonly { readonly pid: number; readonly snapshotVersion: number }[]> {
    const answer = await this.tryAdmin('/status');
    return answer?.status === 200 ? (JSON.parse(answer.body) as { workers: [] }).workers : [];
  }

  /** Resolves when this many workers, none of them among `before`, have the newest snapshot. */
  async untilServing(count = 2, before: readonly number[] = []): Promise<readonly number[]> {
    return await until(`${count} workers that serve`, async () => {
      if (this.#ended) throw new Error(`ended instead of serving: ${this.text}`);
      const ready = await this.tryAdmin('/ready');
      if (ready?.status !== 200) return undefined;
      const workers = (await this.workers()).filter(({ pid }) => !before.includes(pid));
      await this.processes();
      return workers.length === count && workers.every(({ snapshotVersion }) => snapshotVersion > 0)
        ? workers.map(({ pid }) => pid)
        : undefined;
    });
  }

  /** The controller's process. */
  async controller(): Promise<number> {
    const pids = await this.processes();
    for (const pid of pids) if ((await commandLine(pid)).includes('--role=controller')) return pid;
    throw new Error('there is no controller');
  }

  /** The children that live now. */
  async processes(): Promise<readonly number[]> {
    const children: number[] = [];
    for (const entry of await readdir('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      // It may have ended since the directory was read.
      const stat = await readFile(`/proc/${entry}/stat`, 'latin1').catch(() => '');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === this.pid && fields[0] !== 'Z') children.push(Number(entry));
    }
    for (const pid of children) this.#pids.add(pid);
    return children;
  }

  /** Which of the processes holds this connection's socket, told by the client's port. */
  async holderOf(clientPort: number, pids: readonly number[]): Promise<number> {
    return await until(`the process that holds port ${clientPort}`, async () => {
      const inode = await socketInode(this.port(), clientPort);
      if (inode === undefined) return undefined;
      for (const pid of pids) if (await holds(pid, inode)) return pid;
      return undefined;
    });
  }

  /** The sum of the series of this name whose labels include all of these. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { body } = await this.admin('/metrics');
    let sum = 0;
    for (const line of body.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
      if (match?.[1] !== name) continue;
      if (Object.entries(labels).every(([key, value]) => match[2]?.includes(`${key}="${value}"`)))
        sum += Number(match[3]);
    }
    return sum;
  }

  /** Ends the program if it still runs, and says which of its processes outlived it. */
  async close(): Promise<readonly number[]> {
    if (!this.#ended) {
      await this.processes();
      this.signal('SIGTERM');
      this.signal('SIGTERM');
      const end = await Promise.race([this.exited, sleep(LIMIT_MS, null, { ref: false })]);
      if (end === null) this.signal('SIGKILL');
      await this.exited;
    }
    const left = await this.survivors();
    for (const pid of left) process.kill(pid, 'SIGKILL');
    await rm(this.directory, { recursive: true, force: true });
    return left;
  }

  /** Processes of this program that still live although it has ended; those just killed get a moment to be reaped. */
  async survivors(): Promise<readonly number[]> {
    const endAtMs = performance.now() + 2000;
    for (;;) {
      const left: number[] = [];
      for (const pid of this.#pids) if ((await commandLine(pid)).includes('portico.js')) left.push(pid);
      if (left.length === 0 || performance.now() > endAtMs) return left;
      await sleep(20);
    }
  }

  #take(line: string): void {
    if (!line.startsWith('{')) {
      this.text += `${line}\n`;
      return;
    }
    const parsed = JSON.parse(line) as LogLine;
    this.log.push(parsed);
    this.#pids.add(parsed.pid);
  }
}

/** JSON is YAML, so an object is written as it is; a text is written as the user would. */
function writeConfiguration(file: string, configuration: object | string): Promise<void> {
  return writeFile(file, typeof configuration === 'string' ? configuration : JSON.stringify(configuration));
}

async function commandLine(pid: number): Promise<string> {
  // A process that is gone has no command line.
  return await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
}

/** The inode of the accepted socket between these ports of 127.0.0.1 (proc(5), /proc/net/tcp). */
async function socketInode(localPort: number, peerPort: number): Promise<string | undefined> {
  const hex = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of (await readFile('/proc/net/tcp', 'latin1')).split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === hex(localPort) && fields[2] === hex(peerPort)) return fields[9];
  }
  return undefined;
}

async function holds(pid: number, inode: string): Promise<boolean> {
  // Descriptors come and go while they are listed.
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    if (target === `socket:[${inode}]`) return true;
  }
  return false;
}
