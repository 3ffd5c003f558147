// Owns what a probe asks and what it may answer: plain data, shared by probes, scheduler and judgement.

/** Version of the PROXY header that comes first and says that the connection is our own; null sends none. */
export type ProbeHeader = 1 | 2 | null;

import type { PoolTls } from '../../model/pool-config.ts';

/** What is probed and how. `host` is an address or a DNS name, never in brackets. */
export type ProbeTarget =
  | {
      readonly kind: 'http';
      readonly host: string;
      readonly port: number;
      readonly path: string;
      /** The Host field; null sends the address and port. */
      readonly hostHeader: string | null;
      /** Inclusive ranges that count as success. */
      readonly statuses: readonly (readonly [number, number])[];
      readonly proxyProtocol?: ProbeHeader;
      /** TLS of the pool; null asks without. */
      readonly tls: PoolTls | null;
    }
  /** `Check` of `grpc.health.v1` over HTTP/2. */
  | {
      readonly kind: 'grpc';
      readonly host: string;
      readonly port: number;
      /** '' asks for the server as a whole. */
      readonly service: string;
      /** `:authority`; null sends the address and port. */
      readonly hostHeader: string | null;
      readonly proxyProtocol?: ProbeHeader;
      /** TLS of the pool, with HTTP/2 by ALPN; null asks without. */
      readonly tls: PoolTls | null;
    }
  /** `tcp`: connect. `ssh`: identification line of RFC 4253, section 4.2. `kube-proxy`: `/healthz`. */
  | {
      readonly kind: 'tcp' | 'ssh';
      readonly host: string;
      readonly port: number;
      readonly proxyProtocol?: ProbeHeader;
    }
  | {
      readonly kind: 'kube-proxy' | 'health-check-node-port';
      readonly host: string;
      readonly port: number;
    };

/**
 * `answered`: an answer came and it is bad; `refused`: nobody listens there; `timeout`: nothing in time, before
 * or after the connect; `unreachable`: no route, no such host; `closed`: the connection ended before the answer;
 * `nonsense`: an answer that is not of the protocol; `local`: this process had no descriptor or port for it, which
 * says nothing; `cancelled`: we stopped it, which says nothing.
 */
export const PROBE_FAILURES = [
  'answered',
  'refused',
  'timeout',
  'unreachable',
  'closed',
  'nonsense',
  'local',
  'cancelled',
] as const;
export type ProbeFailure = (typeof PROBE_FAILURES)[number];

export interface ProbeResult {
  /** Null is success. */
  readonly failure: ProbeFailure | null;
  /** For people: `status 503`, `ECONNREFUSED`, ... Never a body. */
  readonly detail: string;
  readonly durationMs: number;
  /** `health-check-node-port` only: the weight that kube-proxy gives its node, null when it says none. */
  readonly weight: number | null;
}
