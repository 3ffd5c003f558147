// `npm run test:cluster`: one after the other the API server's scenario, named Secrets, and the world in network namespaces.

import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readOptions, wrongUsage } from '../support/command-line.ts';

const USAGE = `Usage: npm run test:cluster -- [OPTIONS]

  (none)              all parts, the world in namespaces in its short form
  --part api          the scenario on a real API server alone; further options are its own (--part api --help)
  --part certificates named Secrets of a real API server alone
  --part netns        the world in network namespaces alone; further options are its own (--part netns --help)
  -h, --help          print this

With KUBECONFIG set only the part that needs no namespaces runs, against that cluster.
Twelve minutes; Go, and a first build of Kubernetes of some minutes, kept in .cache.
Exit codes: 0 all passed, 1 a check failed, 2 wrong usage, 3 this machine cannot run it (the world in namespaces needs
Linux and root; what can run has run and passed)
`;

const EXIT_OK = 0;
const EXIT_NOT_HERE = 3;
const PARTS = { api: 'scenario.ts', certificates: 'certificates.ts', netns: 'netns/scenario.ts' } as const;
type Part = keyof typeof PARTS;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Runs a part to its end; a signal to this process reaches it, and its own clean-up is waited for. */
async function run(part: Part, words: readonly string[]): Promise<number> {
  const program = fileURLToPath(new URL(PARTS[part], import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, program, ...words], { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, pass);
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function main(words: readonly string[]): Promise<number> {
  if (words[0] === '--part') {
    const [, part, ...rest] = words;
    if (part !== 'api' && part !== 'certificates' && part !== 'netns')
      return wrongUsage('test:cluster', '--part is api, certificates or netns');
    return await run(part, rest);
  }
  readOptions('test:cluster', USAGE, {});
  const api = await run('api', []);
  if (api !== EXIT_OK) return api;
  if ((process.env['KUBECONFIG'] ?? '') !== '') {
    say('the world in network namespaces was left out: KUBECONFIG names a cluster that has none');
    return EXIT_OK;
  }
  say('\nNamed Secrets');
  const certificates = await run('certificates', []);
  if (certificates !== EXIT_OK) return certificates;
  say('\nThe world in network namespaces');
  const netns = await run('netns', []);
  if (netns === EXIT_NOT_HERE) say('the other part has passed; the world in namespaces needs Linux and root');
  return netns;
}

process.exitCode = await main(process.argv.slice(2));
