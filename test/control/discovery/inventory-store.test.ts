// The kept inventory: whole or absent, never trusted without its checksum, never written more often than allowed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { decodeInventory, encodeInventory } from '../../../src/control/discovery/inventory-file.ts';
import { createInventoryStore, type InventoryStore } from '../../../src/control/discovery/inventory-store.ts';
import { type ClusterInventory, NOTHING_UNLISTED } from '../../../src/model/inventory.ts';
import {
  type CountRecord,
  eventually,
  HandClock,
  recordCounts,
  recordLog,
  settle,
  temporaryDirectory,
} from './world.ts';

const inventory: ClusterInventory = {
  cluster: 'iad',
  origin: 'live',
  unlisted: NOTHING_UNLISTED,
  syncedAtMs: Date.UTC(2029, 11, 31),
  nodes: [
    {
      name: 'n1',
      uid: 'u1',
      resourceVersion: '5',
      deletionTimestamp: null,
      labels: { pool: 'web' },
      addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
      ready: 'True',
      unschedulable: false,
      taints: [{ key: 'k', effect: 'NoSchedule' }],
    },
  ],
  services: [
    {
      name: 's',
      uid: 'u2',
      resourceVersion: '6',
      deletionTimestamp: null,
      namespace: 'a',
      type: 'NodePort',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 0,
      ipFamilies: ['IPv4'],
      ports: [{ name: 'http', port: 80, nodePort: 30080, protocol: 'TCP' }],
    },
  ],
  slices: [
    {
      name: 's-1',
      uid: 'u3',
      resourceVersion: '7',
      deletionTimestamp: null,
      namespace: 'a',
      service: 's',
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080 }],
      endpoints: [
        { addresses: ['10.1.0.1'], nodeName: 'n1', ready: true, serving: true, terminating: false },
      ],
    },
  ],
};

interface Rig {
  readonly store: InventoryStore;
  readonly clock: HandClock;
  readonly counts: CountRecord;
  readonly directory: string;
  readonly lines: string[];
  results(): string[];
  files(): string[];
}

function rig(context: TestContext, more: { limitBytes?: number; directory?: string } = {}): Rig {
  const clock = new HandClock();
  const counts = recordCounts();
  const { log, lines } = recordLog();
  const directory = more.directory ?? join(temporaryDirectory(context), 'state');
  const store = createInventoryStore({ directory, clock, log, onCount: counts.onCount, ...more });
  return {
    store,
    clock,
    counts,
    directory,
    lines,
    results: () => counts.of('inventory-file').map((labels) => labels.result),
    files: () => readdirSync(directory),
  };
}

test('what is saved is loaded by the next process with origin disk and its age', async (t) => {
  const first = rig(t);
  first.store.save('iad', () => inventory);
  await first.store.flush();
  const second = rig(t, { directory: first.directory });
  assert.deepEqual(second.store.load('iad'), { ...inventory, origin: 'disk' });
  assert.deepEqual(second.results(), ['loaded']);
  assert.equal(statSync(join(first.directory, first.files()[0] ?? '')).mode & 0o777, 0o600);
  assert.equal(statSync(first.directory).mode & 0o777, 0o700);
});

test('a large inventory is encoded in parts, and others have their turn between them', async (t) => {
  const { directory, store } = rig(t);
  const [node] = inventory.nodes;
  const nodes = Array.from({ length: 2000 }, (_, index) => ({
    ...node!,
    name: `node-${index}`,
    uid: `u${index}`,
  }));
  const large = { ...inventory, nodes };
  let turns = 0;
  const pieces = await encodeInventory(large, 1, async () => {
    turns += 1;
  });
  const bytes = Buffer.concat(pieces);
  assert.ok(pieces.every(({ length }) => length < 100_000));
  // The header is a piece of its own, and nobody waits behind the last part.
  assert.equal(turns, pieces.length - 2);
  assert.ok(turns >= Math.floor(bytes.length / 100_000));
  assert.deepEqual(decodeInventory(bytes, 'iad'), { ...large, origin: 'disk' });
  store.save('iad', () => large);
  await store.flush();
  assert.equal(statSync(join(directory, readdirSync(directory)[0] ?? '')).size > 200_000, true);
  assert.deepEqual(store.load('iad'), { ...large, origin: 'disk' });
});

test('nothing kept is null without a complaint', (t) => {
  const { store, lines, results } = rig(t);
  assert.equal(store.load('iad'), null);
  assert.deepEqual([lines, results()], [[], []]);
});

