// A pod of the world: its object in the API, its namespace, the program in it, and the end that Kubernetes gives it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runPeer } from '../../support/peers.ts';
import { podObject, podReadyStatus, type ServiceName } from '../objects.ts';
import { fromMonotonic } from './arrivals.ts';
import type { KubeletContext, Machine } from './machine.ts';
import { nodeIndexOf } from './network.ts';

const POD_SERVER = fileURLToPath(new URL('pod-server.ts', import.meta.url));
const COUNTING_POD = fileURLToPath(new URL('counting-pod.ts', import.meta.url));

/** `counting`: tells only how many requests it has answered. */
export type PodKind = 'http' | 'ssh' | 'counting';

let podNumber = 0;

/** A pod: its object in the API, its namespace, and the program in it. */
export class Pod {
  readonly service: ServiceName;
  readonly name: string;
  readonly machine: Machine;
  /** Answered so far by one that counts. */
  requests = 0;
  readonly #kind: PodKind;
  readonly #context: KubeletContext;
  #namespace = '';
  #address = '';
  #process: ChildProcess | null = null;
  #lastLine = '';
  readonly #connected = new Map<string, number>();

  constructor(context: KubeletContext, service: ServiceName, machine: Machine, kind: PodKind) {
    this.#context = context;
    this.service = service;
    this.machine = machine;
    this.#kind = kind;
    this.name = `${service.name}-${++podNumber}`;
  }

