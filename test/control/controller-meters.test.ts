// Gauges of the controller: what is gone must not look like a fault, nor take the place of what comes.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ControllerMeters } from '../../src/control/controller-meters.ts';
import type { ClusterStatus } from '../../src/control/discovery/cluster-status.ts';
import type { PoolCounts } from '../../src/control/targets/counts.ts';
import { MetricsBoard } from '../../src/telemetry/metrics-board.ts';
import { MetricsMerge } from '../../src/telemetry/metrics-merge.ts';
import { readExposition } from '../telemetry/exposition.ts';

/** The controller's part of the metrics, as a scrape shows it. */
class World {
  readonly meters: ControllerMeters;
  readonly #merge: MetricsMerge;
  #nowMs = 0;

  constructor() {
    const board = new MetricsBoard();
    this.meters = new ControllerMeters(board, { version: '0', node: '0' });
    const now = (): number => {
      this.#nowMs += 2000;
      return this.#nowMs;
    };
    this.#merge = new MetricsMerge({ local: board, described: () => this.meters.described(), now });
  }

  /** The lines of a family. */
  lines(family: string): readonly string[] {
    return this.#merge
      .text()
      .split('\n')
      .filter((line) => line.startsWith(`${family}{`));
  }

  text(): string {
    return this.#merge.text();
  }
}

const counts = (pool: string): PoolCounts => ({
  pool,
  states: { filling: 0, active: 3, draining: 0, excluded: 1 },
  health: { unknown: 0, healthy: 3, unhealthy: 0 },
  lastResort: 0,
  reasons: { ready: 3 },
});

it('a certificate that is named no more has no time of expiry, and gets one when it comes back', () => {
  const { meters, lines } = bound(new World());
  const certificate = { certificate: '/tls.crt', names: [], fingerprint: '', notAfterMs: 2_000_000_000_000 };
  const family = 'portico_tls_certificate_not_after_timestamp_seconds';
  meters.describe([], [], [certificate]);
  assert.deepEqual(lines(family), [`${family}{certificate="/tls.crt"} 2000000000`]);
  meters.describe([], [], []);
  assert.deepEqual(lines(family), []);
  meters.describe([], [], [certificate]);
  assert.deepEqual(lines(family), [`${family}{certificate="/tls.crt"} 2000000000`]);
});

it('a pool is told of however many have come and gone before it', () => {
  const { meters, lines } = bound(new World());
  for (let branch = 0; branch < 3000; branch++)
    meters.describe([counts('app'), counts(`review/branch-${branch}`)], [], []);
  const told = lines('portico_target_state');
  assert.equal(told.length, 8);
  assert.ok(told.includes('portico_target_state{pool="app",state="active"} 3'));
  assert.ok(told.includes('portico_target_state{pool="review/branch-2999",state="active"} 3'));
});

it('pools beyond the bound of a family are told of together', () => {
  const world = new World();
  world.meters.describe(
    Array.from({ length: 600 }, (_, index) => counts(`pool-${index}`)),
    [],
    [],
  );
  const told = world.lines('portico_target_state');
  assert.equal(told.length, 2001);
  assert.equal(told.at(-1), `portico_target_state{overflow="true"} ${100 * 4}`);
  readExposition(world.text());
});

it('a cluster that is configured no more is not one whose watch is down', () => {
  const { meters, lines } = bound(new World());
  const kind = { synced: true, failing: false, lastSyncMs: 5000, scopes: [] };
  const kinds = { nodes: kind, services: kind, endpointslices: kind, secrets: kind };
  const cluster = { cluster: 'iad', kinds, syncedAtMs: 5000 } as unknown as ClusterStatus;
  meters.describe([], [cluster], []);
  assert.equal(lines('portico_k8s_watch_up').length, 3);
  meters.describe([], [], []);
  assert.deepEqual(lines('portico_k8s_watch_up'), []);
  assert.deepEqual(lines('portico_k8s_last_sync_timestamp_seconds'), []);
});

function bound(world: World): Pick<World, 'meters' | 'lines'> {
  return { meters: world.meters, lines: (family) => world.lines(family) };
}
