// The one value that crosses the process boundary: everything a worker needs, immutable and versioned.

import type { AccessLogConfig, MemoryConfig } from './config.ts';
import type { HttpsRedirect, ListenerConfig } from './listener-config.ts';
import type {
  EjectionConfig,
  PolicyConfig,
  PoolTimeouts,
  PoolTls,
  ProxyProtocolOut,
  UpstreamLimits,
} from './pool-config.ts';
import type { HeaderValue, HostPattern, PathRewrite, RuleConfig } from './route-config.ts';
import type { HealthState, TargetState } from './targets.ts';

export interface Snapshot {
  /** Grows by one with each publication of one controller's life; never reused by the next life. */
  readonly version: number;
  /** Hash of everything below; two snapshots with the same content have the same checksum. */
  readonly checksum: string;
  /** When the oldest cluster event that it answers was received, epoch milliseconds; 0 when none. */
  readonly eventAtMs: number;
  readonly listeners: readonly ListenerConfig[];
  /** Every distinct set of hosts once; pools refer to it by index. */
  readonly hostSets: readonly HostSet[];
  readonly pools: readonly SnapshotPool[];
  readonly routes: readonly SnapshotRoute[];
  readonly trustedProxies: readonly string[];
  readonly accessLog: AccessLogConfig;
  readonly memory: MemoryConfig;
}

export interface SnapshotHost {
  readonly address: string;
  /** Cluster and node name, or null for a static address. */
  readonly cluster: string | null;
  readonly node: string | null;
}

/** What did not change from one snapshot to the next is the same object, members and hosts as well. */
export interface HostSet {
  /** Hash of the content: equal sets have equal keys. */
  readonly key: string;
  /** Sorted by identity where they come from one source. */
  readonly members: readonly HostSetMember[];
}

export interface HostSetMember {
  readonly host: SnapshotHost;
  readonly weight: number;
  readonly state: TargetState;
  readonly health: HealthState;
  readonly lastResort: boolean;
}

/** One source of a pool: a set of hosts at one port. */
export interface TargetGroup {
  /** Index into `hostSets`. */
  readonly hostSet: number;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface SnapshotPool {
  readonly name: string;
  /** Hash of the name and of everything that is not about targets. */
  readonly settings: string;
  readonly groups: readonly TargetGroup[];
  /** `address:port` of targets that left with their machine: what is open to them is cut. Named for a minute. */
  readonly lost: readonly string[];
  readonly policy: PolicyConfig;
  readonly unknown: 'serve' | 'hold';
  readonly ejection: EjectionConfig;
  readonly slowStartMs: number;
  readonly panicThreshold: number;
  readonly spilloverThreshold: number;
  readonly timeouts: PoolTimeouts;
  readonly connections: UpstreamLimits;
  readonly protocol: 'http1' | 'http2';
  readonly proxyProtocol: ProxyProtocolOut | null;
  readonly tls: PoolTls | null;
}

export interface SnapshotRoute {
  readonly name: string;
  readonly listeners: readonly string[];
  readonly hosts: readonly HostPattern[];
  readonly redirectToHttps: HttpsRedirect | null;
  readonly hsts: string | null;
  readonly rules: readonly SnapshotRule[];
}

export interface SnapshotRule extends Omit<RuleConfig, 'action'> {
  readonly action: SnapshotAction;
}

export type SnapshotAction =
  /** `pool` is an index into `pools`. */
  | { readonly kind: 'pools'; readonly pools: readonly { readonly pool: number; readonly weight: number }[] }
  /** The request's captures, put into `service`, name an entry of `pools`; none means no such environment (404). */
  | { readonly kind: 'service'; readonly service: string; readonly pools: Readonly<Record<string, number>> }
  | {
      readonly kind: 'redirect';
      readonly scheme: string | null;
      readonly host: string | null;
      readonly port: number | null;
      readonly path: PathRewrite | null;
      readonly status: number;
    }
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly body: string;
      readonly headers: readonly HeaderValue[];
    };
