// Whatever lies at the path of a file, it is read or refused at once.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRegularFile, readRegularFileSync } from '../../src/files/regular-file.ts';
import { temporaryDirectory } from '../control/discovery/world.ts';

const outcome = async (read: () => Buffer | Promise<Buffer>): Promise<string> => {
  try {
    return (await read()).toString();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
};

test('a regular file and a link to one are read whole, anything else and anything too large is refused', async (t) => {
  const directory = temporaryDirectory(t);
  const at = (name: string): string => join(directory, name);
  writeFileSync(at('file'), 'content');
  symlinkSync(at('file'), at('link'));
  symlinkSync('/dev/zero', at('device'));
  symlinkSync(at('loop'), at('loop'));
  mkdirSync(at('directory'));
  execFileSync('mkfifo', [at('pipe')]);
  const expected = {
    file: 'content',
    link: 'content',
    device: 'not-a-regular-file',
    directory: 'not-a-regular-file',
    pipe: 'not-a-regular-file',
    loop: 'ELOOP',
    nothing: 'ENOENT',
  };
  for (const [name, result] of Object.entries(expected)) {
    assert.equal(await outcome(() => readRegularFileSync(at(name), 7)), result, name);
    assert.equal(await outcome(() => readRegularFile(at(name), 7)), result, name);
  }
  assert.equal(await outcome(() => readRegularFileSync(at('file'), 6)), 'file-too-large');
  assert.equal(await outcome(() => readRegularFile(at('file'), 6)), 'file-too-large');
});
