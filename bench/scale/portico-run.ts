// One Portico of the scale benchmark, with what its log and its processes say.

import { createReadStream, createWriteStream, readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Child, startNode } from '../measure/child.ts';
import { parseStat } from '../measure/proc-stat.ts';

export interface LogLine {
  readonly code?: string;
  readonly message?: string;
  readonly time: string;
  readonly role?: string;
  readonly version?: number;
  readonly tookMs?: number | null;
  readonly by?: string;
  readonly cluster?: string;
}

/** What one process has used and holds. */
export interface ProcessUse {
  readonly role: 'supervisor' | 'controller' | 'worker';
  readonly pid: number;
  readonly cpuMs: number;
  readonly rssMiB: number;
}

export class PorticoRun {
  readonly #child: Child;
  readonly #admin: string;
  readonly #logFile: string;

  private constructor(child: Child, admin: string, logFile: string) {
    this.#child = child;
    this.#admin = admin;
    this.#logFile = logFile;
  }

  static start(
    cores: string,
    configPath: string,
    admin: string,
    logFile: string,
    level = 'debug',
  ): PorticoRun {
    const entry = fileURLToPath(new URL('../../src/portico.js', import.meta.url));
    const child = startNode(cores, [entry, 'run', '-c', configPath, '--log-level', level]);
    const log = createWriteStream(logFile);
    for (const stream of [child.process.stdout!, child.process.stderr!]) stream.pipe(log, { end: false });
    return new PorticoRun(child, admin, logFile);
  }

  get child(): Child {
    return this.#child;
  }

  /** Epoch milliseconds of the first `/ready` that says yes. */
  async ready(): Promise<number> {
    const untilMs = performance.now() + 60_000;
    for (;;) {
      const reply = await this.#get('/ready').catch(() => null);
      if (reply?.status === 200) return Date.now();
      const end = this.#child.ended();
      if (end !== null || performance.now() > untilMs)
        throw new Error(`Portico is not ready (${end ?? 'late'}): ${this.#child.errors()}`);
      await delay(20);
    }
  }

  async metrics(): Promise<string> {
    return (await this.#get('/metrics')).body;
  }

  processes(): readonly ProcessUse[] {
    const uses: ProcessUse[] = [];
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const stat = parseStat(readFileSync(`/proc/${name}/stat`, 'latin1'));
        if (stat.pid !== this.#child.pid && stat.parent !== this.#child.pid) continue;
        const command = readFileSync(`/proc/${name}/cmdline`, 'latin1');
        const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${name}/status`, 'latin1'))?.[1];
        const role = command.includes('--role=controller')
          ? 'controller'
          : command.includes('--role=worker')
            ? 'worker'
            : 'supervisor';
        const cpuMs = stat.userMs + stat.systemMs;
        uses.push({ role, pid: stat.pid, cpuMs, rssMiB: Number(rss ?? 0) / 1024 });
      } catch (error) {
        if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
    }
    return uses;
  }

  /** The lines of its log so far, that are of interest. */
  async log(): Promise<readonly LogLine[]> {
    const lines: LogLine[] = [];
    for await (const line of createInterface({ input: createReadStream(this.#logFile) })) {
      if (!INTERESTING.test(line)) continue;
      try {
        lines.push(JSON.parse(line) as LogLine);
      } catch {
        // The last line may be half written.
      }
    }
    return lines;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  #get(target: string): Promise<{ readonly status: number; readonly body: string }> {
    return new Promise((resolve, reject) => {
      const socketPath = path.resolve(this.#admin.slice('unix:'.length));
      const request = http.get({ socketPath, path: target, headers: { host: 'localhost' } }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      request.on('error', reject);
    });
  }
}

const INTERESTING = /snapshot-(made|applied|taken)|inventory is live|"by":"node:|"by":"[^"]*slice\//;
