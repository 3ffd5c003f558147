// `npm run test:ssh`: a network namespace for the edge of each file of tests, which runs in it, and nothing left behind.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import process from 'node:process';
import { namespacePrefix, sweep } from '../cluster/netns/network.ts';
import { readOptions, wrongUsage } from '../support/command-line.ts';
import { MissingToolError } from '../support/go-build.ts';
import { requirePeers } from '../support/peers.ts';
import { buildGitea } from './gitea/build.ts';
import { SSH_PROGRAMS } from './machine.ts';

const USAGE = `Usage: npm run test:ssh -- [OPTIONS]

  (none)       sshd, go-mmproxy and git, then machines that are lost
  --gitea      Gitea too; builds it first, which takes a C compiler, Go and some minutes, and is kept in .cache
  --only NAME  one of sshd, losses and gitea alone
  --name TEXT  only tests whose name has this in it
  -h, --help   print this

PORTICO_SILENCE_SECONDS says how long the silent clone is silent (40).
Exit codes: 0 all passed, 1 a check failed, 2 wrong usage, 3 this machine cannot run it (Linux and root; Go for Gitea)
`;

const EXIT_NOT_HERE = 3;
const OPTIONS = {
  gitea: { type: 'boolean', default: false },
  only: { type: 'string' },
  name: { type: 'string' },
} as const;
const PARTS = ['sshd', 'losses', 'gitea'];

function notHere(why: string): never {
  process.stderr.write(`test:ssh: ${why}\n`);
  process.exit(EXIT_NOT_HERE);
}

const { values: options } = readOptions('test:ssh', USAGE, { options: OPTIONS });
if (options.only !== undefined && !PARTS.includes(options.only))
  wrongUsage('test:ssh', '--only is sshd, losses or gitea');
const parts =
  options.only === undefined ? PARTS.filter((part) => part !== 'gitea' || options.gitea) : [options.only];
if (process.getuid?.() !== 0) notHere('network namespaces need root');

// Before the namespaces, whose network reaches no package server.
const { ip, nsenter } = requirePeers(SSH_PROGRAMS);
const environment: NodeJS.ProcessEnv = { ...process.env };
if (parts.includes('gitea')) {
  try {
    const built = await buildGitea((line) => process.stdout.write(`${line}\n`));
    environment['PORTICO_GITEA'] = JSON.stringify(built);
  } catch (error) {
    if (!(error instanceof MissingToolError)) throw error;
    notHere(error.message);
  }
}

let running: ChildProcess | null = null;
let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stopped = true;
    running?.kill(signal);
  });
}

/** The tests of one file, in a namespace of their own. */
async function runPart(part: string): Promise<number> {
  const run = `${process.pid.toString(36)}-${PARTS.indexOf(part)}`;
  const prefix = namespacePrefix(run);
  const made = spawnSync(ip, ['netns', 'add', `${prefix}edge`], { stdio: 'inherit' });
  if (made.status !== 0) notHere('no network namespaces here');
  try {
    const file = path.join(import.meta.dirname, `${part}.ssh.ts`);
    const only = options.name === undefined ? [] : ['--test-name-pattern', options.name];
    const inside = [process.execPath, '--test', ...only, file];
    running = spawn(nsenter, [`--net=/run/netns/${prefix}edge`, '--', ...inside], {
      stdio: 'inherit',
      env: { ...environment, PORTICO_RUN: run },
    });
    const [code] = (await once(running, 'exit')) as [number | null];
    return code ?? 1;
  } finally {
    await sweep(ip, prefix);
  }
}

for (const part of parts) {
  if (stopped) break;
  if ((await runPart(part)) !== 0) process.exitCode = 1;
}
if (stopped) process.exitCode = 1;
