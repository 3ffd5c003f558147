// Git over SSH as it is in life: Debian's sshd on a node's address and port, serving one bare repository read-only.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import process from 'node:process';
import readline from 'node:readline';
import { runPeer } from '../support/peers.ts';
import { type ArrivalLog, NODES } from './backends.ts';
import { until } from './child.ts';

/** Incompressible, so that a clone moves as many bytes as the repository has. */
const REPOSITORY_BYTES = 1024 * 1024;
const SLOW_CHUNK_BYTES = 32 * 1024;
const SLOW_CHUNK_EVERY_MS = 150;
const STALL_AFTER_BYTES = 256 * 1024;

export interface SshPrograms {
  readonly sshd: string;
  readonly 'ssh-keygen': string;
  readonly git: string;
}

/** Keys, repository and the one command that a session may run; shared by the sshd of every node. */
export interface SshFixture {
  readonly directory: string;
  readonly programs: SshPrograms;
  readonly clientKey: string;
  /** The public host key: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  /** Commit that every clone must arrive at. */
  readonly head: string;
}

export async function createSshFixture(directory: string, programs: SshPrograms): Promise<SshFixture> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of ['host-key', 'client-key']) {
    const file = path.join(directory, name);
    runPeer(programs['ssh-keygen'], ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
  }
  const work = path.join(directory, 'work');
  const bare = path.join(directory, 'project.git');
  const identity = ['-c', 'user.name=Portico', '-c', 'user.email=portico@example.com'];
  runPeer(programs.git, ['init', '-q', '-b', 'main', work]);
  await writeFile(path.join(work, 'README.md'), '# A repository behind Portico\n');
  await writeFile(path.join(work, 'data.bin'), randomBytes(REPOSITORY_BYTES));
  runPeer(programs.git, ['add', '-A'], work);
  runPeer(programs.git, [...identity, 'commit', '-q', '-m', 'First'], work);
  runPeer(programs.git, ['clone', '-q', '--bare', work, bare]);
  const head = runPeer(programs.git, ['rev-parse', 'HEAD'], work).trim();

  await writeFile(path.join(directory, 'slow.mjs'), slowPipe());
  await writeFile(path.join(directory, 'stalled.mjs'), stalledPipe(directory));
  const command = path.join(directory, 'session.sh');
  await writeFile(command, sessionScript(directory, programs.git));
  await chmod(command, 0o700);
  const publicKey = (await readFile(path.join(directory, 'client-key.pub'), 'utf8')).trim();
  await writeFile(path.join(directory, 'authorized_keys'), `restrict ${publicKey}\n`, { mode: 0o600 });
  const [type, key] = (await readFile(path.join(directory, 'host-key.pub'), 'utf8')).split(' ');
  return {
    directory,
    programs,
    clientKey: path.join(directory, 'client-key'),
    hostKey: `${type} ${key}`,
    head,
  };
}

