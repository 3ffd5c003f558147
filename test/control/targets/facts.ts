// Owns builders of configuration and inventory facts for the tests of targets, health and compile.

import type { TargetView } from '../../../src/control/health/evidence.ts';
import type { ClusterConfig, Config } from '../../../src/model/config.ts';
import {
  type ClusterInventory,
  type EndpointFact,
  type EndpointSliceFact,
  NOTHING_UNLISTED,
  type NodeFact,
  type ServiceFact,
} from '../../../src/model/inventory.ts';
import type { HealthConfig, PoolConfig, SourceConfig } from '../../../src/model/pool-config.ts';
import type { RouteConfig } from '../../../src/model/route-config.ts';
import { listenerConfig, UPSTREAM_LIMITS } from '../../support/snapshots.ts';

/** What probes say of a target that is well. */
export const WELL: TargetView = {
  health: 'healthy',
  proof: 'proven',
  dead: false,
  silent: false,
  byProof: false,
  lastResort: false,
  weight: null,
  notes: [],
};

export function nodeFact(name: string, changes: Partial<NodeFact> = {}): NodeFact {
  const number = Number(/\d+$/.exec(name)?.[0] ?? 1);
  return {
    name,
    uid: `uid-${name}`,
    resourceVersion: '1',
    deletionTimestamp: null,
    labels: {},
    addresses: [{ type: 'InternalIP', address: `10.0.${number >> 8}.${number & 255}` }],
    ready: 'True',
    unschedulable: false,
    taints: [],
    ...changes,
  };
}

export function serviceFact(name: string, changes: Partial<ServiceFact> = {}): ServiceFact {
  return {
    name,
    namespace: 'shop',
    uid: `uid-${name}`,
    resourceVersion: '7',
    deletionTimestamp: null,
    type: 'NodePort',
    externalTrafficPolicy: 'Cluster',
    healthCheckNodePort: 0,
    ipFamilies: ['IPv4'],
    ports: [{ name: 'http', port: 80, nodePort: 30080, protocol: 'TCP' }],
    ...changes,
  };
}

export function endpointFact(nodeName: string | null, changes: Partial<EndpointFact> = {}): EndpointFact {
  const address = `10.1.0.${Math.abs([...(nodeName ?? 'x')].reduce((sum, char) => sum * 7 + char.charCodeAt(0), 0)) % 250}`;
  return { addresses: [address], nodeName, ready: true, serving: true, terminating: false, ...changes };
}

export const TERMINATING = { ready: false, serving: true, terminating: true } as const;

export function sliceFact(
  service: string,
  endpoints: readonly EndpointFact[],
  changes: Partial<EndpointSliceFact> = {},
): EndpointSliceFact {
  return {
    name: `${service}-abc`,
    uid: `uid-${service}-abc`,
    resourceVersion: '9',
    deletionTimestamp: null,
    namespace: 'shop',
    service,
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints,
    ...changes,
  };
}

export function clusterConfig(changes: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    name: 'iad',
    kubeconfig: null,
    inCluster: true,
    nodes: { selector: null, address: 'InternalIP', families: ['ipv4'], ignoreExcludeLabel: false },
    kubeProxy: { healthz: false, port: 10256, intervalMs: 2000, timeoutMs: 1000 },
    maxRemovedShare: 0.5,
    ...changes,
  };
}

export function serviceSource(changes: Partial<SourceConfig> = {}): SourceConfig {
  return {
    kind: 'service',
    cluster: 'iad',
    namespace: 'shop',
    service: 'web',
    port: 'http',
    preferNodesWithEndpoints: false,
    addresses: [],
    priority: 0,
    weight: 1,
    ...changes,
  };
}

export function staticSource(addresses: readonly string[]): SourceConfig {
  return serviceSource({
    kind: 'static',
    cluster: null,
    namespace: null,
    service: null,
    port: null,
    addresses,
  });
}

