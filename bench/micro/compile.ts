// Micro-benchmark of the snapshot compile: from targets to a snapshot, and on to the text that the workers get.
// Three sizes; cold, and with one target changed. `node bench/micro/compile.ts [--json]`

import assert from 'node:assert/strict';
import process from 'node:process';
import { parseConfig } from '../../src/config/parse.ts';
import {
  type CompileInput,
  type CompileMemo,
  compile,
  createCompileMemo,
} from '../../src/control/compile/compile.ts';
import { expandPools } from '../../src/control/compile/expand.ts';
import { TargetEntries } from '../../src/control/targets/target-entries.ts';
import type { TargetEntry, TargetTable } from '../../src/control/targets/target-table.ts';
import type { Config } from '../../src/model/config.ts';
import { WELL } from '../../test/control/targets/facts.ts';
import { spread } from '../measure/statistics.ts';

interface Size {
  readonly pools: number;
  readonly nodes: number;
  /** Different sets of nodes among the pools: services with `externalTrafficPolicy: Local` have one each. */
  readonly sets: number;
}

const SIZES: readonly Size[] = [
  { pools: 3, nodes: 3, sets: 1 },
  { pools: 100, nodes: 500, sets: 10 },
  { pools: 500, nodes: 5000, sets: 5 },
];
const ROUNDS = 7;

function configuration(pools: number): Config {
  const names = Array.from({ length: pools }, (_, pool) => `pool-${pool}`);
  const text = [
    'listeners: [{ name: web, bind: "127.0.0.1:8080", protocol: http }]',
    'pools:',
    ...names.map((name) => `  - { name: ${name}, sources: [{ static: ["127.0.0.1:9001"] }] }`),
    'routes:',
    ...names.map(
      (name) =>
        `  - { name: ${name}, hosts: [${name}.example.com], rules: [{ pools: [{ name: ${name} }] }] }`,
    ),
  ].join('\n');
  const result = parseConfig(text, { file: 'bench.yaml', env: {}, baseDirectory: '/' });
  if ('problems' in result) throw new Error(result.problems.map(({ message }) => message).join('\n'));
  return result.config;
}

function entry(node: number, sick: boolean): TargetEntry {
  const address = `10.${node >> 16}.${(node >> 8) & 0xff}.${node & 0xff}`;
  return {
    identity: `${address}:0`,
    port: 0,
    candidate: {
      cluster: 'iad',
      node: `node-${node}`,
      nodeUid: `uid-${node}`,
      address,
      port: 0,
      weight: 1,
      state: 'active',
      lastResort: false,
      reasons: [],
      nodeVersion: '1',
    },
    policy: 'Cluster',
    state: 'active',
    health: sick ? 'unhealthy' : 'healthy',
    lastResort: false,
    weight: 1,
    reasons: [],
    proven: true,
    joinedAtMs: 0,
    hold: null,
    view: WELL,
    changedAtMs: 0,
    changedBy: '',
  };
}

function tableOf(set: number, { nodes, sets }: Size, sick: boolean): TargetTable {
  const entries: TargetEntry[] = [];
  // Each set leaves out other nodes, so that no two are equal.
  for (let node = 0; node < nodes; node += 1) {
    if (sets > 1 && node % sets === set) continue;
    const target = entry(node, sick && node === nodes - 1);
    entries.push(target);
  }
  return { entries: TargetEntries.of(entries), departures: [], lost: new Map(), calm: null };
}

function inputOf(config: Config, size: Size, tables: readonly TargetTable[], version: number): CompileInput {
  const { pools, services } = expandPools(config, () => []);
  return {
    config,
    services,
    version,
    eventAtMs: 0,
    pools: pools.map(({ name, config: pool }, at) => ({
      name,
      config: pool,
      sources: [{ table: tables[at % size.sets]!, port: 30_000 + at, priority: 0, weight: 1 }],
    })),
  };
}

function milliseconds(work: () => void): number {
  const startedAtMs = performance.now();
  work();
  return performance.now() - startedAtMs;
}

function compileAndCheck(input: CompileInput, memo: CompileMemo, { pools, sets }: Size): string {
  const snapshot = compile(input, memo);
  assert.equal(snapshot.pools.length, pools);
  // The point of the format: every set stands in the snapshot once, however many pools use it.
  assert.equal(snapshot.hostSets.length, sets);
  return snapshot.checksum;
}

function measure(size: Size): readonly { name: string; values: readonly number[] }[] {
  const config = configuration(size.pools);
  const cold: number[] = [];
  const changed: number[] = [];
  const serialised: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const tables = Array.from({ length: size.sets }, (_, set) => tableOf(set, size, false));
    const memo = createCompileMemo();
    const before = inputOf(config, size, tables, 1);
    let checksum = '';
    const coldMs = milliseconds(() => {
      checksum = compileAndCheck(before, memo, size);
    });
    const after = inputOf(config, size, tables.with(0, tableOf(0, size, true)), 2);
    const changedMs = milliseconds(() => {
      assert.notEqual(compileAndCheck(after, memo, size), checksum);
    });
    const snapshot = compile(after, memo);
    const serialisedMs = milliseconds(() => {
      assert.ok(JSON.stringify({ snapshot, secrets: {} }).length > size.nodes);
    });
    // The first round warms up.
    if (round === 0) continue;
    cold.push(coldMs);
    changed.push(changedMs);
    serialised.push(serialisedMs);
  }
  const of = `${size.pools} pools, ${size.nodes} nodes in ${size.sets} sets`;
  return [
    { name: `${of}, cold`, values: cold },
    { name: `${of}, one target changed`, values: changed },
    { name: `${of}, to text`, values: serialised },
  ];
}

const results = SIZES.flatMap(measure).map(({ name, values }) => {
  const { median, min, max } = spread(values);
  return { name, medianMs: median, minMs: min, maxMs: max };
});
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  for (const { name, medianMs, minMs, maxMs } of results) {
    const range = `${minMs.toFixed(2)} to ${maxMs.toFixed(2)}`;
    process.stdout.write(`${name.padEnd(58)} ${medianMs.toFixed(2).padStart(8)} ms  (${range})\n`);
  }
}
