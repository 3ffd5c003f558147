// The configuration of pools after defaults: sources, policies, health, and how targets are spoken to.

import type { CertificateSource } from './listener-config.ts';

/** What version 2 tells beside the addresses. */
export const PROXY_FACTS = ['authority', 'alpn', 'unique-id', 'tls'] as const;

export type ProxyFact = (typeof PROXY_FACTS)[number];

/** The PROXY header that begins each connection to a target. */
export interface ProxyProtocolOut {
  readonly version: 1 | 2;
  /** Version 2 only. Default none. */
  readonly facts: readonly ProxyFact[];
  /** Version 2 only: a CRC-32C. Default false. */
  readonly checksum: boolean;
}

export type PolicyName =
  | 'round-robin'
  | 'random'
  | 'least-request'
  | 'peak-ewma'
  | 'rendezvous'
  | 'maglev'
  | 'ring-hash';

export type HashKeyConfig =
  | { readonly kind: 'source-ip'; readonly prefix4: number; readonly prefix6: number }
  | { readonly kind: 'header' | 'cookie' | 'query' | 'capture'; readonly name: string }
  | { readonly kind: 'path' | 'host' };

export interface PolicyConfig {
  readonly name: PolicyName;
  /** Only for the hash policies; they default to source-ip (/32 and /128 here: no bits cut). */
  readonly key: HashKeyConfig | null;
  /** Candidates that least-request and peak-ewma compare. 2 to 16. Default 2. */
  readonly choices: number;
  /** Hash policies: a target may carry at most this many times the mean load; 0 is off. 1.05 to 10. Default 0. */
  readonly boundedLoad: number;
  /** maglev: prime table size. Default 65537. ring-hash: points per unit of weight. Default 160. */
  readonly tableSize: number;
  /** 16 bytes as 32 hex digits; every Portico of a fleet must share them. */
  readonly seed: string;
  readonly hashKey: string;
}

export interface SourceConfig {
  readonly kind: 'service' | 'static';
  /** `service` only. */
  readonly cluster: string | null;
  readonly namespace: string | null;
  readonly service: string | null;
  readonly port: string | number | null;
  /** externalTrafficPolicy Cluster: use nodes that host endpoints, and others only when those fail. Default false. */
  readonly preferNodesWithEndpoints: boolean;
  /** `static` only: `host:port`. */
  readonly addresses: readonly string[];
  /** Lower is used first. Default 0. */
  readonly priority: number;
  /** Share of the source among those of the same priority. Default 1. */
  readonly weight: number;
}

export type ProbeConfig =
  | {
      readonly kind: 'http';
      readonly path: string;
      readonly host: string | null;
      readonly statuses: readonly [number, number][];
    }
  | {
      /** `Check` of `grpc.health.v1`, over HTTP/2 whatever the pool's protocol. */
      readonly kind: 'grpc';
      /** Name that is asked for; '' is the server as a whole. Default ''. */
      readonly service: string;
      readonly host: string | null;
    }
  | { readonly kind: 'tcp' }
  | { readonly kind: 'ssh' };

export interface HealthConfig {
  readonly probe: ProbeConfig;
  /** Default 2 s. */
  readonly intervalMs: number;
  /** Interval while the last result was a failure. Default half of `intervalMs`. */
  readonly failingIntervalMs: number;
  /** Default 1 s. */
  readonly timeoutMs: number;
  /** Consecutive successes that make an unhealthy target healthy. Default 2. */
  readonly rise: number;
  /** Consecutive failures that make a healthy target unhealthy. Default 3. */
  readonly fall: number;
  /** Share of the interval by which each probe is moved at random, 0 to 1. Default 0.1. */
  readonly jitter: number;
}

export interface EjectionConfig {
  /** Consecutive connect failures that eject a target in this worker; 0 is off. Default 3. */
  readonly connectFailures: number;
  /** Consecutive 502, 503, 504 (or nonsense) that eject; 0 is off. Default 5. */
  readonly gatewayErrors: number;
  /** First ejection; doubles each time. Default 5 s. */
  readonly baseMs: number;
  /** Default 5 min. */
  readonly maxMs: number;
  /** Largest ejected share of a pool, 0 to 1. Default 0.5. */
  readonly maxShare: number;
}

