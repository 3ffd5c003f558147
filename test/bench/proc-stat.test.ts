// Tests of reading CPU times from /proc.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
  type ProcessStat,
  parseStat,
  readProcesses,
  readThreads,
  sumTree,
} from '../../bench/measure/proc-stat.ts';

const line = (name: string): string =>
  `4234 (${name}) S 4154 4154 812 34817 4154 4194304 9120 33 0 0 268 219 7 3 20 0 11 0 91833 1691901952 26912 1844674407`;

test('user and system time hold those of ended children, in milliseconds', () => {
  assert.deepEqual(parseStat(line('node')), {
    pid: 4234,
    name: 'node',
    parent: 4154,
    userMs: 2750,
    systemMs: 2220,
  });
});

test('a process name may hold spaces and parentheses', () => {
  assert.deepEqual(parseStat(line('a) S 1 (b')), { ...parseStat(line('node')), name: 'a) S 1 (b' });
});

test('a text that is no stat line is refused', () => {
  for (const text of ['', 'node', '12 (node) S', '12 (node) S x y']) {
    assert.throws(() => parseStat(text), SyntaxError, text);
  }
});

const stat = (pid: number, parent: number, userMs: number, systemMs = 0): ProcessStat => ({
  pid,
  name: 'node',
  parent,
  userMs,
  systemMs,
});

test('a tree is its root and all descendants, and nobody else', () => {
  const stats = [
    stat(1, 0, 1000),
    stat(10, 1, 20, 2),
    stat(12, 11, 40, 4),
    stat(11, 10, 80, 8),
    stat(20, 1, 500),
  ];
  assert.deepEqual(sumTree(stats, 10), { userMs: 140, systemMs: 14 });
});

test('the time of a child that ended between two readings is not lost', () => {
  const before = sumTree([stat(10, 1, 20), stat(11, 10, 80)], 10);
  // The kernel has added the child's time to that of the process which waited for it.
  const after = sumTree([stat(10, 1, 20 + 90)], 10);
  assert.equal(after.userMs - before.userMs, 10);
});

test('a root that is gone is an error, not zero', () => {
  assert.throws(() => sumTree([stat(1, 0, 5)], 10), RangeError);
});

test('processes are read from numbered directories, and one that ends meanwhile is passed over', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-proc-'));
  try {
    for (const name of ['4234', '4235', 'self']) await mkdir(path.join(directory, name));
    await writeFile(path.join(directory, '4234', 'stat'), line('node'));
    assert.deepEqual(
      readProcesses(directory).map(({ pid }) => pid),
      [4234],
    );
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('threads are read by their names, and those of a process that is gone are none', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-proc-'));
  try {
    const tasks = path.join(directory, '4234', 'task');
    for (const name of ['4234', '4240', '4241']) await mkdir(path.join(tasks, name), { recursive: true });
    await writeFile(path.join(tasks, '4234', 'stat'), line('node-MainThread'));
    await writeFile(path.join(tasks, '4240', 'stat'), line('node-V8Worker'));
    assert.deepEqual(
      readThreads(4234, directory)
        .map(({ name }) => name)
        .sort(),
      ['node-MainThread', 'node-V8Worker'],
    );
    assert.deepEqual(readThreads(4999, directory), []);
  } finally {
    await rm(directory, { recursive: true });
  }
});
