// A packet watcher at the edge: every connection that is begun towards a node port, whether or not anything answers.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';

export interface Syn {
  /** `performance.now()` of this process when the kernel's event was read. */
  readonly atMs: number;
  /** The node's address. */
  readonly to: string;
  readonly port: number;
}

/** Connections as the edge's connection tracking reports them: one event for the first packet of each. */
export class SynWatch {
  readonly #syns: Syn[] = [];
  readonly #child: ChildProcess;

  constructor(conntrack: string) {
    this.#child = spawn(conntrack, ['-E', '-e', 'NEW', '-p', 'tcp', '-b', '4194304'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    readline.createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const [, to, port] = / dst=(10\.240\.0\.\d+) sport=\d+ dport=(\d+) /.exec(line) ?? [];
      if (to !== undefined) this.#syns.push({ atMs: performance.now(), to, port: Number(port) });
    });
  }

  /** Connections begun to the address and port in the time; health probes are among them. */
  between(to: string, port: number, fromMs: number, untilMs: number): readonly Syn[] {
    return this.#syns.filter(
      (syn) => syn.to === to && syn.port === port && syn.atMs >= fromMs && syn.atMs < untilMs,
    );
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exit;
    }
  }
}

/** Connection tracking looks at packets only where some rule asks for it. */
export const TRACKING_RULES = `table ip portico_watch {
  chain out { type filter hook output priority 0; ct state new counter; }
}
`;
