// The npm scripts that are programs of this repository: each says how it is used, and refuses an option that it does not have.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';

const ROOT = path.join(import.meta.dirname, '..');
/** Far more than it takes to read the modules of a script. */
const LIMIT_MS = 20_000;
const AT_ONCE = 4;

interface Script {
  readonly name: string;
  readonly file: string;
}

/** Scripts of other shapes call tsc, biome, Node's test runner or the program itself. */
const SCRIPTS: readonly Script[] = Object.entries(
  (
    JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Readonly<Record<string, string>>;
    }
  ).scripts,
).flatMap(([name, command]) => {
  const file = /^node ((?:test|bench)\/\S+\.ts)$/.exec(command)?.[1];
  return file === undefined ? [] : [{ name, file }];
});

async function run(file: string, args: readonly string[]) {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const child = spawn(process.execPath, [path.join(ROOT, file), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const ended = once(child, 'close');
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code: code as number | null, stdout, stderr };
}

/** How it is called. */
const callOf = (name: string): string => (name === 'test' ? 'npm test' : `npm run ${name}`);

describe('npm scripts', { concurrency: AT_ONCE }, () => {
  it('are found at all', () => {
    assert.ok(SCRIPTS.length >= 20);
    for (const name of ['test', 'soak', 'bench', 'test:cluster', 'audit'])
      assert.ok(
        SCRIPTS.some((script) => script.name === name),
        name,
      );
  });

  for (const { name, file } of SCRIPTS) {
    it(`${name} answers --help with its usage, and does nothing else`, async () => {
      const { code, stdout, stderr } = await run(file, ['--help']);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      const [first = ''] = stdout.split('\n');
      assert.ok(
        first === `Usage: ${callOf(name)}` || first.startsWith(`Usage: ${callOf(name)} -- `),
        `its first line is ${JSON.stringify(first)}`,
      );
      assert.match(stdout, /^ {2}-h, --help {2,}/m);
    });

    it(`${name} refuses an option that it does not have in one line`, async () => {
      const { code, stdout, stderr } = await run(file, ['--no-such-option']);
      assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
      assert.match(stderr, /^[^\n]*'--no-such-option'[^\n]*\n$/);
      assert.ok(stderr.startsWith(`${name}: `), stderr);
    });
  }

  it('have parts that answer too', async () => {
    for (const part of ['api', 'certificates', 'netns']) {
      const { code, stdout } = await run('test/cluster/run.ts', ['--part', part, '--help']);
      assert.equal(code, 0);
      assert.match(stdout, /^Usage: npm run test:(?:cluster|netns) -- .*\n/);
    }
    const { code, stderr } = await run('test/cluster/run.ts', ['--part', 'none']);
    assert.equal(code, 2);
    assert.match(stderr, /^test:cluster: [^\n]*--part[^\n]*\n$/);
  });
});
