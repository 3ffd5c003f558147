// When a connection to a target has carried enough or is old, with jitter, so that those made together do not end together.

import type { UpstreamLimits } from '../../model/pool-config.ts';

export interface ConnectionBounds {
  /** Infinite where there is no bound. */
  readonly requests: number;
  /** Age below which `requests` does not count. */
  readonly leastAgeMs: number;
  /** Infinite where there is no bound. */
  readonly ageMs: number;
}

/** @param jitter 0 to 1: bounds are up to a tenth less or more than configured */
export function boundsOf({ requests, leastAgeMs, ageMs }: UpstreamLimits, jitter: number): ConnectionBounds {
  const spread = 0.9 + 0.2 * jitter;
  return {
    requests: requests === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.round(requests * spread)),
    leastAgeMs: leastAgeMs * spread,
    ageMs: ageMs === 0 ? Number.POSITIVE_INFINITY : ageMs * spread,
  };
}
