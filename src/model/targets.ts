// A target: one address and port that a pool may send to, with its state and the reasons for it.

/**
 * `filling`: joined, not proven yet; `active`: takes new flows; `draining`: finishes what it has;
 * `excluded`: explained, never in a snapshot. A target that is gone is simply no longer listed.
 */
export const TARGET_STATES = ['filling', 'active', 'draining', 'excluded'] as const;
export type TargetState = (typeof TARGET_STATES)[number];

export const HEALTH_STATES = ['unknown', 'healthy', 'unhealthy'] as const;
export type HealthState = (typeof HEALTH_STATES)[number];

/** Stable codes, in the API, the metric label and the log. The words for people are in control/targets/reasons.ts. */
export const REASON_CODES = [
  'ready',
  'static',
  'excluded-label',
  'selector-mismatch',
  'tainted-cluster-autoscaler',
  'tainted-karpenter',
  'node-deleting',
  'node-deleted',
  'cordoned',
  'not-ready',
  'operator-drain',
  'no-address',
  'address-shared',
  'family-mismatch',
  'service-not-found',
  'service-deleting',
  'service-type',
  'port-not-found',
  'protocol-mismatch',
  'nodeport-unallocated',
  'no-endpoints',
  'no-local-endpoint',
  'local-endpoints',
  'local-endpoints-terminating',
  'hosts-no-endpoint',
  'outside-subset',
  'unproven',
  'held-until-replaced',
  'held-by-removal-guard',
  'probe-failed',
  'probe-unknown',
  'kube-proxy-unhealthy',
  'health-check-node-port',
  'inventory-stale',
  'inventory-missing',
  'ejected',
] as const;
export type ReasonCode = (typeof REASON_CODES)[number];

export interface Reason {
  readonly code: ReasonCode;
  /** One sentence for a person on call. */
  readonly text: string;
  /** What would change it; empty when there is nothing to do. */
  readonly fix: string;
}

/** One row of `portico targets`: a pool's source x node (or static address). */
export interface ExplainedTarget {
  readonly pool: string;
  readonly cluster: string | null;
  /** `namespace/name`, or null for a static source. */
  readonly service: string | null;
  readonly node: string | null;
  readonly nodeUid: string | null;
  /** Empty when no address could be derived. */
  readonly address: string;
  /** 0 when no port could be derived. */
  readonly port: number;
  readonly weight: number;
  readonly priority: number;
  readonly state: TargetState;
  readonly health: HealthState;
  /** Takes traffic only when no other target of the pool can (NotReady, or held until its replacement is proven). */
  readonly lastResort: boolean;
  readonly reasons: readonly Reason[];
  /** When state, health or the reasons last changed, epoch milliseconds. */
  readonly changedAtMs: number;
  /**
   * The objects whose new version brought that change, as in `objectVersion`; empty when a probe, an operator, the
   * configuration or time did.
   */
  readonly changedBy: string;
  /** `node:RV service:RV slice/NAME:RV` of the objects that decide it now; only slices with an endpoint on the node. */
  readonly objectVersion: string;
}
