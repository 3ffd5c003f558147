// `npm run audit`: asks the registry for known advisories; fails for a high one that test/audit/allowed.json does not explain.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { readOptions } from '../support/command-line.ts';
import { type Allowed, developmentOf, judge } from './judge.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const USAGE = `Usage: npm run audit -- [OPTIONS]

  --require   fail too when the registry could not be asked
  -h, --help  print this

Seconds; needs a registry that knows advisories. Exceptions with reasons are in test/audit/allowed.json. Exit code 1: a high
advisory that is not explained there, or an exception that is out of date.
`;

const { values } = readOptions('audit', USAGE, { options: { require: { type: 'boolean', default: false } } });
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

const allowed = JSON.parse(read('test/audit/allowed.json')) as readonly Allowed[];
const development = developmentOf(
  JSON.parse(read('package-lock.json')) as Parameters<typeof developmentOf>[0],
);
// Exit codes of npm audit say how many advisories there are, not whether it could be asked: its report is judged here.
const { stdout } = spawnSync('npm', ['audit', '--json'], { cwd: ROOT, encoding: 'utf8' });
const verdict = judge(stdout, allowed, development);

if (verdict.kind === 'not-asked') {
  process.stdout.write(
    `audit: THE REGISTRY COULD NOT BE ASKED (${verdict.why}). Nothing is known of advisories; ask one that answers:\n` +
      '  npm audit --registry URL\n',
  );
  // A registry that does not offer the question is no fault of this code; `--require` makes it one.
  process.exit(values.require ? 1 : 0);
}
for (const note of verdict.notes) process.stdout.write(`audit: note: ${note}\n`);
for (const problem of verdict.problems) process.stdout.write(`audit: PROBLEM: ${problem}\n`);
if (verdict.problems.length === 0) process.stdout.write('audit: no high advisory that is not explained\n');
process.exit(verdict.problems.length === 0 ? 0 : 1);
