// Portico as its users run it: `portico run -c FILE`, its commands and its admin API.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ExplainedTarget } from '../../src/model/targets.ts';
import { awaitReady, type Child, startChild, until } from './child.ts';
import { type CommandResult, type RunOptions, runCommand, type Transcript } from './kubectl.ts';

const PROGRAM = fileURLToPath(new URL('../../src/portico.js', import.meta.url));
const ANSWER_LIMIT_MS = 2000;

export interface PorticoOptions {
  readonly directory: string;
  /** Written as YAML to `portico.yaml` in the directory. */
  readonly configuration: object;
  readonly adminPort: number;
  readonly transcript: Transcript;
}

export interface ExpectedTarget {
  readonly state: ExplainedTarget['state'] | 'gone';
  /** Codes that must be among the reasons. */
  readonly reasons?: readonly ExplainedTarget['reasons'][number]['code'][];
  readonly lastResort?: boolean;
  readonly health?: ExplainedTarget['health'];
  readonly port?: number;
}

export class Portico {
  readonly #options: PorticoOptions;
  #child: Child | null = null;

  constructor(options: PorticoOptions) {
    this.#options = options;
  }

  get configurationFile(): string {
    return path.join(this.#options.directory, 'portico.yaml');
  }

  get logFile(): string {
    return path.join(this.#options.directory, 'portico.log');
  }

  get pid(): number {
    if (this.#child === null) {
      throw new Error('Portico was not started');
    }
    return this.#child.pid;
  }

  ended(): string | null {
    return this.#child?.ended() ?? null;
  }

  async writeConfiguration(configuration: object): Promise<void> {
    await writeFile(this.configurationFile, stringify(configuration, { aliasDuplicateObjects: false }));
  }

  /** Resolves when `/ready` says so. */
  async start(limitMs = 20_000): Promise<void> {
    await this.writeConfiguration(this.#options.configuration);
    const child = startChild({
      name: 'portico',
      command: process.execPath,
      parameters: [PROGRAM, 'run', '-c', this.configurationFile],
      logPath: this.logFile,
      directory: this.#options.directory,
      environment: { NO_COLOR: '1' },
    });
    this.#child = child;
    await awaitReady(child, limitMs, () => this.isReady());
  }

  async isReady(): Promise<boolean> {
    try {
      return (await this.admin('/ready')).status === 200;
    } catch {
      // Not listening (yet, or while the controller is replaced): not ready.
      return false;
    }
  }

  /** SIGTERM, then the exit code; SIGKILL when it takes longer than the limit. */
  async drain(limitMs: number): Promise<number | null> {
    const child = this.#child;
    if (child === null) {
      return null;
    }
    await child.stop('SIGTERM', limitMs);
    return (await child.exit).code;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** GET on the admin address. */
  async admin(pathname: string): Promise<{ status: number; body: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
    const request = http.get(
      { host: '127.0.0.1', port: this.#options.adminPort, path: pathname, agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.once('error', reject);
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    request.setTimeout(ANSWER_LIMIT_MS, () =>
      request.destroy(new Error(`${pathname}: no answer in ${ANSWER_LIMIT_MS} ms`)),
    );
    request.once('error', reject);
    return await promise;
  }

  /** Every service x node, from the admin API. */
  async targets(): Promise<readonly ExplainedTarget[]> {
    const { status, body } = await this.admin('/targets');
    if (status !== 200) {
      throw new Error(`/targets: status ${status}: ${body}`);
    }
    return readTargets(body);
  }

  /** One number of `/metrics`: the sum of the series of that name whose labels include all of these. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | null> {
    const { body } = await this.admin('/metrics');
    let sum: number | null = null;
    for (const line of body.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
      const wanted = Object.entries(labels).every(([k, v]) => match?.[2]?.includes(`${k}="${v}"`));
      if (match?.[1] === name && wanted) {
        sum = (sum ?? 0) + Number(match[3]);
      }
    }
    return sum;
  }

  /** A command of the `portico` program, into the transcript. */
  async command(parameters: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    return await runCommand(
      this.#options.transcript,
      process.execPath,
      [PROGRAM, ...parameters],
      ['portico', ...parameters],
      { ...options, environment: { NO_COLOR: '1', ...options.environment } },
    );
  }

  /** What the `targets --json` command prints, parsed: it must say the same as the admin API. */
  async targetsCommand(): Promise<readonly ExplainedTarget[]> {
    const result = await this.command(['targets', '--json', ...this.adminFlags], { quiet: true });
    if (result.code !== 0) {
      throw new Error(`portico targets --json: exit code ${result.code}: ${result.stderr}`);
    }
    return readTargets(result.stdout);
  }

  /** Where the commands find this Portico. */
  get adminFlags(): readonly string[] {
    return ['--admin', `http://127.0.0.1:${this.#options.adminPort}`];
  }

  /** Polls `/targets` until the pool's rows are as expected; returns when that was first seen. */
  async awaitTargets(
    pool: string,
    expected: Readonly<Record<string, ExpectedTarget>>,
    limitMs: number,
  ): Promise<number> {
    let last = '';
    try {
      return await until(
        `targets of ${pool}`,
        limitMs,
        async () => {
          try {
            const rows = (await this.targets()).filter((row) => row.pool === pool);
            last = differences(rows, expected);
          } catch (error) {
            // While the controller is replaced nobody answers: said in the end if it stays so.
            last = (error as Error).message;
          }
          return last === '' ? performance.now() : undefined;
        },
        10,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${last}`);
    }
  }

  /** Pids of the supervisor's children that were started with this role. */
  async childrenOfRole(role: 'controller' | 'worker'): Promise<number[]> {
    const found: number[] = [];
    for (const pid of await childPids(this.pid)) {
      // It may have ended since it was listed.
      const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      if (words.includes(`--role=${role}`) || words.startsWith(`portico ${role}`)) {
        found.push(pid);
      }
    }
    return found;
  }

  /** The process and everything below it that still lives. */
  async processTree(): Promise<number[]> {
    const tree = [this.pid];
    for (const pid of tree) {
      tree.push(...(await childPids(pid)));
    }
    return tree;
  }
}

/** Direct children of a process, from /proc. */
async function childPids(parent: number): Promise<number[]> {
  const result: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) {
      continue;
    }
    // The process may have ended since the directory was read.
    const stat = await readFile(`/proc/${entry}/stat`, 'latin1').catch(() => '');
    // Field 4, after the command in parentheses, which may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(fields[1]) === parent) {
      result.push(Number(entry));
    }
  }
  return result;
}

function readTargets(text: string): readonly ExplainedTarget[] {
  const parsed = JSON.parse(text) as readonly ExplainedTarget[] | { targets: readonly ExplainedTarget[] };
  return 'targets' in parsed ? parsed.targets : parsed;
}

/** Empty when the rows are as expected; nodes that are not named may be anything. */
function differences(
  rows: readonly ExplainedTarget[],
  expected: Readonly<Record<string, ExpectedTarget>>,
): string {
  const problems: string[] = [];
  for (const [node, want] of Object.entries(expected)) {
    const row = rows.find((candidate) => candidate.node === node);
    if (want.state === 'gone' ? row !== undefined && row.state !== 'excluded' : row?.state !== want.state) {
      problems.push(`${node} is ${describe(row)}, not ${want.state}`);
      continue;
    }
    for (const code of want.reasons ?? []) {
      if (row?.reasons.some((reason) => reason.code === code) !== true) {
        problems.push(`${node} has no reason ${code}: ${describe(row)}`);
      }
    }
    if (want.lastResort !== undefined && row?.lastResort !== want.lastResort) {
      problems.push(`${node} has lastResort ${row?.lastResort}`);
    }
    if (want.health !== undefined && row?.health !== want.health) {
      problems.push(`${node} is ${describe(row)}, not ${want.health}`);
    }
    if (want.port !== undefined && row?.port !== want.port) {
      problems.push(`${node} has port ${row?.port}, not ${want.port}`);
    }
  }
  return problems.join('; ');
}

export function describe(row: ExplainedTarget | undefined): string {
  return row === undefined
    ? 'not listed'
    : `${row.state} (${row.reasons.map((reason) => reason.code).join(', ')}; ${row.health})`;
}
