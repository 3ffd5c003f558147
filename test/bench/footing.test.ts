// What latency and memory benchmarks make of their samples, and how they read the memory of processes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { describe, it } from 'node:test';
import type { Latency } from '../../bench/drivers/go-load.ts';
import { addedBy, type LatencyRound, latencyTable } from '../../bench/latency/added.ts';
import { type MemorySample, memoryTable } from '../../bench/memory/memory-table.ts';
import { residentIn, residentKiB, treeOf } from '../../bench/memory/resident.ts';

const latency = (p50: number, p99: number): Latency => ({ p50, p90: p50, p99, max: p99 });
const round = (rate: number, own: Latency, direct: Latency): LatencyRound => ({
  rate,
  saturations: { portico: rate * 2 },
  latencies: { portico: own, direct },
});

describe('added latency', () => {
  const rounds = [
    round(100, latency(0.3, 1), latency(0.1, 0.5)),
    round(300, latency(0.5, 2), latency(0.2, 0.25)),
    round(200, latency(0.9, 5), latency(0.1, 4.5)),
  ];

  it('is the difference to the backend in the same round', () => {
    const added = addedBy(rounds, 'portico', 'direct', 'p99');
    assert.deepEqual([added.median, added.min, added.max], [0.5, 0.5, 1.75]);
  });

  it('is shown with the rate at which it was taken', () => {
    const [heading, row] = latencyTable(rounds, 'direct', ['portico']);
    assert.equal(heading![0], 'at 200 requests/s');
    assert.deepEqual(row!.slice(0, 4), ['portico', '0.300', '0.200..0.800', '0.500']);
    assert.equal(row!.at(-1), '400');
  });
});

describe('memory', () => {
  const sample = (peer: string, endpoint: 'http' | 'https', perConnectionKiB: number): MemorySample => ({
    peer,
    endpoint,
    workerMiB: 79,
    allMiB: 300,
    servedMiB: 90,
    perConnectionKiB,
  });

  it("has Portico's goals, reached or not, and nobody else's", () => {
    const rows = memoryTable([
      sample('portico', 'http', 7.5),
      sample('portico', 'https', 31),
      sample('HAProxy 2.6', 'http', 1),
    ]);
    const goals = Object.fromEntries(rows.map(([what, , , goal]) => [what, goal]));
    assert.equal(goals['portico: worker at rest'], '80 reached');
    assert.equal(goals['portico: worker at rest after 0.1 s of load'], '80');
    assert.equal(goals['portico: idle connection'], '8 reached');
    assert.equal(goals['portico: idle TLS connection'], '30');
    assert.equal(goals['HAProxy 2.6: idle connection'], '');
    assert.equal(goals['HAProxy 2.6: idle TLS connection'], undefined);
  });

  it('of a tree is that of every process below its root', () => {
    const stats = [
      { pid: 1, parent: 0 },
      { pid: 2, parent: 1 },
      { pid: 3, parent: 2 },
      { pid: 4, parent: 1 },
    ];
    assert.deepEqual(treeOf(stats, 2), [2, 3]);
    assert.deepEqual(treeOf(stats, 1).toSorted(), [1, 2, 3, 4]);
    assert.throws(() => treeOf(stats, 5), RangeError);
  });

  it('is read from the kernel', () => {
    const own = residentKiB(process.pid);
    assert.ok(own.all >= own.largestWorker && own.largestWorker > 10_000, JSON.stringify(own));
    assert.ok(residentIn(readFileSync('/proc/self/status', 'latin1')) > 10_000);
    assert.throws(() => residentIn('Name:\tgone\n'), SyntaxError);
  });
});
