// Micro-benchmark of the pickers: building, rebuilding after a change, picking. `node bench/micro/pickers.ts [--json]`

import assert from 'node:assert/strict';
import { HashTables } from '../../src/balance/hash-tables.ts';
import { createPoolPicker } from '../../src/balance/pool-picker.ts';
import { createFlowHasher } from '../../src/balance/siphash.ts';
import type { Member, Picker, PickerOptions } from '../../src/model/picker.ts';
import type { PolicyName } from '../../src/model/pool-config.ts';

const POLICIES: readonly PolicyName[] = [
  'round-robin',
  'random',
  'least-request',
  'peak-ewma',
  'rendezvous',
  'maglev',
  'ring-hash',
];
const SIZES = [3, 100, 1_000];
const PICKS = 200_000;
const FIRST_PICKS = 2_048;
const ROUNDS = 5;
const NOBODY: readonly Member[] = [];

interface Row {
  readonly policy: PolicyName;
  readonly members: number;
  /** A picker with its table, nothing known before. */
  readonly buildMs: number;
  /** The same members, one of them unhealthy: the usual snapshot. */
  readonly healthChangeMs: number;
  /** One member replaced. */
  readonly memberChangeMs: number;
  /** The first 2,048 keys: rows of the rendezvous table are filled here. */
  readonly firstPickNs: number;
  readonly pickNs: number;
  readonly pickLowestNs: number;
  readonly bytesPerPick: number;
}

function createMembers(count: number, from = 0): Member[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index;
    const address = `10.${number >> 16}.${(number >> 8) & 0xff}.${number & 0xff}`;
    return {
      identity: `${address}:30080`,
      address,
      port: 30080,
      cluster: 'iad',
      node: `node-${number}`,
      weight: 1,
      priority: 0,
      state: 'active',
      health: 'healthy',
      lastResort: false,
      live: {
        inFlight: number % 7,
        ejected: false,
        latencyMs: 5 + (number % 3),
        latencyAtMs: 1,
        startedAtMs: 1,
      },
    };
  });
}

