// A controller for the tests of the admin HTTP: fixed answers, and a record of what was changed.

import { once } from 'node:events';
import type {
  AdminSource,
  DrainInForce,
  DrainSubject,
  TargetFilter,
} from '../../../src/control/admin/admin-source.ts';
import type { Snapshot } from '../../../src/model/snapshot.ts';
import type { ExplainedTarget } from '../../../src/model/targets.ts';

export const TARGET: ExplainedTarget = {
  pool: 'unicorn',
  cluster: 'iad',
  service: 'github-production/unicorn',
  node: 'worker-1',
  nodeUid: 'uid-1',
  address: '10.0.0.1',
  port: 30080,
  weight: 2,
  priority: 0,
  state: 'active',
  health: 'healthy',
  lastResort: false,
  reasons: [{ code: 'local-endpoints', text: '2 pods run here.', fix: '' }],
  changedAtMs: 1,
  changedBy: 'service:2',
  objectVersion: 'node:1 service:2',
};

export const EXCLUDED: ExplainedTarget = {
  ...TARGET,
  node: 'worker-2',
  address: '10.0.0.2',
  weight: 0,
  state: 'excluded',
  health: 'unknown',
  reasons: [
    { code: 'excluded-label', text: 'The node carries the exclude label.', fix: 'Remove the label.' },
  ],
};

export class FakeSource implements AdminSource {
  readonly calls: string[] = [];
  ready = true;
  flows = 0;
  kept = true;
  /** Barriers wait until their client has left. */
  barrierWaits = false;
  barriers = 0;
  inForce: readonly DrainInForce[] = [];
  current: Snapshot | null = null;
  reloadProblems: readonly string[] = [];

  readiness() {
    return { ready: this.ready, reasons: this.ready ? [] : ['No snapshot has been made yet.'] };
  }

  metrics() {
    return Promise.resolve('# HELP up Up.\n# TYPE up gauge\nup 1\n');
  }

  status() {
    return {
      version: '0.1.0',
      startedAtMs: 1,
      snapshotVersion: 7,
      snapshotChecksum: 'abc',
      config: { path: '/etc/portico.yaml', loadedAtMs: 1, problems: [] },
      clusters: [{ name: 'iad', origin: 'live' as const, syncedAtMs: 1, error: null }],
      workers: [{ name: 'worker-1', pid: 10, snapshotVersion: 7 }],
    };
  }

  snapshot() {
    return this.current;
  }

  targets(filter: TargetFilter, limit: number): readonly ExplainedTarget[] {
    this.calls.push(`targets ${filter.pool} ${filter.cluster}`);
    return [TARGET, EXCLUDED]
      .filter((row) => filter.cluster === null || row.cluster === filter.cluster)
      .filter((row) => filter.state === null || row.state === filter.state)
      .slice(0, limit);
  }

  hasPool(name: string) {
    return name === 'unicorn';
  }

  async explain(query: Parameters<AdminSource['explain']>[0]) {
    this.calls.push(`explain ${JSON.stringify(query)}`);
    if (query.kind !== 'url') {
      const name = query.kind === 'node' ? query.node : query.service;
      const targets = [TARGET, EXCLUDED].filter((row) => row.node === name || row.service === name);
      return targets.length === 0 ? null : { kind: query.kind, name, targets };
    }
    return {
      kind: 'url' as const,
      url: query.url,
      method: query.method,
      listener: 'web',
      route: 'github',
      rule: '#1',
      captures: { branch: 'fix' },
      action: 'pools' as const,
      pools: [{ name: 'unicorn', weight: 95, pick: '10.0.0.1:30080', targets: [TARGET, EXCLUDED] }],
      failure: null,
      steps: ['Listener web takes it.', 'Route github matches the host.'],
    };
  }

  reload() {
    this.calls.push('reload');
    const ok = this.reloadProblems.length === 0;
    return Promise.resolve({ ok, version: ok ? 8 : 7, problems: this.reloadProblems });
  }

  drain(subject: DrainSubject) {
    return this.#answer('drain', subject, true);
  }

  undrain(subject: DrainSubject) {
    return this.#answer('undrain', subject, false);
  }

  async drained(subject: DrainSubject, waitMs: number, left: AbortSignal) {
    if (waitMs > 0 && this.barrierWaits) {
      this.barriers += 1;
      await once(left, 'abort');
      this.barriers -= 1;
    }
    return this.#answer(waitMs === 0 ? 'drained' : `drained ${waitMs}`, subject, true);
  }

  tables() {
    return Promise.resolve([{ pool: 'git-ssh', policy: 'rendezvous', checksum: 'c0ffee' }]);
  }

  drains() {
    return this.inForce;
  }

  #answer(call: string, { cluster, node }: DrainSubject, draining: boolean) {
    this.calls.push(`${call} ${cluster} ${node}`);
    if (node === 'broken') return Promise.reject(new Error('fell over'));
    if (node !== 'worker-1' && (node !== null || cluster !== 'iad'))
      return Promise.resolve({ found: false as const });
    const { flows, kept } = this;
    const state = draining ? (flows === 0 ? 'gone' : 'draining') : 'active';
    return Promise.resolve({
      found: true as const,
      state,
      draining,
      drained: flows === 0,
      flows,
      kept,
    } as const);
  }
}
