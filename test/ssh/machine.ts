// A machine on a wire of its own, and the programs that run on it until it is taken away.

import path from 'node:path';
import { awaitReady, type Child, startChild } from '../cluster/child.ts';
import { runProgram } from '../cluster/clients.ts';
import type { Network, NodePlace } from '../cluster/netns/network.ts';
import type { SshFixture } from '../cluster/sshd.ts';
import type { requirePeers } from '../support/peers.ts';

export const SSH_PROGRAMS = [
  'sshd',
  'ssh',
  'ssh-keygen',
  'git',
  'curl',
  'ip',
  'nsenter',
  'nft',
  'go-mmproxy',
] as const;

const READY_LIMIT_MS = 60_000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface MachineContext {
  readonly network: Network;
  readonly fixture: SshFixture;
  readonly programs: ReturnType<typeof requirePeers<(typeof SSH_PROGRAMS)[number]>>;
  readonly directory: string;
}

export class Machine {
  readonly place: NodePlace;
  readonly context: MachineContext;
  readonly #children: Child[] = [];

  constructor(place: NodePlace, context: MachineContext) {
    this.place = place;
    this.context = context;
  }

  /** Starts a program on it, which runs until it is stopped; its output is `logPath` of the same name. */
  start(what: string, words: readonly string[]): Child {
    const [command, ...parameters] = this.#inside(words);
    const name = `${what} on ${this.place.name}`;
    const child = startChild({ name, command: command!, parameters, logPath: this.logPath(what) });
    this.#children.push(child);
    return child;
  }

  /** Runs a program on it to its end: what it printed, or an error with its complaint. */
  async run(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
    const [command, ...parameters] = this.#inside(words);
    const { code, stdout, stderr } = await runProgram(command!, parameters, environment);
    if (code !== 0)
      throw new Error(`${path.basename(words[0]!)} ended with ${code}: ${stderr.trim()}\n${stdout.trim()}`);
    return stdout;
  }

  /** Waits until something listens on the port, by what the kernel says: a connect would be in a log. */
  async untilListening(child: Child, port: number): Promise<void> {
    const words = ['ss', '-Hltn', 'sport', '=', `:${port}`];
    await awaitReady(child, READY_LIMIT_MS, async () => (await this.run(words)).includes(`:${port}`));
  }

  logPath(what: string): string {
    return path.join(this.context.directory, `${this.place.name}-${what}.log`);
  }

  #inside(words: readonly string[]): readonly string[] {
    return [...this.context.network.enter(this.place.namespace), ...words];
  }

  async close(): Promise<void> {
    for (const child of this.#children.splice(0)) await child.stop('SIGKILL');
    await this.context.network.removeNode(this.place);
  }
}
