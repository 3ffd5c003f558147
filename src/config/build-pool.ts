// What was written for pools becomes the model's pools, with `defaults` merged in.

import type { DefaultsConfig } from '../model/config.ts';
import type { PoolConfig, PoolTls, SourceConfig } from '../model/pool-config.ts';
import type { Written } from './schema/root.ts';

type WrittenPool = Written['pools'][number];
type WrittenSource = WrittenPool['sources'][number];
/** A path of the configuration as an absolute one. */
export type Absolute = (path: string) => string;
/** How connections are renewed where nobody has said how (docs/decisions/0015-age-of-upstream-connections.md). */
const RENEWAL = { requests: 100, leastAgeMs: 500 } as const;
export type WrittenPoolOptions = Omit<WrittenPool, 'name' | 'sources'>;

export function buildPool(pool: WrittenPool, defaults: DefaultsConfig, absolute: Absolute): PoolConfig {
  return buildPoolOptions(pool.name, pool.sources.map(buildSource), pool, defaults, absolute);
}

/** A pool from its parts: also the template of a rule's `service`, which has no sources. */
export function buildPoolOptions(
  name: string,
  sources: readonly SourceConfig[],
  options: WrittenPoolOptions,
  defaults: DefaultsConfig,
  absolute: Absolute,
): PoolConfig {
  const { health, ejection, timeouts, connections } = options;
  return {
    name,
    sources,
    policy: options.policy,
    health:
      health === undefined
        ? null
        : {
            probe: health.probe,
            intervalMs: health.interval,
            failingIntervalMs: health.failingInterval,
            timeoutMs: health.timeout,
            rise: health.rise,
            fall: health.fall,
            jitter: health.jitter,
          },
    unknown: options.unknown,
    ejection: {
      connectFailures: ejection.connectFailures,
      gatewayErrors: ejection.gatewayErrors,
      baseMs: ejection.base,
      maxMs: ejection.max,
      maxShare: ejection.maxShare,
    },
    slowStartMs: options.slowStart,
    panicThreshold: options.panicThreshold,
    subset: options.subset,
    spilloverThreshold: options.spilloverThreshold,
    timeouts: {
      connectMs: timeouts.connect ?? defaults.timeouts.connectMs,
      responseHeaderMs: timeouts.responseHeader ?? defaults.timeouts.responseHeaderMs,
      streamIdleMs: timeouts.streamIdle ?? defaults.timeouts.streamIdleMs,
      tunnelIdleMs: timeouts.tunnelIdle ?? defaults.timeouts.tunnelIdleMs,
      tunnelLifetimeMs: timeouts.tunnelLifetime ?? defaults.timeouts.tunnelLifetimeMs,
      totalMs: timeouts.total ?? defaults.timeouts.totalMs,
    },
    connections: {
      idlePerTarget: connections.idlePerTarget,
      idleMs: connections.idle,
      ...(connections.requests === undefined ? RENEWAL : { requests: connections.requests, leastAgeMs: 0 }),
      ageMs: connections.age,
      perTarget: connections.perTarget,
      startsPerSecond: connections.startsPerSecond,
      startWaitMs: connections.startWait,
      perPool: connections.perPool,
      pending: connections.pending,
      pendingTimeoutMs: connections.pendingTimeout,
      minAnswerRate: connections.minAnswerRate,
    },
    protocol: options.protocol,
    proxyProtocol: options.proxyProtocol,
    tls: options.tls === undefined || options.tls === null ? null : buildTls(options.tls, absolute),
  };
}

function buildTls(tls: NonNullable<WrittenPoolOptions['tls']>, absolute: Absolute): PoolTls {
  const { verify, ca, serverName, serverNameFromHost, cert, key } = tls;
  return {
    verify,
    ca: ca === undefined ? null : absolute(ca),
    serverName: serverName ?? null,
    serverNameFromHost,
    certificate:
      cert === undefined || key === undefined
        ? null
        : { kind: 'files', cert: absolute(cert), key: absolute(key), ocsp: null },
  };
}

function buildSource(source: WrittenSource): SourceConfig {
  const [namespace = null, service = null] = source.service?.split('/') ?? [];
  return {
    kind: source.static === undefined ? 'service' : 'static',
    cluster: source.cluster ?? null,
    namespace,
    service,
    port: source.port ?? null,
    preferNodesWithEndpoints: source.preferNodesWithEndpoints ?? false,
    addresses: source.static ?? [],
    priority: source.priority,
    weight: source.weight,
  };
}
