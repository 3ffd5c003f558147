// Drains on disk: whole or reported, and never a reason not to start.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DrainStore } from '../../src/control/drain-store.ts';
import type { Drain } from '../../src/control/targets/drains.ts';
import { recordLog, temporaryDirectory } from './discovery/world.ts';

const DRAINS: readonly Drain[] = [
  { cluster: 'iad', node: null, uid: null, sinceMs: 1 },
  { cluster: 'sea', node: 'worker-1', uid: 'u1', sinceMs: 2 },
];

const storeWithLog = () => {
  const { log, lines } = recordLog();
  const counts: string[] = [];
  return {
    store: new DrainStore({ log, now: () => 7, onCount: (result) => counts.push(result) }),
    lines,
    counts,
  };
};

test('what was saved is loaded by the next process, from a file that only its owner reads', async (t) => {
  const directory = join(temporaryDirectory(t), 'state');
  assert.equal(await storeWithLog().store.save(directory, DRAINS), true);
  assert.deepEqual(readdirSync(directory), ['drains.json']);
  assert.equal(statSync(join(directory, 'drains.json')).mode & 0o777, 0o600);
  const { store, lines, counts } = storeWithLog();
  assert.deepEqual(store.load(directory), DRAINS);
  assert.deepEqual([lines, counts], [[], ['loaded']]);
});

test('the last of several saves at once is the one that stays', async (t) => {
  const directory = temporaryDirectory(t);
  const { store } = storeWithLog();
  const saves = [
    store.save(directory, DRAINS),
    store.save(directory, []),
    store.save(directory, DRAINS.slice(1)),
  ];
  assert.deepEqual(await Promise.all(saves), [true, true, true]);
  assert.deepEqual(store.load(directory), DRAINS.slice(1));
});

test('without a file and without a directory nothing is drained and nothing is said', (t) => {
  const { store, lines } = storeWithLog();
  assert.deepEqual(store.load(temporaryDirectory(t)), []);
  assert.deepEqual(store.load(null), []);
  assert.deepEqual(lines, []);
});

test('without a directory nothing is kept, and a write that fails says so', async (t) => {
  const { store, lines } = storeWithLog();
  assert.equal(await store.save(null, DRAINS), false);
  assert.deepEqual(lines, []);
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, '');
  assert.equal(await store.save(file, DRAINS), false);
  assert.match(lines.join('\n'), /"code":"drains-write-failed"/);
});

test('a file that is cut, altered or foreign is reported and ignored', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'drains.json');
  await storeWithLog().store.save(directory, DRAINS);
  const good = readFileSync(path, 'utf8');
  for (const bad of [
    '',
    'garbage',
    good.slice(0, -5),
    good.replace('worker-1', 'worker-2'),
    good.replace(':1,', ':9,'),
  ]) {
    writeFileSync(path, bad);
    const { store, lines, counts } = storeWithLog();
    assert.deepEqual(store.load(directory), [], bad);
    assert.deepEqual(counts, ['rejected'], bad);
    assert.match(lines.join('\n'), /"code":"drains-file-rejected"/, bad);
  }
});

test('a pipe or a device in the place of the file is reported and ignored, and the next drain replaces it', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'drains.json');
  const { store, lines } = storeWithLog();
  execFileSync('mkfifo', [path]);
  assert.deepEqual(store.load(directory), []);
  rmSync(path);
  symlinkSync('/dev/zero', path);
  assert.deepEqual(store.load(directory), []);
  assert.equal(lines.filter((line) => line.includes('(not-a-regular-file)')).length, 2);
  assert.equal(await store.save(directory, DRAINS), true);
  assert.deepEqual(store.load(directory), DRAINS);
});