/** A key of one more client, by whose fingerprint sshd's log tells its sessions from those of others. */
export async function addClientKey(
  fixture: SshFixture,
  name: string,
): Promise<{ readonly file: string; readonly fingerprint: string }> {
  const { directory, programs } = fixture;
  const file = path.join(directory, name);
  runPeer(programs['ssh-keygen'], ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
  const publicKey = (await readFile(`${file}.pub`, 'utf8')).trim();
  await appendFile(path.join(directory, 'authorized_keys'), `restrict ${publicKey}\n`);
  const [, fingerprint = ''] = runPeer(programs['ssh-keygen'], ['-lf', `${file}.pub`]).split(' ');
  return { file, fingerprint };
}

/** The forced command: a greeting for a bare `ssh -T`, the repository for git at three paces, nothing else. */
function sessionScript(directory: string, git: string): string {
  const repository = path.join(directory, 'project.git');
  return `#!/bin/sh
node=$(echo "$SSH_CONNECTION" | cut -d' ' -f3)
client=$(echo "$SSH_CONNECTION" | cut -d' ' -f1)
case "$SSH_ORIGINAL_COMMAND" in
  '') echo "Hi $client! You are at $node; there is no shell here, only git." ;;
  "git-upload-pack '/project.git'") exec '${git}' upload-pack '${repository}' ;;
  "git-upload-pack '/slow.git'") '${git}' upload-pack '${repository}' | '${process.execPath}' '${directory}/slow.mjs' ;;
  "git-upload-pack '/stalled.git'") '${git}' upload-pack '${repository}' | '${process.execPath}' '${directory}/stalled.mjs' ;;
  *) echo 'only git-upload-pack is served here' >&2; exit 128 ;;
esac
`;
}

/** Copies standard input to output at a bounded rate, so that a clone lasts some seconds. */
function slowPipe(): string {
  return `import { readSync, writeSync } from 'node:fs';
const buffer = Buffer.alloc(${SLOW_CHUNK_BYTES});
const pause = new Int32Array(new SharedArrayBuffer(4));
for (let length; (length = readSync(0, buffer)) > 0; ) {
  for (let at = 0; at < length; ) at += writeSync(1, buffer, at, length - at);
  if (length > 8192) Atomics.wait(pause, 0, 0, ${SLOW_CHUNK_EVERY_MS});
}
`;
}

/**
 * Copies the references and a first part of the pack, then says in a file that it is silent, and goes on when that file is
 * gone: a server that packs a large repository.
 */
function stalledPipe(directory: string): string {
  return `import { existsSync, readSync, writeFileSync, writeSync } from 'node:fs';
const buffer = Buffer.alloc(${SLOW_CHUNK_BYTES});
const pause = new Int32Array(new SharedArrayBuffer(4));
const mark = ${JSON.stringify(path.join(directory, 'silent'))};
let sent = 0;
let stalled = false;
for (let length; (length = readSync(0, buffer)) > 0; ) {
  for (let at = 0; at < length; ) at += writeSync(1, buffer, at, length - at);
  sent += length;
  if (stalled || sent < ${STALL_AFTER_BYTES}) continue;
  stalled = true;
  writeFileSync(mark, '');
  while (existsSync(mark)) Atomics.wait(pause, 0, 0, 50);
}
`;
}

/** sshd on one node. Its log tells which sessions it let in. */
export class SshPod {
  readonly #fixture: SshFixture;
  readonly #node: (typeof NODES)[number];
  readonly #port: number;
  readonly #service: string;
  readonly #arrivals: ArrivalLog;
  #process: ChildProcess | null = null;
  #lastLine = '';
  /** When each connection that has not shown yet what it is began, by client address and port. */
  readonly #connectedAtMs = new Map<string, number>();

  constructor(fixture: SshFixture, node: string, port: number, service: string, arrivals: ArrivalLog) {
    this.#fixture = fixture;
    this.#node = NODES.find((n) => n.name === node)!;
    this.#port = port;
    this.#service = service;
    this.#arrivals = arrivals;
  }

  async start(): Promise<void> {
    const { directory, programs } = this.#fixture;
    const file = path.join(directory, `sshd-${this.#node.name}.conf`);
    if (process.getuid?.() === 0) {
      // Root's sshd drops privileges into this directory; a package's service script would have made it.
      await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    }
    const extra = await acceptedOptions(programs.sshd, file, this.#configuration());
    await writeFile(file, [...this.#configuration(), ...extra].join('\n'));
    // A process group of its own: a session outlives the listener, and close() must reach both.
    const child = spawn(programs.sshd, ['-D', '-e', '-f', file], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    readline.createInterface({ input: child.stderr! }).on('line', (line) => this.#read(line));
    await until(
      `sshd on ${this.#node.name} answering`,
      5000,
      async () => {
        if (child.exitCode !== null) {
          throw new Error(`sshd on ${this.#node.name} ended with ${child.exitCode}: ${this.#lastLine}`);
        }
        return (await hasBanner(this.#node.address, this.#port)) ? true : undefined;
      },
      20,
    );
  }

  /** The end of a pod: no new connection; sessions that run are left to finish. */
  async stopListening(): Promise<void> {
    const child = this.#process;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    }
  }

  /** Ends the listener and what is left of its sessions. */
  close(): void {
    const pid = this.#process?.pid;
    if (pid === undefined) {
      return;
    }
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
        throw error;
      }
    }
  }

  #read(line: string): void {
    this.#lastLine = line;
    // A probe reads the banner and leaves; a session is a connection that goes on to prove its key, and it began
    // when it connected.
    const connected = /^Connection from (\S+ port \d+) /.exec(line)?.[1];
    if (connected !== undefined) {
      this.#connectedAtMs.set(connected, performance.now());
      return;
    }
    const client = / (\S+ port \d+)/.exec(line)?.[1] ?? '';
    if (line.startsWith('Accepted publickey')) {
      this.#arrivals.add({
        atMs: this.#connectedAtMs.get(client) ?? performance.now(),
        service: this.#service,
        node: this.#node.name,
        pod: `sshd ${this.#node.name}`,
        what: 'ssh session',
      });
      this.#connectedAtMs.delete(client);
    } else if (/^(banner exchange|kex_exchange_identification|Connection closed)/.test(line)) {
      this.#arrivals.probes++;
      this.#connectedAtMs.delete(client);
    }
  }

  #configuration(): string[] {
    const { directory } = this.#fixture;
    return [
      `ListenAddress ${this.#node.address}:${this.#port}`,
      `HostKey ${path.join(directory, 'host-key')}`,
      `AuthorizedKeysFile ${path.join(directory, 'authorized_keys')}`,
      `ForceCommand ${path.join(directory, 'session.sh')}`,
      `PidFile none`,
      'AuthenticationMethods publickey',
      'PermitRootLogin prohibit-password',
      'UsePAM no',
      // The directory is this run's own; checking the modes of /tmp above it would refuse it.
      'StrictModes no',
      // The account's own shell start-up files and git configuration have no say in a session, nor its time.
      `SetEnv HOME=${directory}`,
      'LogLevel VERBOSE',
      'MaxStartups 200',
      'UseDNS no',
    ];
  }
}

/** Options that only newer versions know: without this one sshd 9.8 locks out an address that only reads banners. */
async function acceptedOptions(sshd: string, file: string, lines: readonly string[]): Promise<string[]> {
  const option = 'PerSourcePenalties no';
  await writeFile(file, [...lines, option].join('\n'));
  try {
    runPeer(sshd, ['-t', '-f', file]);
    return [option];
  } catch {
    // An older sshd, which has no such penalties. If anything else is wrong, starting it will say so.
    return [];
  }
}

async function hasBanner(address: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = net.connect(port, address);
    socket.setTimeout(500, () => socket.destroy());
    socket.once('data', (data) => {
      resolve(data.toString('latin1').startsWith('SSH-2.0-'));
      socket.destroy();
    });
    // Refused until it listens; `close` follows and answers.
    socket.once('error', () => {});
    socket.once('close', () => resolve(false));
  });
}

/** kube-proxy's healthCheckNodePort of a LoadBalancer service with policy Local, on every node. */
export class HealthCheckNodePort {
  readonly #localEndpoints = new Map<string, number>();
  readonly #servers: http.Server[] = [];
  readonly #service: { readonly namespace: string; readonly name: string };

  constructor(service: { readonly namespace: string; readonly name: string }) {
    this.#service = service;
  }

  async start(port: number): Promise<void> {
    for (const node of NODES) {
      const server = http.createServer((_, response) => {
        const count = this.#localEndpoints.get(node.name) ?? 0;
        response.writeHead(count > 0 ? 200 : 503, {
          'content-type': 'application/json',
          'x-content-type-options': 'nosniff',
          'x-load-balancing-endpoint-weight': String(count),
        });
        response.end(
          JSON.stringify({ service: this.#service, localEndpoints: count, serviceProxyHealthy: true }),
        );
      });
      server.listen(port, node.address);
      await once(server, 'listening');
      this.#servers.push(server);
    }
  }

  set(node: string, localEndpoints: number): void {
    this.#localEndpoints.set(node, localEndpoints);
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}
