// A packet watcher at the edge: every connection that is begun towards a node, whether or not anything answers, and by whom.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';

export interface Syn {
  /** `performance.now()` of this process when the kernel's event was read. */
  readonly atMs: number;
  /** The node's address. */
  readonly to: string;
  readonly port: number;
  /** The user whose process sent it, where a rule marks it; 0 is everybody else, which is Portico. */
  readonly mark: number;
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
      if (to === undefined) return;
      const mark = Number(/ mark=(\d+)/.exec(line)?.[1] ?? 0);
      this.#syns.push({ atMs: performance.now(), to, port: Number(port), mark });
    });
  }

  /** Connections that this sender began to the address and ports in the time; its health checks are among them. */
  between(to: string, ports: readonly number[], fromMs: number, untilMs: number, mark = 0): readonly Syn[] {
    return this.#syns.filter(
      (syn) =>
        syn.to === to &&
        syn.mark === mark &&
        ports.includes(syn.port) &&
        syn.atMs >= fromMs &&
        syn.atMs < untilMs,
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

/** Connection tracking looks at packets only where some rule asks for it; those of the users' processes are marked. */
export function trackingRules(uids: readonly number[]): string {
  const marks = uids.map((uid) => `  meta skuid ${uid} ct mark set ${uid}\n`).join('');
  return `table ip portico_watch {
 chain out {
  type filter hook output priority 0;
${marks}  ct state new counter
 }
}
`;
}
