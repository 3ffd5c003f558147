// The test command: types, lint and format, the programs that tests talk to, then every test file; one summary at the end.

import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { readOptions } from './command-line.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The cluster run has its own command; fixtures and helpers hold no tests. */
const FILES = globSync('test/**/*.test.ts', { cwd: ROOT }).sort();
/** Two at a time: whole-system tests start processes of their own. */
const CONCURRENCY = 2;
const TIMEOUT_MS = 300_000;

function step(name: string, command: string, args: readonly string[]): boolean {
  process.stdout.write(`# ${name}\n`);
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined) process.stdout.write(`${command}: ${error.message}\n`);
  return status === 0;
}

async function runTests(
  files: readonly string[],
): Promise<{ passed: number; failed: number; skipped: number }> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const events = run({
    files: files.map((file) => join(ROOT, file)),
    concurrency: CONCURRENCY,
    timeout: TIMEOUT_MS,
  });
  events.on('test:pass', ({ skip, todo, details }) => {
    if (details.type === 'suite') return;
    if (skip !== undefined || todo !== undefined) counts.skipped += 1;
    else counts.passed += 1;
  });
  events.on('test:fail', () => {
    counts.failed += 1;
  });
  const report = events.compose(spec());
  report.pipe(process.stdout, { end: false });
  await finished(report);
  return counts;
}

const USAGE = `Usage: npm test -- [OPTIONS] [TEXT ...]

  -h, --help  print this

Without TEXT: types, lint, format, and every test file. With it: the test files that have one of these in their path,
as test/http1. Programs that tests talk to are installed as Debian packages where they are missing and this is root. A property
has a fixed seed; PROPERTY_SEED=random seeks new cases, PROPERTY_SEED=N repeats one. Exit code 1: something failed.
`;

const { positionals: wanted } = readOptions('test', USAGE, { allowPositionals: true });
const files =
  wanted.length === 0 ? FILES : FILES.filter((file) => wanted.some((part) => file.includes(part)));
const checks =
  wanted.length > 0 ||
  [
    step('types', 'tsc', ['--noEmit']),
    step('lint and format', 'biome', ['check', '--error-on-warnings', '--reporter=summary']),
    step('programs that tests talk to', 'sh', [
      'test/support/install-peers.sh',
      'ssh',
      'sshd',
      'git',
      'curl',
      'openssl',
      'promtool',
      'haproxy',
      'nginx',
    ]),
  ].every(Boolean);
const counts = await runTests(files);
if (!checks) counts.failed += 1;
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);
