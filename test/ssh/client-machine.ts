// A machine on a wire of its own that people sit at, with OpenSSH's client, git and curl.

import path from 'node:path';
import { type Address, Machine, type MachineContext } from './machine.ts';

export interface SessionOptions {
  /** `root` unless set. */
  readonly user?: string;
  /** Whether ssh says something every second, whatever git does. */
  readonly talking?: boolean;
}

export class ClientMachine extends Machine {
  #clones = 0;

  static async boot(context: MachineContext, index: number): Promise<ClientMachine> {
    return new ClientMachine(await context.network.addNode(`client-${index}`, index), context);
  }

  get address(): string {
    return this.place.address;
  }

  /** `ssh -T`: what the session says, or an error with what ssh complains of. */
  async greet(at: Address, options: SessionOptions = {}): Promise<string> {
    const { user = 'root' } = options;
    const words = [...this.#ssh(options), '-T', '-p', String(at.port), `${user}@${at.host}`];
    return await this.run(words);
  }

  /** A whole clone; the commit that it arrived at, or an error with git's complaint. */
  async clone(at: Address, repository: string, options: SessionOptions = {}): Promise<string> {
    this.#clones += 1;
    const target = path.join(this.context.directory, `clone-${this.place.index}-${this.#clones}`);
    await this.#git(['clone', '--quiet', repositoryUrl(at, repository, options), target], options);
    return (await this.#git(['-C', target, 'rev-parse', 'HEAD'])).trim();
  }

  /** Pushes the branch `main` of a working tree. */
  async push(from: string, at: Address, repository: string, options: SessionOptions = {}): Promise<void> {
    const url = repositoryUrl(at, repository, options);
    await this.#git(['-C', from, 'push', '--quiet', url, 'main'], options);
  }

  #git(words: readonly string[], options: SessionOptions = {}): Promise<string> {
    const command = this.#ssh(options).map((word) => `'${word}'`);
    const environment = { GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_GLOBAL: '/dev/null' };
    const { git } = this.context.programs;
    return this.run([git, ...words], { ...environment, GIT_SSH_COMMAND: command.join(' ') });
  }

  #ssh({ talking = false }: SessionOptions): readonly string[] {
    const { fixture, programs } = this.context;
    return [
      programs.ssh,
      ...['-F', '/dev/null', '-i', fixture.clientKey, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
      // Who answers is what the tests tell by other means.
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
      // The default key exchange, safe against quantum computers, costs most of a session's CPU time.
      ...['-o', 'KexAlgorithms=curve25519-sha256', '-o', 'TCPKeepAlive=no'],
      // Never answered by a machine that is gone, and never given up.
      ...['-o', `ServerAliveInterval=${talking ? 1 : 0}`, '-o', 'ServerAliveCountMax=1000'],
    ];
  }
}

function repositoryUrl(at: Address, repository: string, { user = 'root' }: SessionOptions): string {
  return `ssh://${user}@${at.host}:${at.port}/${repository}`;
}
