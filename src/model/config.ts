// The validated configuration: what the user wrote, with every default filled in and every duration in milliseconds.

import type { ListenerConfig, ListenerLimits, ListenerTimeouts } from './listener-config.ts';
import type { PoolConfig, PoolTimeouts } from './pool-config.ts';
import type { RetryConfig, RouteConfig } from './route-config.ts';

export type Family = 'ipv4' | 'ipv6';

export type AddressType = 'InternalIP' | 'ExternalIP' | 'Hostname';

export interface Config {
  readonly clusters: readonly ClusterConfig[];
  readonly listeners: readonly ListenerConfig[];
  readonly pools: readonly PoolConfig[];
  readonly routes: readonly RouteConfig[];
  readonly admin: AdminConfig;
  readonly defaults: DefaultsConfig;
  /** CIDRs whose `X-Forwarded-*` and `X-Request-Id` are believed. Default: none. */
  readonly trustedProxies: readonly string[];
  readonly log: LogConfig;
  readonly memory: MemoryConfig;
  /** Worker processes; 0 means one for each available core. Default 0. */
  readonly workers: number;
  /** Where the last good inventory is kept; null keeps none. Default `./state` beside the configuration file. */
  readonly stateDirectory: string | null;
}

export interface ClusterConfig {
  readonly name: string;
  /** Null when `inCluster` is true. Paths are absolute after validation. */
  readonly kubeconfig: { readonly path: string; readonly context: string | null } | null;
  readonly inCluster: boolean;
  readonly nodes: NodeSelection;
  readonly kubeProxy: KubeProxyConfig;
  /** Largest share of a pool's targets that one step may remove without the probes' agreement, 0 to 1. Default 0.5. */
  readonly maxRemovedShare: number;
}

export interface NodeSelection {
  /** Kubernetes label selector (equality and set forms); null selects every node. */
  readonly selector: string | null;
  /** Which of a node's addresses is used. Default InternalIP. */
  readonly address: AddressType;
  /** Families wanted, in order of preference. Default [ipv4]. */
  readonly families: readonly Family[];
  /** True lets nodes carrying `node.kubernetes.io/exclude-from-external-load-balancers` take part. Default false. */
  readonly ignoreExcludeLabel: boolean;
}

export interface KubeProxyConfig {
  /** Probe kube-proxy's `/healthz` once for each node. Default true. */
  readonly healthz: boolean;
  /** Default 10256. */
  readonly port: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export interface DefaultsConfig {
  readonly timeouts: PoolTimeouts;
  readonly listenerTimeouts: ListenerTimeouts;
  readonly retry: RetryConfig;
  readonly limits: ListenerLimits;
}

export interface AdminConfig {
  /** A loopback address, another address, or `unix:/path`. Default 127.0.0.1:9901. */
  readonly host: string;
  readonly port: number;
  readonly unixPath: string | null;
  /** File holding the bearer token that changing calls need from other than loopback; null refuses them. */
  readonly tokenFile: string | null;
  /** Host names, beside the bind address and localhost, that requests may name. */
  readonly hosts: readonly string[];
}

export interface MemoryConfig {
  /** Resident memory of a worker above which it takes no new work; 0 is no limit. Default 1 GiB. */
  readonly perWorkerBytes: number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogConfig {
  readonly level: LogLevel;
  readonly access: AccessLogConfig;
}

export interface AccessLogConfig {
  /** `stdout`, `off` or an absolute path. Default stdout. */
  readonly path: string;
  /** Bytes a worker may hold back for a slow disk or pipe before it drops lines. Default 4 MiB. */
  readonly bufferBytes: number;
}
