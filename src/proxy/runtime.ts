// What a worker derives from one snapshot: routers and pools, built completely before it is swapped in.

import type { Snapshot } from '../model/snapshot.ts';
import { TrustedProxies } from './http/forwarded.ts';
import type { Router } from './router/router.ts';
import type { Pool } from './upstream/pool.ts';

export interface Runtime {
  readonly snapshot: Snapshot;
  /** By listener name; http and https listeners only. */
  readonly routers: ReadonlyMap<string, Router>;
  /** In the order of `snapshot.pools`. */
  readonly pools: readonly Pool[];
  /** Name -> index in `pools`. */
  readonly poolPlaces: ReadonlyMap<string, number>;
  readonly trustedProxies: TrustedProxies;
}

/** Before the first snapshot: nothing is routed. */
export function emptyRuntime(): Runtime {
  return {
    snapshot: {
      version: 0,
      checksum: '',
      eventAtMs: 0,
      listeners: [],
      hostSets: [],
      pools: [],
      routes: [],
      trustedProxies: [],
      accessLog: { path: 'off', bufferBytes: 0 },
      memory: { perWorkerBytes: 0 },
    },
    routers: new Map(),
    pools: [],
    poolPlaces: new Map(),
    trustedProxies: new TrustedProxies([]),
  };
}