test('writes are at least a second apart, and many changes cost one encoding', async (t) => {
  const { store, clock, results } = rig(t);
  let encodings = 0;
  const value = (): ClusterInventory => {
    encodings += 1;
    return inventory;
  };
  store.save('iad', value);
  clock.advance(0);
  await eventually(() => results().length === 1);
  for (let change = 0; change < 50; change += 1) store.save('iad', value);
  await eventually(() => clock.waits.length === 1);
  clock.advance(999);
  await settle();
  assert.equal(encodings, 1);
  clock.advance(1);
  await eventually(() => results().length === 2);
  assert.equal(encodings, 2);
  await settle();
  assert.deepEqual(clock.waits, [], 'nothing is left to write');
});

test('a write that took long is followed by nineteen times as long without one, at most a minute', async (t) => {
  const { store, clock } = rig(t);
  for (const [tookMs, pauseMs] of [
    [200, 3_800],
    [10_000, 60_000],
  ] as const) {
    store.save('iad', () => {
      clock.advance(tookMs);
      return inventory;
    });
    await store.flush();
    store.save('iad', () => inventory);
    assert.deepEqual(clock.waits, [pauseMs]);
  }
});

test('flush writes what is waiting and leaves no timer', async (t) => {
  const { store, clock, results } = rig(t);
  store.save('iad', () => inventory);
  clock.advance(0);
  store.save('iad', () => inventory);
  store.save('sea', () => ({ ...inventory, cluster: 'sea' }));
  await store.flush();
  assert.deepEqual(results(), ['written', 'written', 'written']);
  assert.deepEqual(clock.waits, []);
});

test('clusters with names that look alike on disk are kept apart and stay in the directory', async (t) => {
  const { store, files } = rig(t);
  for (const name of ['a/b', 'a_b', '../a_b', 'A_B'])
    store.save(name, () => ({ ...inventory, cluster: name }));
  await store.flush();
  assert.equal(files().length, 4);
  assert.equal(store.load('../a_b')?.cluster, '../a_b');
});

const spoilers: [string, (bytes: Buffer) => Buffer][] = [
  ['a flipped bit', (bytes) => flip(bytes, bytes.length - 20)],
  ['a flipped bit in the header', (bytes) => flip(bytes, 3)],
  ['a cut end', (bytes) => bytes.subarray(0, bytes.length - 1)],
  ['something appended', (bytes) => Buffer.concat([bytes, Buffer.from(' ')])],
  ['nothing in it', () => Buffer.alloc(0)],
  ['no newline', () => Buffer.from('{}')],
  ['foreign text', () => Buffer.from('hello\nworld\n')],
  ['another version', (bytes) => Buffer.from(bytes.toString().replace('"version":1', '"version":2'))],
  ["another cluster's name", (bytes) => Buffer.from(bytes.toString().replace('"iad"', '"sea"'))],
];
for (const [name, spoil] of spoilers) {
  test(`a file with ${name} is reported and ignored`, async (t) => {
    const { store, directory, files, results, lines } = rig(t);
    store.save('iad', () => inventory);
    await store.flush();
    const path = join(directory, files()[0] ?? '');
    writeFileSync(path, spoil(readFileSync(path)));
    assert.equal(store.load('iad'), null);
    assert.deepEqual(results(), ['written', 'rejected']);
    assert.ok(lines.some((line) => line.includes('inventory-file-rejected')));
  });
}

test('every cut of the file is refused', async (t) => {
  const { store, directory, files } = rig(t);
  store.save('iad', () => inventory);
  await store.flush();
  const path = join(directory, files()[0] ?? '');
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 7) {
    writeFileSync(path, whole.subarray(0, length));
    assert.equal(store.load('iad'), null);
  }
});

test('a pipe or a device in the place of the file is reported and ignored, and the next write replaces it', async (t) => {
  const { store, directory, files, results } = rig(t);
  store.save('iad', () => inventory);
  await store.flush();
  const path = join(directory, files()[0] ?? '');
  rmSync(path);
  execFileSync('mkfifo', [path]);
  assert.equal(store.load('iad'), null);
  rmSync(path);
  symlinkSync('/dev/zero', path);
  assert.equal(store.load('iad'), null);
  store.save('iad', () => inventory);
  await store.flush();
  assert.deepEqual(store.load('iad')?.nodes, inventory.nodes);
  assert.deepEqual(results(), ['written', 'rejected', 'rejected', 'written', 'loaded']);
});

