// Finds the real programs that tests run against (sshd, ssh, git, curl, haproxy, nginx, promtool) and installs what is missing.

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const PEERS = [
  'sshd',
  'ssh',
  'ssh-keygen',
  'git',
  'curl',
  'nghttp',
  'h2load',
  'chromium',
  'haproxy',
  'nginx',
  'promtool',
  'nft',
  'ip',
  'conntrack',
  'nsenter',
  'setpriv',
  'pip3',
  'testssl',
  'slowhttptest',
  'go-mmproxy',
] as const;
export type PeerName = (typeof PEERS)[number];

const INSTALLER = fileURLToPath(new URL('install-peers.sh', import.meta.url));
/** Daemons lie here on Debian, and a user's PATH often leaves these out. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The absolute path of an executable in PATH or in the system's own directories; null when there is none. */
export function findProgram(name: string): string | null {
  const directories = [...(process.env['PATH'] ?? '').split(path.delimiter), ...SYSTEM_DIRECTORIES];
  for (const directory of directories) {
    const candidate = path.resolve(directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here: the next directory is asked.
    }
  }
  return null;
}

/**
 * Paths of the named peers. What is missing is installed from Debian's packages when this is root on a machine
 * with apt-get.
 * @throws Error that names what is still missing and how to get it
 */
export function requirePeers<Name extends PeerName>(names: readonly Name[]): Record<Name, string> {
  const missing = names.filter((name) => findProgram(name) === null);
  let complaint = '';
  if (missing.length > 0) {
    const result = spawnSync('sh', [INSTALLER, ...missing], { encoding: 'utf8' });
    complaint = result.status === 0 ? '' : (result.error?.message ?? result.stderr.trim());
  }
  const found = {} as Record<Name, string>;
  for (const name of names) {
    const program = findProgram(name);
    if (program === null) {
      throw new Error(`${name} is missing; run test/support/install-peers.sh as root. ${complaint}`);
    }
    found[name] = program;
  }
  return found;
}

/** First line of what the program says about its version, for reports. */
export function peerVersion(name: PeerName, program: string): string {
  if (name === 'ssh' || name === 'sshd') {
    // Both print to stderr; sshd before 9.4 knows no -V and prints its version as part of the complaint.
    const result = spawnSync(program, ['-V'], { encoding: 'utf8' });
    return /OpenSSH[\w.]*/.exec(result.stderr)?.[0] ?? 'OpenSSH';
  }
  if (name === 'ssh-keygen') {
    return 'OpenSSH';
  }
  const flag = name === 'haproxy' || name === 'nginx' ? '-v' : '--version';
  const result = spawnSync(program, [flag], { encoding: 'utf8' });
  const [firstLine = name] = `${result.stdout}${result.stderr}`.trim().split('\n');
  // What curl was linked with fills a line of its own.
  return firstLine.split(' (')[0] ?? name;
}

/** Runs a peer while this process goes on serving it; rejects with its stderr when it fails. */
export async function runPeerSoon(program: string, parameters: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, [...parameters])).stdout;
}

/** Runs a peer to its end and returns what it printed; throws with its stderr when it fails. */
export function runPeer(program: string, parameters: readonly string[], cwd?: string): string {
  return execFileSync(program, parameters, {
    encoding: 'utf8',
    stdio: 'pipe',
    ...(cwd === undefined ? {} : { cwd }),
  });
}
