// A real daemon for one test: its configuration in a folder of its own, a free port, its words, and its end.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { until } from './until.ts';

const START_MS = 20_000;

export interface PeerPlan {
  readonly program: string;
  readonly port: number;
  /** Files by name; `FOLDER` in them stands for the folder they lie in. */
  readonly files: Readonly<Record<string, string>>;
  /** `FOLDER` stands for the folder. */
  readonly args: readonly string[];
}

export class PeerProcess {
  readonly port: number;
  /** All that it has written, on both streams. */
  said = '';
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, port: number, folder: string) {
    this.#child = child;
    this.port = port;
    this.#folder = folder;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk) => {
        this.said += String(chunk);
      });
    }
  }

  /** Resolves when it accepts connections; throws with what it said when it does not. */
  static async start({ program, port, files, args }: PeerPlan): Promise<PeerProcess> {
    const folder = await mkdtemp(path.join(tmpdir(), 'portico-peer-'));
    const placed = (text: string): string => text.replaceAll('FOLDER', folder);
    for (const [name, text] of Object.entries(files)) {
      await writeFile(path.join(folder, name), placed(text), { mode: 0o600 });
    }
    const child = spawn(program, args.map(placed), { stdio: ['ignore', 'pipe', 'pipe'] });
    const peer = new PeerProcess(child, port, folder);
    try {
      await peer.#accepts();
    } catch (error) {
      await peer.stop();
      throw new Error(`${program} does not start: ${String(error)}\n${peer.said}`);
    }
    return peer;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #accepts(): Promise<void> {
    const tries = async (): Promise<boolean> => {
      if (this.#child.exitCode !== null) throw new Error(`exit code ${this.#child.exitCode}`);
      const socket = net.connect(this.port, '127.0.0.1');
      const accepted = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      socket.destroy();
      return accepted;
    };
    await until('it to accept', tries, START_MS);
  }
}
