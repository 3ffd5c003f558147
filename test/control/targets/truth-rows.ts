// The rows of "NodePort truth" as a test states them: what is made true, and what has to come of it. Written by hand,
// beside src and not from it.

import type { ProbeFailure } from '../../../src/control/health/probe-result.ts';
import type { ClusterConfig } from '../../../src/model/config.ts';
import type {
  EndpointSliceFact,
  InventoryOrigin,
  NodeFact,
  ServiceFact,
} from '../../../src/model/inventory.ts';
import type { PoolConfig, SourceConfig } from '../../../src/model/pool-config.ts';
import type { ReasonCode } from '../../../src/model/targets.ts';
import {
  clusterConfig,
  endpointFact,
  HTTP_HEALTH,
  nodeFact,
  serviceFact,
  serviceSource,
  sliceFact,
  TERMINATING,
} from './facts.ts';

/** What node-1 is judged from; node-2 is always well. */
export interface Truth {
  node: NodeFact;
  service: ServiceFact | null;
  slices: readonly EndpointSliceFact[];
  source: SourceConfig;
  cluster: ClusterConfig;
  pool: Partial<PoolConfig>;
  origin: InventoryOrigin;
  drained: boolean;
  /** node-1 comes when node-2 is there already. */
  joinsLate: boolean;
  /** What probes of node-1 meet, by port; null succeeds, and a port that is not named is silent without end. */
  answers: Record<number, ProbeFailure | null>;
}

export const KUBE_PROXY = 10256;
export const HEALTH_CHECK = 31_000;
export const NODE_PORT = 30_080;

export const truth = (): Truth => ({
  node: nodeFact('node-1'),
  service: serviceFact('web'),
  slices: [sliceFact('web', [endpointFact('node-1'), endpointFact('node-2')])],
  source: serviceSource(),
  cluster: clusterConfig(),
  pool: {},
  origin: 'live',
  drained: false,
  joinsLate: false,
  answers: {},
});

export type Outcome = 'excluded' | 'draining' | 'last-resort' | 'unhealthy' | 'none';

export interface TruthRow {
  readonly name: string;
  readonly code: ReasonCode;
  readonly outcome: Outcome;
  /** Rows about the same thing contradict each other. */
  readonly about: string;
  readonly apply: (given: Truth) => void;
}

const row = (
  about: string,
  name: string,
  code: ReasonCode,
  outcome: Outcome,
  apply: TruthRow['apply'],
): TruthRow => ({ about, name, code, outcome, apply });

const node = (changes: Partial<NodeFact>) => (given: Truth) => {
  given.node = { ...given.node, ...changes };
};
const taint = (key: string) => (given: Truth) => {
  given.node = { ...given.node, taints: [...given.node.taints, { key, effect: 'NoSchedule' }] };
};
const label = (value: string) => (given: Truth) => {
  const key = 'node.kubernetes.io/exclude-from-external-load-balancers';
  given.node = { ...given.node, labels: { ...given.node.labels, [key]: value } };
};
const service = (changes: Partial<ServiceFact>) => (given: Truth) => {
  if (given.service !== null) given.service = { ...given.service, ...changes };
};
const port = (changes: Partial<ServiceFact['ports'][number]>) =>
  service({ ports: [{ name: 'http', port: 80, nodePort: NODE_PORT, protocol: 'TCP', ...changes }] });
const source = (changes: Partial<SourceConfig>) => (given: Truth) => {
  given.source = { ...given.source, ...changes };
};
const all =
  (...parts: readonly TruthRow['apply'][]) =>
  (given: Truth) => {
    for (const part of parts) part(given);
  };
const slices =
  (...list: readonly EndpointSliceFact[]) =>
  (given: Truth) => {
    given.slices = list;
  };
const local = service({ externalTrafficPolicy: 'Local' });
const answer = (at: number, failure: ProbeFailure | null) => (given: Truth) => {
  given.answers = { ...given.answers, [at]: failure };
};
const kubeProxyProbe = (given: Truth) => {
  given.cluster = { ...given.cluster, kubeProxy: { ...given.cluster.kubeProxy, healthz: true } };
};
const poolProbe = (given: Truth) => {
  given.pool = { ...given.pool, health: HTTP_HEALTH };
};
const elsewhere = sliceFact('web', [endpointFact('node-2')]);

