// `npm run test:ssh`: makes a network namespace for the edge, runs the tests of real sshd in it, and takes away what is left.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { namespacePrefix, sweep } from '../cluster/netns/network.ts';
import { requirePeers } from '../support/peers.ts';

const TESTS = path.join(import.meta.dirname, 'sshd.ssh.ts');

/** Of the exit codes of test/cluster/netns: this machine cannot run it. */
const EXIT_NOT_HERE = 3;

function notHere(why: string): never {
  process.stderr.write(`test:ssh: ${why}\n`);
  process.exit(EXIT_NOT_HERE);
}

if (process.getuid?.() !== 0) notHere('network namespaces need root');
// Before the namespace, whose network reaches no package server.
const { ip, nsenter } = requirePeers([
  'sshd',
  'ssh',
  'ssh-keygen',
  'git',
  'ip',
  'nsenter',
  'nft',
  'go-mmproxy',
]);
const run = process.pid.toString(36);
const prefix = namespacePrefix(run);
const made = spawnSync(ip, ['netns', 'add', `${prefix}edge`], { stdio: 'inherit' });
if (made.status !== 0) notHere('no network namespaces here');
try {
  const words = [
    `--net=/run/netns/${prefix}edge`,
    '--',
    process.execPath,
    '--test',
    ...process.argv.slice(2),
    TESTS,
  ];
  const child = spawn(nsenter, words, { stdio: 'inherit', env: { ...process.env, PORTICO_RUN: run } });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  await sweep(ip, prefix);
}
