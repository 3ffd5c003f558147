// Machines on a wire of their own: those that run a real sshd, go-mmproxy before it where asked, and those of clients.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { awaitReady, type Child, startChild } from '../cluster/child.ts';
import { runProgram } from '../cluster/clients.ts';
import { type Network, type NodePlace, nodeAddress } from '../cluster/netns/network.ts';
import type { SshFixture } from '../cluster/sshd.ts';
import type { requirePeers } from '../support/peers.ts';

export type Programs = ReturnType<
  typeof requirePeers<'sshd' | 'ssh' | 'ssh-keygen' | 'git' | 'ip' | 'nsenter' | 'nft' | 'go-mmproxy'>
>;

const READY_LIMIT_MS = 30_000;
/** Where go-mmproxy listens; sshd is on 127.0.0.1:22 behind it. */
export const MMPROXY_PORT = 2222;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface MachineContext {
  readonly network: Network;
  readonly fixture: SshFixture;
  readonly programs: Programs;
  readonly directory: string;
}

/** A machine with Debian's sshd on it. */
export class SshMachine {
  readonly place: NodePlace;
  readonly #context: MachineContext;
  readonly #children: Child[] = [];
  #sshd: Child | null = null;

  private constructor(place: NodePlace, context: MachineContext) {
    this.place = place;
    this.#context = context;
  }

  /** @param settings lines of sshd_config in front of the others, whose first value counts */
  static async start(
    context: MachineContext,
    index: number,
    settings: readonly string[] = [],
  ): Promise<SshMachine> {
    const place = await context.network.addNode(`sshd-${index}`, index);
    const machine = new SshMachine(place, context);
    await machine.#startSshd(settings);
    return machine;
  }

  /** Where sshd is. */
  get at(): string {
    return `${this.place.address}:22`;
  }