function createOptions(name: PolicyName): PickerOptions {
  return {
    unknown: 'serve',
    slowStartMs: 0,
    panicThreshold: 0.5,
    spilloverThreshold: 0.7,
    policy: {
      name,
      key: null,
      choices: 2,
      boundedLoad: 0,
      tableSize: name === 'ring-hash' ? 160 : 65_537,
      seed: '34567890123456783456789012345678',
      hashKey: '12345678901234561234567890123456',
    },
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

function timeMs(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** The checksum is part of it: a worker reports it for each snapshot. */
function build(members: readonly Member[], name: PolicyName, tables: HashTables): Picker {
  const picker = createPoolPicker(members, createOptions(name), Math.random, () => 1_000, tables);
  assert.equal(
    picker.checksum.length,
    createOptions(name).policy.name.match(/rendezvous|maglev|ring/) ? 16 : 0,
  );
  return picker;
}

/** Picks once for each hash and checks that the members share the picks as they should. */
function pickAll(
  picker: Picker,
  hashes: Uint32Array,
  turns: number,
  counts: Map<Member, number> | null,
): void {
  for (let turn = 0; turn < turns; turn++) {
    const member = picker.pick(hashes[turn % hashes.length]!, NOBODY);
    if (member === undefined) throw new Error('a full pool picked nobody');
    if (counts !== null) counts.set(member, (counts.get(member) ?? 0) + 1);
  }
}

function check(name: PolicyName, picker: Picker, members: readonly Member[], hashes: Uint32Array): void {
  const counts = new Map<Member, number>();
  pickAll(picker, hashes, PICKS, counts);
  const fair = PICKS / members.length;
  const weighsLoad = name === 'least-request' || name === 'peak-ewma';
  // A hash policy sends all picks of a key to one member, so its shares are as coarse as the keys are few.
  const slack = fair * (0.4 + 5 / Math.sqrt(Math.min(hashes.length, PICKS) / members.length));
  for (const member of members) {
    const count = counts.get(member) ?? 0;
    // The busiest of three is rightly never taken; with all others each member has its share.
    if (weighsLoad) assert.ok(count <= fair * 3.5, `${name}: ${member.identity} ${count}`);
    else assert.ok(Math.abs(count - fair) < slack, `${name}: ${member.identity} ${count} of ${fair}`);
  }
}

function measure(name: PolicyName, size: number, hashes: Uint32Array): Row {
  const members = createMembers(size);
  const sick = members.with(1, { ...members[1]!, health: 'unhealthy' });
  const changed = [...members.slice(1), ...createMembers(1, 5_000)];
  const buildMs: number[] = [];
  const healthChangeMs: number[] = [];
  const memberChangeMs: number[] = [];
  const firstPickNs: number[] = [];
  let picker: Picker | null = null;
  for (let round = 0; round < ROUNDS; round++) {
    const tables = new HashTables();
    let made: Picker | null = null;
    buildMs.push(timeMs(() => (made = build(members, name, tables))));
    const fresh = made as Picker | null;
    if (fresh === null) throw new Error('unreachable');
    firstPickNs.push((timeMs(() => pickAll(fresh, hashes, FIRST_PICKS, null)) / FIRST_PICKS) * 1e6);
    healthChangeMs.push(timeMs(() => build(sick, name, tables)));
    memberChangeMs.push(timeMs(() => build(changed, name, tables)));
    picker = fresh;
  }
  if (picker === null) throw new Error('unreachable');
  check(name, picker, members, hashes);
  const settled = picker;
  const pickNs = Array.from(
    { length: ROUNDS },
    () => (timeMs(() => pickAll(settled, hashes, PICKS, null)) / PICKS) * 1e6,
  );
  const before = process.memoryUsage().heapUsed;
  pickAll(settled, hashes, PICKS, null);
  const bytesPerPick = Math.max(0, process.memoryUsage().heapUsed - before) / PICKS;
  return {
    policy: name,
    members: size,
    buildMs: median(buildMs),
    healthChangeMs: median(healthChangeMs),
    memberChangeMs: median(memberChangeMs),
    firstPickNs: median(firstPickNs),
    pickNs: median(pickNs),
    pickLowestNs: Math.min(...pickNs),
    bytesPerPick,
  };
}

const hasher = createFlowHasher('12345678901234561234567890123456');
const keys = Uint32Array.from({ length: 16_384 }, (_, flow) => hasher.text(`flow ${flow}`));
// A round that is not counted, so that no policy pays for the others' compilation.
for (const name of POLICIES) measure(name, 3, keys);
const rows = SIZES.flatMap((size) => POLICIES.map((name) => measure(name, size, keys)));

const hashingNs =
  (timeMs(() => {
    const address = Uint8Array.of(10, 11, 12, 13);
    for (let turn = 0; turn < PICKS; turn++) hasher.bytes(address, 4);
  }) /
    PICKS) *
  1e6;

if (process.argv.includes('--json')) {
  process.stdout.write(`${JSON.stringify({ node: process.version, hashingNs, rows }, null, 2)}\n`);
} else {
  const columns = [
    'policy',
    'members',
    'build ms',
    'health ms',
    'member ms',
    'first ns',
    'pick ns',
    'lowest',
    'bytes',
  ];
  const lines = rows.map((row) => [
    row.policy,
    String(row.members),
    row.buildMs.toFixed(2),
    row.healthChangeMs.toFixed(2),
    row.memberChangeMs.toFixed(2),
    row.firstPickNs.toFixed(0),
    row.pickNs.toFixed(0),
    row.pickLowestNs.toFixed(0),
    row.bytesPerPick.toFixed(1),
  ]);
  for (const line of [columns, ...lines])
    process.stdout.write(
      `${line.map((cell, index) => (index === 0 ? cell.padEnd(14) : cell.padStart(10))).join('')}\n`,
    );
  process.stdout.write(`hash of an IPv4 address: ${hashingNs.toFixed(0)} ns\n`);
}