export const HTTP_HEALTH: HealthConfig = {
  probe: { kind: 'http', path: '/_ping', host: null, statuses: [[200, 299]] },
  intervalMs: 2000,
  failingIntervalMs: 1000,
  timeoutMs: 1000,
  rise: 2,
  fall: 3,
  jitter: 0,
};

export function poolConfig(name: string, changes: Partial<PoolConfig> = {}): PoolConfig {
  return {
    name,
    sources: [serviceSource()],
    policy: {
      name: 'least-request',
      key: null,
      choices: 2,
      boundedLoad: 0,
      tableSize: 65537,
      seed: '00'.repeat(16),
      hashKey: '00'.repeat(16),
    },
    health: null,
    unknown: 'serve',
    ejection: { connectFailures: 3, gatewayErrors: 5, baseMs: 5000, maxMs: 300000, maxShare: 0.5 },
    slowStartMs: 0,
    panicThreshold: 0.5,
    spilloverThreshold: 0.7,
    subset: 0,
    timeouts: {
      connectMs: 1000,
      responseHeaderMs: 60000,
      streamIdleMs: 300000,
      tunnelIdleMs: 3_600_000,
      tunnelLifetimeMs: 0,
      totalMs: 0,
    },
    connections: UPSTREAM_LIMITS,
    protocol: 'http1',
    proxyProtocol: null,
    tls: null,
    ...changes,
  };
}

export function poolRoute(pool: string, changes: Partial<RouteConfig> = {}): RouteConfig {
  return {
    name: `to-${pool}`,
    listeners: [],
    hosts: [{ kind: 'any', text: '*' }],
    redirectToHttps: null,
    hsts: null,
    rules: [
      {
        name: null,
        matches: [],
        filters: [],
        action: { kind: 'pools', pools: [{ name: pool, weight: 1 }] },
        timeouts: {
          responseHeaderMs: null,
          streamIdleMs: null,
          tunnelIdleMs: null,
          tunnelLifetimeMs: null,
          totalMs: null,
        },
        retry: { attempts: 2, statuses: [], budget: 0.2 },
      },
    ],
    ...changes,
  };
}

export function serviceRoute(name: string, service: string, changes: Partial<PoolConfig> = {}): RouteConfig {
  const template = poolConfig('', { sources: [], ...changes });
  const [rule] = poolRoute('x').rules;
  return {
    name,
    listeners: [],
    redirectToHttps: null,
    hsts: null,
    hosts: [
      {
        kind: 'capture',
        text: '{branch}.example.com',
        names: ['branch'],
        regex: '^(?<branch>[a-z0-9-]{1,63})\\.example\\.com$',
      },
    ],
    rules: [{ ...rule!, action: { kind: 'service', cluster: 'iad', service, port: 'http', template } }],
  };
}

export function config(changes: Partial<Config> = {}): Config {
  return {
    clusters: [clusterConfig()],
    listeners: [],
    pools: [poolConfig('web')],
    routes: [poolRoute('web')],
    admin: { host: '127.0.0.1', port: 0, unixPath: null, tokenFile: null, hosts: [] },
    defaults: {
      timeouts: poolConfig('x').timeouts,
      listenerTimeouts: listenerConfig().timeouts,
      retry: { attempts: 2, statuses: [], budget: 0.2 },
      limits: listenerConfig().limits,
    },
    trustedProxies: [],
    log: { level: 'silent', access: { path: 'off', bufferBytes: 1 } },
    memory: { perWorkerBytes: 0 },
    workers: 1,
    stateDirectory: null,
    ...changes,
  };
}

export function clusterInventory(changes: Partial<ClusterInventory> = {}): ClusterInventory {
  return {
    cluster: 'iad',
    origin: 'live',
    syncedAtMs: 1_000_000,
    nodes: [nodeFact('node-1'), nodeFact('node-2'), nodeFact('node-3')],
    services: [serviceFact('web')],
    slices: [sliceFact('web', [endpointFact('node-1'), endpointFact('node-2')])],
    unlisted: NOTHING_UNLISTED,
    ...changes,
  };
}
