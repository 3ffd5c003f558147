// Standard output of real commands: a reader that leaves early, and a disk that is full.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

const PROGRAM = path.join(import.meta.dirname, '../../src/portico.js');

test('a reader that has seen enough is no failure', async () => {
  const child = spawn(process.execPath, [PROGRAM, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.deepEqual([code, said], [0, '']);
});

test('output that cannot be written fails in one line', async () => {
  const full = await open('/dev/full', 'w');
  try {
    const child = spawn(process.execPath, [PROGRAM, 'schema'], { stdio: ['ignore', full.fd, 'pipe'] });
    const [said, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
    assert.deepEqual([code, said], [1, 'portico: the output cannot be written: ENOSPC\n']);
  } finally {
    await full.close();
  }
});
