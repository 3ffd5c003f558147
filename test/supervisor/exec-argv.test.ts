// What the flags of children forbid, shown by a process that tries it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { CONTROLLER_EXEC_ARGV, WORKER_EXEC_ARGV } from '../../src/supervisor/exec-argv.ts';

/** Tries each thing and says what came of it. */
const TRIES = `
  import fs from 'node:fs';
  import net from 'node:net';
  const tries = {
    evaluate: () => new Function('return 1')(),
    addon: () => {
      try { process.dlopen({ exports: {} }, '/none.node'); } catch (error) { if (error.code === 'ERR_DLOPEN_DISABLED') throw error; }
    },
    ffi: () => process.getBuiltinModule('node:ffi').dlopen(null),
    proto: () => { if (({}).__proto__ === undefined) throw new Error('gone'); },
    readProc: () => fs.readFileSync('/proc/self/limits'),
    write: () => fs.appendFileSync(process.env.FILE, 'line'),
    connect: () => net.connect(9, '127.0.0.1').on('error', () => {}),
  };
  const done = [];
  for (const [name, attempt] of Object.entries(tries)) {
    try { attempt(); done.push(name); } catch {}
  }
  process.stdout.write(done.join(' '));
  process.exit();
`;

function allowed(flags: readonly string[]): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'portico-flags-'));
  try {
    const entry = path.join(directory, 'tries.mjs');
    writeFileSync(entry, TRIES);
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, entry], {
      encoding: 'utf8',
      env: { ...process.env, FILE: path.join(directory, 'log') },
    });
    // A new flag would say that it is new.
    assert.doesNotMatch(stderr, /Warning/);
    return stdout;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('the flags of children', () => {
  for (const [role, flags, native] of [
    ['worker', WORKER_EXEC_ARGV, ['addon']],
    ['controller', CONTROLLER_EXEC_ARGV, []],
  ] as const) {
    const loads = native.length === 0 ? 'nothing' : 'its sockets';
    it(`let no ${role} make code from text, call native code by name or follow __proto__, and load ${loads}`, () => {
      const done = allowed(flags).split(' ');
      assert.deepEqual(
        done.filter((name) => ['evaluate', 'addon', 'ffi', 'proto'].includes(name)),
        native,
      );
      for (const name of ['readProc', 'write', 'connect']) assert.ok(done.includes(name), name);
    });
  }
});