export interface PoolConfig {
  readonly name: string;
  readonly sources: readonly SourceConfig[];
  readonly policy: PolicyConfig;
  /** Null: no active probe; passive ejection and node probes still apply. */
  readonly health: HealthConfig | null;
  /** What a target is before its first probe. `serve` takes traffic at once. Default `serve`. */
  readonly unknown: 'serve' | 'hold';
  readonly ejection: EjectionConfig;
  /** Time over which a new target's weight grows from a tenth to all of it; 0 is off. Default 0. */
  readonly slowStartMs: number;
  /** Below this available share health is ignored and everyone is used, 0 to 1. Default 0.5. */
  readonly panicThreshold: number;
  /** A priority group hands on to the next when its healthy share is below this, 0 to 1. Default 0.7. */
  readonly spilloverThreshold: number;
  /** Largest number of nodes of each source that take part; 0 is all. Default 0. */
  readonly subset: number;
  readonly timeouts: PoolTimeouts;
  readonly connections: UpstreamLimits;
  /** What targets are spoken to in: `http2` is known before without TLS, and asked for by ALPN with it. Default http1. */
  readonly protocol: 'http1' | 'http2';
  /** Null sends none. */
  readonly proxyProtocol: ProxyProtocolOut | null;
  /** Null speaks without TLS. */
  readonly tls: PoolTls | null;
}

/** TLS to the targets of a pool. */
export interface PoolTls {
  /** The target's certificate must be good, and for the name or address. Default true. */
  readonly verify: boolean;
  /** PEM file of the authorities whose certificates are good; null takes those that come with Node. Absolute. */
  readonly ca: string | null;
  /** The name asked for (SNI) and verified; null takes the target's own name, or its address without SNI. */
  readonly serverName: string | null;
  /** The host of the request as it is sent takes the place of `serverName`. Default false. */
  readonly serverNameFromHost: boolean;
  /** Shown to targets that ask for a certificate; null shows none. */
  readonly certificate: Extract<CertificateSource, { readonly kind: 'files' }> | null;
}

export interface PoolTimeouts {
  /** Default 1 s. */
  readonly connectMs: number;
  /** From the request's end to the response head. Default 60 s. */
  readonly responseHeaderMs: number;
  /** No byte in either direction during a body. Default 300 s. */
  readonly streamIdleMs: number;
  /** The same for tunnels, server-sent events and gRPC calls, which are silent by nature. Default 1 h. */
  readonly tunnelIdleMs: number;
  /** A tunnel is ended after this; 0 is never. Default 0. */
  readonly tunnelLifetimeMs: number;
  /** The whole exchange; 0 is none. Default 0. */
  readonly totalMs: number;
}

export interface UpstreamLimits {
  /** Idle connections kept for each target and worker. Default 256. */
  readonly idlePerTarget: number;
  /** An idle connection is closed after this. Default 55 s (below the usual 60 s of servers). */
  readonly idleMs: number;
  /**
   * Requests on one connection before it is closed, with 10% jitter, once it is `leastAgeMs` old; 0 is no bound. Default 100: see
   * docs/balancing.md.
   */
  readonly requests: number;
  /** Age below which no number of requests closes a connection, with 10% jitter. 500 ms where `requests` is the default, else 0. */
  readonly leastAgeMs: number;
  /** Age at which a connection is closed when it becomes idle, with 10% jitter; 0 is no bound. Default 1 min. */
  readonly ageMs: number;
  /** Open connections to one target and worker. Default 4096. */
  readonly perTarget: number;
  /** New connections to one target and worker in a second; 0 is no bound. Default 0. */
  readonly startsPerSecond: number;
  /** How long a tcp connection waits for a target that may take it, when all are at that bound. Default 5 s. */
  readonly startWaitMs: number;
  /** Open connections to all targets of the pool and worker. Default 16384. */
  readonly perPool: number;
  /** Requests of a worker that may wait for a free connection. Default 1024. */
  readonly pending: number;
  /** How long a request waits for one. Default 2 s. */
  readonly pendingTimeoutMs: number;
  /** Bytes a second of an answer, over each `rateGraceMs` of the listener; 0 is none. Default 0. */
  readonly minAnswerRate: number;
}