  /** Created, started, and reported ready; the endpoint slice controller does the rest. */
  async start(): Promise<void> {
    const { network, api } = this.#context;
    const { namespace, address } = await network.addPod(this.machine.place);
    this.#namespace = namespace;
    this.#address = address;
    await api.create(`/api/v1/namespaces/${this.service.namespace}/pods`, {
      ...podObject(this.service, this.name, this.machine.name),
    });
    await (this.#kind === 'ssh' ? this.#startSsh() : this.#startHttp());
    await api.patch(this.#path('/status'), podReadyStatus(address));
  }

  /** What the node controller writes when the machine has been silent for too long. */
  async setNotReady(): Promise<void> {
    const conditions = ['Ready', 'ContainersReady'].map((type) => ({ type, status: 'False' }));
    await this.#context.api.patch(this.#path('/status'), { status: { conditions } });
  }

  async setReady(): Promise<void> {
    await this.#context.api.patch(this.#path('/status'), podReadyStatus(this.#address));
  }

  /** Deleted by its owner: the grace period begins, and it serves on. */
  async terminate(graceSeconds = 30): Promise<void> {
    await this.#context.api.delete(this.#path(), graceSeconds);
    if (this.#kind === 'http') this.#process?.kill('SIGTERM');
  }

  /** The grace period is over: the program ends as well as it can, the object goes, then the network. */
  async end(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      // sshd's listener ends and its sessions are left to finish.
      child.kill(this.#kind === 'ssh' ? 'SIGTERM' : 'SIGINT');
      await exit;
    }
    await this.#context.api.delete(this.#path(), 0);
    if (this.#kind !== 'ssh') await this.#context.network.removeNamespace(this.#namespace);
  }

  /** What pod garbage collection does after the machine is gone: the program died with it. */
  async lose(): Promise<void> {
    this.kill();
    await this.#context.api.delete(this.#path(), 0);
  }

  /** At once and with everything that it started. */
  kill(): void {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      // All of it has ended already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  #path(subresource = ''): string {
    return `/api/v1/namespaces/${this.service.namespace}/pods/${this.name}${subresource}`;
  }

  async #startHttp(): Promise<void> {
    const words =
      this.#kind === 'counting'
        ? [COUNTING_POD, this.name]
        : [POD_SERVER, this.service.name, this.name, this.machine.name];
    const child = this.#spawn([process.execPath, ...words, '80'], 'stdout');
    const { promise, resolve } = Promise.withResolvers<void>();
    readline.createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#lastLine = line;
      if (line === '"listening"') resolve();
      else if (this.#kind === 'counting') this.requests = Number(line);
      else this.#readHttp(line);
    });
    await Promise.race([promise, this.#failure(child)]);
  }

  #readHttp(line: string): void {
    const [atMs, from, what, by] = JSON.parse(line) as [number, string, string, string];
    if (what.endsWith('/_ping')) {
      this.#context.arrivals.probes++;
      return;
    }
    this.#arrived(fromMonotonic(atMs), from, what, by);
  }

  #arrived(atMs: number, from: string, what: string, by = 'portico'): void {
    // Under Cluster the entry node shows as the source; under Local the source is the edge and the node is the pod's.
    const index = nodeIndexOf(from);
    const entry = index === null ? this.machine.name : `node-${index}`;
    this.#context.arrivals.add({ atMs, service: this.service.name, entry, pod: this.name, what, by });
  }

  async #startSsh(): Promise<void> {
    const { ssh } = this.#context;
    const file = path.join(ssh.directory, `${this.name}.conf`);
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    const lines = [
      'ListenAddress 0.0.0.0:22',
      `HostKey ${path.join(ssh.directory, 'host-key')}`,
      `AuthorizedKeysFile ${path.join(ssh.directory, 'authorized_keys')}`,
      `ForceCommand ${path.join(ssh.directory, 'session.sh')}`,
      'PidFile none',
      'AuthenticationMethods publickey',
      'PermitRootLogin prohibit-password',
      'UsePAM no',
      'StrictModes no',
      `SetEnv HOME=${ssh.directory}`,
      'LogLevel VERBOSE',
      'MaxStartups 200',
      'UseDNS no',
    ];
    await writeFile(file, [...lines, 'PerSourcePenalties no'].join('\n'));
    try {
      runPeer(ssh.programs.sshd, ['-t', '-f', file]);
    } catch {
      // An sshd before 9.8, which has no such penalties.
      await writeFile(file, lines.join('\n'));
    }
    const child = this.#spawn([ssh.programs.sshd, '-D', '-e', '-f', file], 'stderr');
    const { promise, resolve } = Promise.withResolvers<void>();
    readline.createInterface({ input: child.stderr! }).on('line', (line) => {
      this.#lastLine = line;
      if (line.startsWith('Server listening')) resolve();
      else this.#readSsh(line);
    });
    await Promise.race([promise, this.#failure(child)]);
  }

  /** A session began when it connected; a probe reads the banner and leaves. */
  #readSsh(line: string): void {
    const connected = /^Connection from (\S+) port (\d+) /.exec(line);
    if (connected !== null) {
      this.#connected.set(`${connected[1]} port ${connected[2]}`, performance.now());
      return;
    }
    const [client = '', from = ''] = / (\S+) port \d+/.exec(line) ?? [];
    if (line.startsWith('Accepted publickey')) {
      const by = this.#context.sshClients.get(/ (SHA256:\S+)$/.exec(line.trim())?.[1] ?? '');
      this.#arrived(this.#connected.get(client.trim()) ?? performance.now(), from, 'ssh session', by);
      this.#connected.delete(client.trim());
    } else if (/^(banner exchange|kex_exchange_identification|Connection closed)/.test(line)) {
      this.#context.arrivals.probes++;
      this.#connected.delete(client.trim());
    }
  }

  /** A process group of its own: sessions outlive a listener, and `kill` must reach both. */
  #spawn(command: readonly string[], read: 'stdout' | 'stderr'): ChildProcess {
    const words = [...this.#context.network.enter(this.#namespace), ...command];
    const child = spawn(words[0]!, words.slice(1), {
      detached: true,
      stdio: ['ignore', read === 'stdout' ? 'pipe' : 'ignore', read === 'stderr' ? 'pipe' : 'inherit'],
    });
    this.#process = child;
    return child;
  }

  async #failure(child: ChildProcess): Promise<never> {
    const [code] = (await once(child, 'exit')) as [number | null];
    throw new Error(`${this.name} ended with ${code}: ${this.#lastLine}`);
  }
}
