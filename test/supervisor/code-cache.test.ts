// The code cache beside the sources: what a start would compile anew, filled once, read by each process.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

const root = path.join(import.meta.dirname, '..', '..');
const runFile = promisify(execFile);

describe('the code cache', () => {
  let copy = '';

  before(async () => {
    copy = await mkdtemp(path.join(tmpdir(), 'portico-code-'));
    await cp(path.join(root, 'src'), path.join(copy, 'src'), { recursive: true });
    await cp(path.join(root, 'package.json'), path.join(copy, 'package.json'));
    await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  });
  after(() => rm(copy, { recursive: true, force: true }));

  const portico = async (parameter: string): Promise<string> => {
    const program = path.join(copy, 'src', 'portico.js');
    const { stdout, stderr } = await runFile(process.execPath, [program, parameter], { cwd: copy });
    return stdout + stderr;
  };
  /** Each file with the time at which it was written. */
  const written = async (): Promise<ReadonlyMap<string, number>> => {
    const entries = await readdir(path.join(copy, '.cache', 'code'), { recursive: true });
    const rows = entries.map(async (entry): Promise<[string, number]> => {
      const { mtimeMs } = await stat(path.join(copy, '.cache', 'code', entry));
      return [entry, mtimeMs];
    });
    return new Map((await Promise.all(rows)).filter(([entry]) => entry.includes(path.sep)));
  };

  it('is no need: where it cannot be kept, everything works', async () => {
    await writeFile(path.join(copy, '.cache'), 'no directory');
    assert.match(await portico('--version'), /^portico \d/);
    await rm(path.join(copy, '.cache'));
  });

  it('is filled for every role by one command, which is silent', async () => {
    assert.equal(await portico('--role=compile'), '');
    const flags = new Set([...(await written()).keys()].map((entry) => path.dirname(entry)));
    assert.equal(flags.size, 3, 'supervisor, controller and worker have flags of their own');
  });

  it('is read by what starts next, which compiles nothing anew', async () => {
    const first = await written();
    assert.ok(first.size > 300, `${first.size}`);
    assert.equal(await portico('--role=compile'), '');
    assert.deepEqual(await written(), first);
  });
});