test('a file that cannot be read, or is a directory, is reported and ignored', async (t) => {
  const { store, directory, files, results } = rig(t);
  store.save('iad', () => inventory);
  await store.flush();
  const name = files()[0] ?? '';
  const other = rig(t);
  mkdirSync(join(other.directory, name), { recursive: true });
  assert.equal(other.store.load('iad'), null);
  assert.deepEqual(other.results(), ['rejected']);
  assert.deepEqual(results(), ['written']);
  assert.ok(directory !== other.directory);
});

test('an inventory over the limit is neither written nor read', async (t) => {
  const small = rig(t, { limitBytes: 100 });
  small.store.save('iad', () => inventory);
  await small.store.flush();
  assert.deepEqual(small.results(), ['too-large']);
  const large = rig(t);
  large.store.save('iad', () => inventory);
  await large.store.flush();
  const reader = rig(t, { limitBytes: 100, directory: large.directory });
  assert.equal(reader.store.load('iad'), null);
  assert.deepEqual(reader.results(), ['rejected']);
});

test('a directory that cannot be written to is said once, counted each time, and the old file stays', async (t) => {
  const parent = temporaryDirectory(t);
  writeFileSync(join(parent, 'file'), '');
  const { store, results, lines } = rig(t, { directory: join(parent, 'file', 'state') });
  for (let attempt = 0; attempt < 3; attempt += 1) {
    store.save('iad', () => inventory);
    await store.flush();
  }
  assert.deepEqual(results(), ['write-failed', 'write-failed', 'write-failed']);
  assert.equal(lines.length, 1);
});

test('a write that failed is tried again by itself, and says when it works again', async (t) => {
  const parent = temporaryDirectory(t);
  const blocked = join(parent, 'file');
  writeFileSync(blocked, '');
  const { store, results, lines, clock } = rig(t, { directory: join(blocked, 'state') });
  store.save('iad', () => inventory);
  clock.advance(0);
  await eventually(() => results().length === 1);
  rmSync(blocked);
  await eventually(() => clock.waits.length === 1);
  clock.advance(9_999);
  assert.deepEqual(results(), ['write-failed'], 'the disk is left alone for ten seconds');
  clock.advance(1);
  await eventually(() => results().length === 2);
  assert.deepEqual(results(), ['write-failed', 'written']);
  assert.equal(lines.length, 2);
});

test('another directory gets what was saved last, and null gets nothing until there is one again', async (t) => {
  const { store, clock, directory, files, results } = rig(t);
  const other = join(temporaryDirectory(t), 'other');
  store.save('iad', () => inventory);
  clock.advance(0);
  await eventually(() => results().length === 1);
  await eventually(() => clock.waits.length === 0);
  store.moveTo(null);
  const newer = { ...inventory, syncedAtMs: inventory.syncedAtMs + 1 };
  store.save('iad', () => newer);
  clock.advance(2_000);
  await store.flush();
  assert.deepEqual(results(), ['written']);
  store.moveTo(other);
  clock.advance(2_000);
  await eventually(() => results().length === 2);
  assert.deepEqual(readdirSync(other), files());
  assert.equal(store.load('iad')?.syncedAtMs, newer.syncedAtMs);
  store.moveTo(directory);
  assert.equal(store.load('iad')?.syncedAtMs, inventory.syncedAtMs, 'from before');
});

test('what a killed process left aside is cleared away once it is old', async (t) => {
  const { store, clock, directory, files } = rig(t);
  store.save('iad', () => inventory);
  await store.flush();
  const name = files()[0] ?? '';
  const now = clock.now() / 1000;
  for (const [suffix, ageSeconds] of [
    ['old', 7_200],
    ['young', 60],
  ] as const) {
    const path = join(directory, `${name}.${suffix}.tmp`);
    writeFileSync(path, 'half');
    utimesSync(path, now - ageSeconds, now - ageSeconds);
  }
  store.save('iad', () => inventory);
  await store.flush();
  assert.deepEqual(files().sort(), [name, `${name}.young.tmp`]);
});

test('without a directory nothing is kept', async (t) => {
  const clock = new HandClock();
  const { log } = recordLog();
  const store = createInventoryStore({ directory: null, clock, log, onCount: recordCounts().onCount });
  store.save('iad', () => inventory);
  await store.flush();
  assert.equal(store.load('iad'), null);
  assert.ok(t.name !== '');
});

function flip(bytes: Buffer, index: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}
