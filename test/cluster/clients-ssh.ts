// SSH clients that never stop: real ssh sessions and real git clones, fast and slow, from many source addresses.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, type Ledger, repeat, runProgram } from './clients.ts';
import type { SshFixture } from './sshd.ts';

/** Source addresses, so that a pool hashed by client address spreads over its targets. */
const SOURCES = Array.from({ length: 16 }, (_, index) => `127.0.1.${index + 1}`);

export interface SshEdge {
  readonly address: string;
  readonly port: number;
  readonly ssh: string;
  readonly git: string;
  readonly user: string;
  readonly fixture: SshFixture;
  /** For known hosts and clones. */
  readonly directory: string;
}

/** What every session of a test client needs on its command line. */
function sshOptions(edge: SshEdge, source: string): string[] {
  return [
    ...['-F', '/dev/null', '-i', edge.fixture.clientKey, '-b', source],
    ...['-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=2'],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', 'LogLevel=ERROR'],
    // The default key exchange, safe against quantum computers, costs most of a session's CPU time.
    ...['-o', 'KexAlgorithms=curve25519-sha256'],
    ...['-o', `UserKnownHostsFile=${path.join(edge.directory, 'known_hosts')}`],
  ];
}

/** Writes the host key that clients must find, whichever node answers. */
export async function writeKnownHosts(edge: SshEdge): Promise<void> {
  await mkdir(edge.directory, { recursive: true });
  const line = `[${edge.address}]:${edge.port} ${edge.fixture.hostKey}\n`;
  await writeFile(path.join(edge.directory, 'known_hosts'), line);
}

/** The command line of a session that asks for nothing. */
export function greetingCommand(edge: SshEdge, source: string): string[] {
  return [...sshOptions(edge, source), '-T', '-p', String(edge.port), `${edge.user}@${edge.address}`];
}

/** `ssh -T` for the greeting: login and out again; answers with the node's address. */
export async function greet(edge: SshEdge, source: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram(edge.ssh, greetingCommand(edge, source));
  const node = /You are at (\S+);/.exec(stdout)?.[1];
  if (code !== 0 || node === undefined) {
    throw new Error(`ssh exit code ${code}: ${stderr.trim().slice(0, 200)}`);
  }
  return node;
}

export function greetingClient(ledger: Ledger, name: string, edge: SshEdge, pauseMs: number): Client {
  let turn = 0;
  return repeat(ledger, name, pauseMs, async () => {
    await greet(edge, SOURCES[turn++ % SOURCES.length]!);
  });
}

/** `git clone` again and again; `slow.git` is the same repository at a rate that makes a clone last for seconds. */
export function cloneClient(
  ledger: Ledger,
  name: string,
  edge: SshEdge,
  repository: 'project.git' | 'slow.git',
  pauseMs: number,
): Client {
  let turn = 0;
  let stopped = false;
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const target = path.join(edge.directory, `${name.replaceAll(/\W+/g, '-')}-${turn}`);
      try {
        await clone(edge, repository, SOURCES[turn++ % SOURCES.length]!, target);
        // How long it takes is the repository's doing; failing is what counts.
        ledger.succeeded(name, 0);
      } catch (error) {
        ledger.failed(name, (error as Error).message);
      }
      await rm(target, { recursive: true, force: true });
      await delay(pauseMs);
    }
  };
  const ended = loop();
  return {
    async stop() {
      stopped = true;
      await ended;
    },
  };
}

/** One whole clone, and the commit that it must arrive at. */
async function clone(edge: SshEdge, repository: string, source: string, target: string): Promise<void> {
  const url = `ssh://${edge.user}@${edge.address}:${edge.port}/${repository}`;
  const command = [edge.ssh, ...sshOptions(edge, source)].map((word) => `'${word}'`).join(' ');
  const environment = { GIT_SSH_COMMAND: command, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_GLOBAL: '/dev/null' };
  const result = await runProgram(edge.git, ['clone', '--quiet', url, target], environment);
  if (result.code !== 0) {
    throw new Error(`git clone exit code ${result.code}: ${result.stderr.trim().slice(0, 300)}`);
  }
  const head = await runProgram(edge.git, ['-C', target, 'rev-parse', 'HEAD'], environment);
  if (head.stdout.trim() !== edge.fixture.head) {
    throw new Error(`git clone arrived at ${head.stdout.trim()}, not at ${edge.fixture.head}`);
  }
}
