// What was written for pools becomes the model's pools, with `defaults` merged in.

import type { DefaultsConfig, PoolConfig, SourceConfig } from '../model/config.ts';
import type { Written } from './schema/root.ts';

type WrittenPool = Written['pools'][number];
type WrittenSource = WrittenPool['sources'][number];
export type WrittenPoolOptions = Omit<WrittenPool, 'name' | 'sources'>;

export function buildPool(pool: WrittenPool, defaults: DefaultsConfig): PoolConfig {
  return buildPoolOptions(pool.name, pool.sources.map(buildSource), pool, defaults);
}

/** A pool from its parts: also the template of a rule's `service`, which has no sources. */
export function buildPoolOptions(
  name: string,
  sources: readonly SourceConfig[],
  options: WrittenPoolOptions,
  defaults: DefaultsConfig,
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
      requests: connections.requests,
      ageMs: connections.age,
      perTarget: connections.perTarget,
    },
    proxyProtocol: options.proxyProtocol,
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
