// Owns a target engine with an injected clock and probes that answer as the test says.

import assert from 'node:assert/strict';
import pino from 'pino';
import type { ProbeFailure } from '../../../src/control/health/probe-result.ts';
import type { Prober } from '../../../src/control/health/probes.ts';
import type { TargetEngine, TargetEngineOptions } from '../../../src/control/targets/engine-contract.ts';
import type { TargetChange } from '../../../src/control/targets/target-changes.ts';
import { createTargetEngine } from '../../../src/control/targets/target-engine.ts';
import type { Config } from '../../../src/model/config.ts';
import type { ClusterInventory } from '../../../src/model/inventory.ts';
import type { Snapshot } from '../../../src/model/snapshot.ts';
import { FakeTime } from '../health/fake-time.ts';
import { clusterInventory, config } from './facts.ts';

export class Bench {
  readonly time = new FakeTime();
  readonly snapshots: Snapshot[] = [];
  readonly changes: TargetChange[] = [];
  /** What answers to probes, by `host:port`; everything else is refused. */
  readonly up = new Set<string>();
  readonly failures = new Map<string, ProbeFailure>();
  readonly engine: TargetEngine;
  inventory: ClusterInventory = clusterInventory();

  constructor(given: Config | null = config(), options: Partial<TargetEngineOptions> = {}) {
    const prober: Prober = async ({ host, port }, _timeoutMs, signal, onResult) => {
      await null;
      const identity = `${host}:${port}`;
      const failure = signal.aborted
        ? 'cancelled'
        : (this.failures.get(identity) ?? (this.up.has(identity) ? null : 'refused'));
      onResult({ failure, detail: failure ?? '', durationMs: 1, weight: null });
    };
    this.engine = createTargetEngine({
      clock: this.time.clock,
      monotonic: this.time.monotonic,
      random: () => 0,
      defer: (task) => setImmediate(task),
      log: pino({ level: 'silent' }),
      prober,
      firstVersion: 100,
      onSnapshot: (snapshot) => this.snapshots.push(snapshot),
      onTargetChange: (change) => this.changes.push(change),
      ...options,
    });
    if (given !== null) this.engine.setConfig(given);
  }

  async list(changes: Partial<ClusterInventory> = {}, receivedAtMs = 0): Promise<void> {
    this.inventory = { ...this.inventory, ...changes };
    this.engine.setInventory({ clusters: { iad: this.inventory } }, receivedAtMs);
    await this.time.move(0);
  }

  get snapshot(): Snapshot {
    const last = this.snapshots.at(-1);
    assert.ok(last !== undefined);
    return last;
  }

  /** `address:port state health`, `*` for a last resort, of one pool in the last snapshot. */
  targets(name = 'web'): string[] {
    const pool = this.snapshot.pools.find((candidate) => candidate.name === name);
    return (pool?.groups ?? []).flatMap(({ hostSet, port }) =>
      this.snapshot.hostSets[hostSet]!.members.map(({ host, state, health, lastResort }) => {
        const { address } = host;
        return `${address}:${port} ${state} ${health}${lastResort ? '*' : ''}`;
      }),
    );
  }

  /** Node -> state and first reason, from the explained rows. */
  rows(pool = 'web'): Record<string, string> {
    const rows = this.engine.explained({ pool });
    return Object.fromEntries(
      rows.map(({ node, state, reasons }) => [node ?? '-', `${state} ${reasons[0]?.code}`]),
    );
  }
}
