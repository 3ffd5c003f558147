// The warm-up of what V8 runs: how long it is loaded before anything counts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { execPath } from 'node:process';
import { test } from 'node:test';
import { settleCompiler, spentByTree } from '../../bench/measure/settled-compiler.ts';

/** @param shares of the compiler in each slice, the last one for all that follow. @returns how many slices it took */
async function slicesFor(...shares: readonly number[]): Promise<number> {
  const spent = { compilingMs: 0, allMs: 0 };
  let slices = 0;
  await settleCompiler(
    1,
    async () => {
      spent.allMs += 1000;
      spent.compilingMs += 1000 * (shares[slices] ?? shares.at(-1)!);
      slices += 1;
    },
    () => ({ ...spent }),
  );
  return slices;
}

test('a compiler with little to do in two slices in a row has settled', async () => {
  assert.equal(await slicesFor(0.002), 2);
  assert.equal(await slicesFor(0.2, 0.08, 0.01, 0.02), 4);
});

test('one quiet slice between two busy ones does not count', async () => {
  assert.equal(await slicesFor(0.2, 0.01, 0.1, 0.01, 0.01), 5);
});

test('a compiler that never settles is waited for a minute', async () => {
  assert.equal(await slicesFor(0.1), 20);
});

test("V8's time is read from the threads of a real process", async () => {
  // Functions that are new again and again: V8 compiles them beside the main thread, as long as the process lives.
  const program =
    'for (let n = 0; ; n += 1) new Function("let s = " + n + "; for (let i = 0; i < 1e6; i++) s ^= i; return s")();';
  const child = spawn(execPath, ['-e', program], { stdio: 'ignore' });
  await once(child, 'spawn');
  try {
    let spent = spentByTree(child.pid!);
    while (spent.compilingMs === 0) {
      await new Promise(setImmediate);
      spent = spentByTree(child.pid!);
    }
    assert.ok(spent.allMs > spent.compilingMs);
  } finally {
    child.kill('SIGKILL');
  }
});