  /** All that sshd has logged. */
  async log(): Promise<string> {
    return await readFile(this.#sshd!.logPath, 'utf8');
  }

  /** All that go-mmproxy has logged. */
  async mmproxyLog(): Promise<string> {
    return await readFile(this.#logPath('mmproxy'), 'utf8');
  }

  #logPath(what: string): string {
    return path.join(this.#context.directory, `${this.place.name}-${what}.log`);
  }

  async #startSshd(settings: readonly string[]): Promise<void> {
    const { fixture, programs, directory } = this.#context;
    // Root's sshd drops privileges into this directory; a package's service script would have made it.
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    const file = path.join(directory, `${this.place.name}.conf`);
    const lines = [
      ...settings,
      'ListenAddress 0.0.0.0:22',
      `HostKey ${path.join(fixture.directory, 'host-key')}`,
      `AuthorizedKeysFile ${path.join(fixture.directory, 'authorized_keys')}`,
      `ForceCommand ${path.join(fixture.directory, 'session.sh')}`,
      'PidFile none',
      'AuthenticationMethods publickey',
      'PermitRootLogin prohibit-password',
      'UsePAM no',
      'StrictModes no',
      `SetEnv HOME=${fixture.directory}`,
      'UseDNS no',
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    this.#sshd = this.#run('sshd', [programs.sshd, '-D', '-e', '-f', file]);
    // Asked of the kernel: a connect would be in the log.
    const listeners = [
      ...this.#context.network.enter(this.place.namespace),
      'ss',
      '-Hltn',
      'sport',
      '=',
      ':22',
    ];
    await awaitReady(this.#sshd, READY_LIMIT_MS, async () =>
      (await runProgram(listeners[0]!, listeners.slice(1))).stdout.includes(':22'),
    );
  }

  /** go-mmproxy takes PROXY headers on `MMPROXY_PORT`, and connects to sshd as the client that they name. */
  async startMmproxy(): Promise<string> {
    const { network, programs } = this.#context;
    // What sshd answers to a client's address must come back to this machine's own sockets (go-mmproxy's README).
    await network.ipIn(this.place.namespace, [
      'rule add from 127.0.0.1/8 iif lo table 123',
      'route add local 0.0.0.0/0 dev lo table 123',
    ]);
    const at = `${this.place.address}:${MMPROXY_PORT}`;
    const words = [programs['go-mmproxy'], '-l', at, '-4', '127.0.0.1:22', '-v', '2'];
    const child = this.#run('mmproxy', words);
    await awaitReady(child, READY_LIMIT_MS, async () =>
      (await readFile(child.logPath, 'utf8')).includes('listening'),
    );
    return at;
  }

  #run(what: string, words: readonly string[]): Child {
    const { network } = this.#context;
    const [command, ...parameters] = [...network.enter(this.place.namespace), ...words];
    const child = startChild({
      name: `${what} on ${this.place.name}`,
      command: command!,
      parameters,
      logPath: this.#logPath(what),
    });
    this.#children.push(child);
    return child;
  }

  async close(): Promise<void> {
    for (const child of this.#children.splice(0)) await child.stop('SIGKILL');
    await this.#context.network.removeNode(this.place);
  }
}

/** A machine that people sit at, with OpenSSH's client and git. */
export class ClientMachine {
  readonly place: NodePlace;
  readonly #context: MachineContext;
  #clones = 0;

  private constructor(place: NodePlace, context: MachineContext) {
    this.place = place;
    this.#context = context;
  }

  static async start(context: MachineContext, index: number): Promise<ClientMachine> {
    return new ClientMachine(await context.network.addNode(`client-${index}`, index), context);
  }

  get address(): string {
    return nodeAddress(this.place.index);
  }

  /** `ssh -T`: what the session says, or an error with what ssh complains of. */
  async greet(at: Address): Promise<string> {
    const { programs } = this.#context;
    const { code, stdout, stderr } = await this.#run([
      programs.ssh,
      ...this.#options(),
      '-T',
      '-p',
      String(at.port),
      `root@${at.host}`,
    ]);
    if (code !== 0) throw new Error(`ssh ended with ${code}: ${stderr.trim()}`);
    return stdout;
  }

  /** A whole clone; the commit that it arrived at, or an error with git's complaint. */
  async clone(at: Address, repository: 'project.git' | 'stalled.git'): Promise<string> {
    const { programs, directory } = this.#context;
    this.#clones += 1;
    const target = path.join(directory, `clone-${this.place.index}-${this.#clones}`);
    const command = [programs.ssh, ...this.#options()].map((word) => `'${word}'`).join(' ');
    const environment = {
      GIT_SSH_COMMAND: command,
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_GLOBAL: '/dev/null',
    };
    const url = `ssh://root@${at.host}:${at.port}/${repository}`;
    const cloned = await this.#run([programs.git, 'clone', '--quiet', url, target], environment);
    if (cloned.code !== 0) throw new Error(`git clone ended with ${cloned.code}: ${cloned.stderr.trim()}`);
    const head = await this.#run([programs.git, '-C', target, 'rev-parse', 'HEAD'], environment);
    return head.stdout.trim();
  }

  #options(): readonly string[] {
    const { fixture } = this.#context;
    return [
      ...['-F', '/dev/null', '-i', fixture.clientKey, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
      // The host key is the same on every machine, whatever port Portico was given.
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
      // The default key exchange, safe against quantum computers, costs most of a session's CPU time.
      ...['-o', 'KexAlgorithms=curve25519-sha256', '-o', 'ServerAliveInterval=0', '-o', 'TCPKeepAlive=no'],
    ];
  }

  async #run(
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Awaited<ReturnType<typeof runProgram>>> {
    const [command, ...parameters] = [...this.#context.network.enter(this.place.namespace), ...words];
    return await runProgram(command!, parameters, environment);
  }

  async close(): Promise<void> {
    await this.#context.network.removeNode(this.place);
  }
}