export const TRUTH_ROWS: readonly TruthRow[] = [
  row('label', 'exclude label, empty value', 'excluded-label', 'excluded', label('')),
  row('label', 'exclude label, value false: presence counts', 'excluded-label', 'excluded', label('false')),
  row('selector', 'selector that does not match', 'selector-mismatch', 'excluded', (given) => {
    given.cluster = { ...given.cluster, nodes: { ...given.cluster.nodes, selector: 'pool=web' } };
  }),
  row(
    'autoscaler',
    'taint of the cluster autoscaler',
    'tainted-cluster-autoscaler',
    'draining',
    taint('ToBeDeletedByClusterAutoscaler'),
  ),
  row('karpenter', 'taint of Karpenter', 'tainted-karpenter', 'draining', taint('karpenter.sh/disrupted')),
  row('karpenter', 'older taint of it', 'tainted-karpenter', 'draining', taint('karpenter.sh/disruption')),
  row('deletion', 'node deleted', 'node-deleting', 'draining', node({ deletionTimestamp: '2026-01-01' })),
  row('drain', 'operator drain', 'operator-drain', 'draining', (given) => {
    given.drained = true;
  }),
  row('cordon', 'cordon', 'cordoned', 'none', node({ unschedulable: true })),
  row('ready', 'Ready False', 'not-ready', 'last-resort', node({ ready: 'False' })),
  row('ready', 'Ready Unknown', 'not-ready', 'last-resort', node({ ready: 'Unknown' })),
  row(
    'address',
    'no address of the chosen type',
    'no-address',
    'excluded',
    node({ addresses: [{ type: 'ExternalIP', address: '192.0.2.1' }] }),
  ),
  row(
    'address',
    'node address of another family',
    'family-mismatch',
    'excluded',
    node({ addresses: [{ type: 'InternalIP', address: 'fd00::1' }] }),
  ),
  row('service', 'missing service', 'service-not-found', 'excluded', (given) => {
    given.service = null;
  }),
  row('type', 'ClusterIP service', 'service-type', 'excluded', service({ type: 'ClusterIP' })),
  row('port', 'port name not found', 'port-not-found', 'excluded', source({ port: 'grpc' })),
  row('port', 'a nodePort given as port', 'port-not-found', 'excluded', source({ port: NODE_PORT })),
  row('port', 'UDP port', 'protocol-mismatch', 'excluded', port({ protocol: 'UDP' })),
  row('port', 'nodePort not allocated', 'nodeport-unallocated', 'excluded', port({ nodePort: 0 })),
  row(
    'family',
    'service of another family',
    'family-mismatch',
    'excluded',
    service({ ipFamilies: ['IPv6'] }),
  ),
  row(
    'deleting',
    'service deleted',
    'service-deleting',
    'draining',
    service({ deletionTimestamp: '2026-01-01' }),
  ),
  row('endpoints', 'Cluster, no endpoint', 'no-endpoints', 'excluded', slices()),
  row(
    'endpoints',
    'Local, no endpoint',
    'no-endpoints',
    'excluded',
    all(local, slices(sliceFact('web', []))),
  ),
  row('endpoints', 'Local, elsewhere', 'no-local-endpoint', 'excluded', all(local, slices(elsewhere))),
  row(
    'endpoints',
    'Local, endpoint of another port',
    'no-local-endpoint',
    'excluded',
    all(
      local,
      slices(
        sliceFact('web', [endpointFact('node-1')], { ports: [{ name: 'admin', port: 1 }] }),
        sliceFact('web', [endpointFact('node-2')], { name: 'web-def' }),
      ),
    ),
  ),
  row(
    'endpoints',
    'Local, endpoint not ready',
    'no-local-endpoint',
    'excluded',
    all(
      local,
      slices(
        sliceFact('web', [endpointFact('node-1', { ready: false, serving: false }), endpointFact('node-2')]),
      ),
    ),
  ),
  row(
    'endpoints',
    'Local, all terminating but serving',
    'local-endpoints-terminating',
    'draining',
    all(local, slices(sliceFact('web', [endpointFact('node-1', TERMINATING), endpointFact('node-2')]))),
  ),
  row('endpoints', 'Local, ready endpoints', 'local-endpoints', 'none', local),
  row(
    'endpoints',
    'Cluster, nodes with endpoints preferred',
    'hosts-no-endpoint',
    'last-resort',
    all(source({ preferNodesWithEndpoints: true }), slices(elsewhere)),
  ),
  row(
    'endpoints',
    'Local, healthCheckNodePort says 503',
    'health-check-node-port',
    'last-resort',
    all(
      local,
      service({ type: 'LoadBalancer', healthCheckNodePort: HEALTH_CHECK }),
      answer(HEALTH_CHECK, 'answered'),
    ),
  ),
  row(
    'kube-proxy',
    'kube-proxy says 503',
    'kube-proxy-unhealthy',
    'last-resort',
    all(kubeProxyProbe, answer(KUBE_PROXY, 'answered')),
  ),
  row('probe', 'probe fails', 'probe-failed', 'unhealthy', all(poolProbe, answer(NODE_PORT, 'refused'))),
  row('probe', 'no probe has answered', 'probe-unknown', 'none', poolProbe),
  row('joining', 'joined, not proven', 'unproven', 'last-resort', (given) => {
    given.joinsLate = true;
  }),
  row('inventory', 'inventory from disk', 'inventory-stale', 'none', (given) => {
    given.origin = 'disk';
  }),
];

const SERVICE_LEVEL: readonly ReasonCode[] = [
  'service-type',
  'port-not-found',
  'protocol-mismatch',
  'nodeport-unallocated',
  'service-deleting',
];
const ENDPOINT_LEVEL: readonly ReasonCode[] = [
  'no-endpoints',
  'no-local-endpoint',
  'local-endpoints',
  'local-endpoints-terminating',
  'hosts-no-endpoint',
];
const SEEN_BY_PROBES: readonly ReasonCode[] = [
  'health-check-node-port',
  'kube-proxy-unhealthy',
  'probe-failed',
  'probe-unknown',
  'unproven',
];

/** What a reason leaves nothing to say of, in either order. */
export const SILENCES: Readonly<Partial<Record<ReasonCode, readonly ReasonCode[]>>> = {
  // What is not there has no type, port, family, deletion or endpoints.
  'service-not-found': [...SERVICE_LEVEL, ...ENDPOINT_LEVEL],
  // Endpoints are known for a port only.
  'port-not-found': ENDPOINT_LEVEL,
  // Without node ports by its type none can be allocated.
  'service-type': ['nodeport-unallocated'],
};

/** Nobody looks at what is excluded, and it neither joins nor waits. */
export const UNSEEN_WHEN_EXCLUDED = SEEN_BY_PROBES;
/** What drains takes no new flow, so nothing of it has to be proven, and a 503 of kube-proxy says what is known. */
export const UNSEEN_WHEN_DRAINING: readonly ReasonCode[] = ['unproven', 'health-check-node-port'];
