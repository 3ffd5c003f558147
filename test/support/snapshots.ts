// Snapshots for data-plane tests: everything has its default, a test states only what it is about.

import { DEFAULT_PATH_POLICY } from '../../src/http1/normalise.ts';
import type { ListenerConfig, ListenerLimits, ListenerTimeouts } from '../../src/model/listener-config.ts';
import type { PolicyConfig, UpstreamLimits } from '../../src/model/pool-config.ts';
import type { FilterConfig, MatchConfig, RetryConfig } from '../../src/model/route-config.ts';
import type {
  HostSet,
  HostSetMember,
  Snapshot,
  SnapshotAction,
  SnapshotPool,
  SnapshotRoute,
  SnapshotRule,
} from '../../src/model/snapshot.ts';

export const ROUND_ROBIN: PolicyConfig = {
  name: 'round-robin',
  key: null,
  choices: 2,
  boundedLoad: 0,
  tableSize: 65537,
  seed: '49a3d861d661ae5ab06ed9326871a2f5',
  hashKey: '12345678901234561234567890123456',
};

export const NO_RETRY: RetryConfig = { attempts: 0, statuses: [], budget: 0.2 };
export const RETRY: RetryConfig = { attempts: 2, statuses: [], budget: 0.2 };

const LIMITS: ListenerLimits = {
  connections: 1000,
  connectionsPerClient: 1000,
  connectionRate: 0,
  connectionBurst: 0,
  connectionRatePerClient: 0,
  connectionBurstPerClient: 0,
  requests: 1000,
  requestsPerClient: 1000,
  requestRate: 0,
  requestBurst: 0,
  requestRatePerClient: 0,
  requestBurstPerClient: 0,
  clientPrefix4: 32,
  clientPrefix6: 64,
  headerCount: 100,
  headerBytes: 32_768,
  headerLineBytes: 16_384,
  minBodyRate: 0,
  minReadRate: 0,
  pipelinedRequests: 1000,
  pipelinedBytes: 262_144,
  requestsPerConnection: 100_000,
};

export const UPSTREAM_LIMITS: UpstreamLimits = {
  idlePerTarget: 64,
  idleMs: 55_000,
  requests: 0,
  leastAgeMs: 0,
  ageMs: 0,
  perTarget: 4096,
  startsPerSecond: 0,
  startWaitMs: 5000,
  perPool: 16_384,
  pending: 0,
  pendingTimeoutMs: 2000,
  minAnswerRate: 0,
};

/** A listener that differs from its defaults in what is given, limit by limit. */
export interface ListenerShape extends Partial<Omit<ListenerConfig, 'limits' | 'timeouts'>> {
  readonly limits?: Partial<ListenerLimits>;
  readonly timeouts?: Partial<ListenerTimeouts>;
}

export function listenerConfig({ limits, timeouts, ...over }: ListenerShape = {}): ListenerConfig {
  return {
    name: 'web',
    host: '127.0.0.1',
    port: 0,
    protocol: 'http',
    tls: null,
    pool: null,
    tlsRoutes: [],
    mux: null,
    proxyProtocol: null,
    limits: { ...LIMITS, ...limits },
    timeouts: { headerMs: 10_000, idleMs: 60_000, rateGraceMs: 30_000, ...timeouts },
    paths: DEFAULT_PATH_POLICY,
    underscores: 'drop',
    http2: { enabled: true, only: false, streams: 100, streamWindow: 262_144, connectionWindow: 1_048_576 },
    forwarded: false,
    redirectToHttps: null,
    hsts: null,
    ...over,
  };
}

export interface PoolShape extends Partial<Omit<SnapshotPool, 'groups' | 'connections'>> {
  readonly connections?: Partial<UpstreamLimits>;
  /** `address:port` of each target; one host set for each. */
  readonly targets: readonly (string | ({ readonly at: string } & Partial<HostSetMember>))[];
}

/** A snapshot of these pools and routes; `routes` defaults to everything to the first pool. */
export function snapshotOf(shape: {
  readonly version?: number;
  readonly listeners?: readonly ListenerConfig[];
  readonly pools: readonly PoolShape[];
  readonly routes?: readonly SnapshotRoute[];
  readonly trustedProxies?: readonly string[];
  readonly accessLogPath?: string;
  readonly memoryPerWorker?: number;
}): Snapshot {
  const hostSets: HostSet[] = [];
  const pools = shape.pools.map((pool, poolIndex): SnapshotPool => {
    const { targets, connections, ...over } = pool;
    const groups = targets.map((target) => {
      const { at, ...member } = typeof target === 'string' ? { at: target } : target;
      const colon = at.lastIndexOf(':');
      hostSets.push({
        key: JSON.stringify(target),
        members: [
          {
            host: { address: at.slice(0, colon), cluster: null, node: null },
            weight: 1,
            state: 'active',
            health: 'healthy',
            lastResort: false,
            ...member,
          },
        ],
      });
      return { hostSet: hostSets.length - 1, port: Number(at.slice(colon + 1)), priority: 0, weight: 1 };
    });
    return {
      name: `pool-${poolIndex}`,
      settings: JSON.stringify([over, connections]),
      groups,
      lost: [],
      policy: ROUND_ROBIN,
      unknown: 'serve',
      ejection: { connectFailures: 0, gatewayErrors: 0, baseMs: 5000, maxMs: 300_000, maxShare: 0.5 },
      slowStartMs: 0,
      panicThreshold: 0,
      spilloverThreshold: 0.7,
      timeouts: {
        connectMs: 1000,
        responseHeaderMs: 10_000,
        streamIdleMs: 10_000,
        tunnelIdleMs: 3_600_000,
        tunnelLifetimeMs: 0,
        totalMs: 0,
      },
      connections: { ...UPSTREAM_LIMITS, ...connections },
      protocol: 'http1',
      proxyProtocol: null,
      tls: null,
      ...over,
    };
  });
  return {
    version: shape.version ?? 1,
    checksum: String(shape.version ?? 1),
    eventAtMs: 0,
    listeners: shape.listeners ?? [listenerConfig()],
    hostSets,
    pools,
    routes: shape.routes ?? [route([rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] })])],
    trustedProxies: shape.trustedProxies ?? [],
    accessLog: { path: shape.accessLogPath ?? 'off', bufferBytes: 1 << 20 },
    memory: { perWorkerBytes: shape.memoryPerWorker ?? 0 },
  };
}

export function route(rules: readonly SnapshotRule[], over: Partial<SnapshotRoute> = {}): SnapshotRoute {
  return {
    name: 'route',
    listeners: [],
    hosts: [{ kind: 'any', text: '*' }],
    redirectToHttps: null,
    hsts: null,
    rules,
    ...over,
  };
}

export function rule(
  action: SnapshotAction,
  over: Partial<Omit<SnapshotRule, 'matches' | 'filters'>> & {
    matches?: readonly MatchConfig[];
    filters?: readonly FilterConfig[];
  } = {},
): SnapshotRule {
  return {
    name: null,
    matches: [],
    filters: [],
    action,
    timeouts: {
      responseHeaderMs: null,
      streamIdleMs: null,
      tunnelIdleMs: null,
      tunnelLifetimeMs: null,
      totalMs: null,
    },
    retry: RETRY,
    ...over,
  };
}

/** Everything to the first pool, with these retries. */
export function allToFirstPool(retry: RetryConfig): readonly SnapshotRoute[] {
  return [route([rule({ kind: 'pools', pools: [{ pool: 0, weight: 1 }] }, { retry })])];
}
