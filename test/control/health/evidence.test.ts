import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Evidence, judge } from '../../../src/control/health/evidence.ts';
import type { ProbeStatus } from '../../../src/control/health/probe-record.ts';
import type { ProbeFailure } from '../../../src/control/health/probe-result.ts';

const OK: ProbeStatus = {
  healthy: true,
  failure: null,
  detail: '',
  weight: null,
  recent: 8,
  recentFailures: 0,
  everOk: true,
};
const failing = (failure: ProbeFailure, changes: Partial<ProbeStatus> = {}): ProbeStatus => ({
  ...OK,
  healthy: false,
  failure,
  detail: failure,
  recentFailures: 8,
  ...changes,
});
const NOTHING: Evidence = {
  probed: false,
  unknown: 'serve',
  policy: 'Cluster',
  poolProbe: undefined,
  proofProbe: undefined,
  nodeProbe: undefined,
  healthCheckNodePort: undefined,
  connected: false,
  othersFailing: 0,
};
const told = (changes: Partial<Evidence>): string => {
  const { health, proof, dead, silent, lastResort, notes } = judge({ ...NOTHING, ...changes });
  const codes = notes.map(({ code }) => code).join();
  return `${health} ${proof}${dead ? ' dead' : ''}${silent ? ' silent' : ''}${lastResort ? ' last-resort' : ''}${codes === '' ? '' : ` ${codes}`}`;
};
const MIXED = failing('timeout', { recentFailures: 5 });

const TABLE: readonly [name: string, evidence: Partial<Evidence>, expected: string][] = [
  ['nothing known', {}, 'unknown none'],
  ['a worker has connected', { connected: true }, 'unknown proven'],
  ['kube-proxy answers, policy Cluster', { nodeProbe: OK }, 'unknown proven'],
  [
    'kube-proxy answers, policy Local: no proof of a local endpoint',
    { policy: 'Local', nodeProbe: OK },
    'unknown none',
  ],
  ['proof connected', { proofProbe: OK }, 'unknown proven'],
  ['proof connected, pool holds back what is unknown', { proofProbe: OK, unknown: 'hold' }, 'healthy proven'],
  ['proof refused', { proofProbe: failing('refused', { everOk: false }) }, 'unknown failed dead'],
  ['healthCheckNodePort 200', { policy: 'Local', healthCheckNodePort: OK }, 'unknown proven'],
  [
    'healthCheckNodePort 503, no pool probe',
    { policy: 'Local', healthCheckNodePort: failing('answered') },
    'unknown none last-resort health-check-node-port',
  ],
  [
    'healthCheckNodePort 503, pool probe healthy: noted only',
    { probed: true, policy: 'Local', poolProbe: OK, healthCheckNodePort: failing('answered') },
    'healthy proven health-check-node-port',
  ],
  [
    'healthCheckNodePort refused: kube-proxy does not run',
    { policy: 'Local', healthCheckNodePort: failing('refused') },
    'unknown none',
  ],
  ['pool probe pending', { probed: true }, 'unknown none probe-unknown'],
  [
    'pool probe pending, a worker has connected',
    { probed: true, connected: true },
    'unknown proven probe-unknown',
  ],
  ['pool probe healthy', { probed: true, poolProbe: OK }, 'healthy proven'],
  [
    'pool probe unhealthy',
    { probed: true, poolProbe: failing('refused') },
    'unhealthy failed dead probe-failed',
  ],
  [
    'kube-proxy 503',
    { probed: true, poolProbe: OK, nodeProbe: failing('answered') },
    'healthy proven last-resort kube-proxy-unhealthy',
  ],
  [
    'kube-proxy refused: its rules stay',
    { probed: true, poolProbe: OK, nodeProbe: failing('refused') },
    'healthy proven',
  ],
  [
    'kube-proxy silent, pool probe answers',
    { probed: true, poolProbe: OK, nodeProbe: failing('timeout') },
    'healthy proven',
  ],
  [
    'kube-proxy silent after it had answered',
    { nodeProbe: failing('timeout') },
    'unknown none dead silent last-resort kube-proxy-unhealthy',
  ],
  [
    'kube-proxy never reached (a firewall)',
    { nodeProbe: failing('timeout', { everOk: false }) },
    'unknown none',
  ],
  [
    'failures as often through other nodes, kube-proxy fine',
    { probed: true, poolProbe: MIXED, nodeProbe: OK, othersFailing: 0.5 },
    'healthy none probe-failed',
  ],
  [
    'failures as often through other nodes, kube-proxy not asked',
    { probed: true, poolProbe: MIXED, othersFailing: 0.5 },
    'healthy none probe-failed',
  ],
  [
    'nothing at all comes through this node',
    { probed: true, poolProbe: failing('timeout'), othersFailing: 0.5 },
    'unhealthy failed dead silent probe-failed',
  ],
  [
    'failures through this node only',
    { probed: true, poolProbe: MIXED, nodeProbe: OK, othersFailing: 0.1 },
    'unhealthy failed dead probe-failed',
  ],
  [
    'failures everywhere and kube-proxy silent: the node is dead',
    { probed: true, poolProbe: MIXED, nodeProbe: failing('timeout'), othersFailing: 0.5 },
    'unhealthy failed dead silent last-resort probe-failed,kube-proxy-unhealthy',
  ],
  [
    'failures everywhere under Local: each node answers for itself',
    { probed: true, policy: 'Local', poolProbe: MIXED, nodeProbe: OK, othersFailing: 0.5 },
    'unhealthy failed dead probe-failed',
  ],
];
for (const [name, evidence, expected] of TABLE) {
  test(`${name}: ${expected}`, () => assert.equal(told(evidence), expected));
}

test('the weight of kube-proxy counts while it answers', () => {
  const weight = (status: ProbeStatus): number | null =>
    judge({ ...NOTHING, healthCheckNodePort: status }).weight;
  assert.equal(weight({ ...OK, weight: 4 }), 4);
  assert.equal(weight(failing('answered', { weight: 4 })), null);
});
