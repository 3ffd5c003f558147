// What a cluster's discovery shows to the admin interface and the metrics: one line for each kind.

import type { ClusterInventory, InventoryOrigin } from '../../model/inventory.ts';
import { RESOURCES, type Resource, type RestartReason } from './counts.ts';
import type { ReflectorStatus } from './reflector-options.ts';

/** All scopes of one kind together. */
export interface KindStatus {
  /** Every scope was listed by this process. */
  readonly synced: boolean;
  /** At least one scope holds back an empty list. */
  readonly suspect: boolean;
  /** At least one scope's list or watch is failing right now. */
  readonly failing: boolean;
  /** The stalest scope's last contact, epoch milliseconds; 0 is never. */
  readonly lastSyncMs: number;
  /** The last event other than a bookmark, epoch milliseconds; 0 is never. */
  readonly lastEventMs: number;
  readonly objects: number;
  readonly badObjects: number;
  readonly restarts: Readonly<Partial<Record<RestartReason, number>>>;
  /** One for each namespace, or a single one for the whole cluster. */
  readonly scopes: readonly ReflectorStatus[];
}

export interface ClusterStatus {
  readonly cluster: string;
  readonly origin: InventoryOrigin;
  /** The live lists of all kinds are complete. */
  readonly live: boolean;
  readonly syncedAtMs: number;
  readonly kinds: Readonly<Record<Resource, KindStatus>>;
}

export function summarise(
  inventory: ClusterInventory,
  live: boolean,
  reflectors: readonly ReflectorStatus[],
): ClusterStatus {
  const { cluster, origin, syncedAtMs } = inventory;
  const kinds = Object.fromEntries(
    RESOURCES.map((resource) => [resource, kindStatus(reflectors.filter(({ kind }) => kind === resource))]),
  ) as Record<Resource, KindStatus>;
  return { cluster, origin, live, syncedAtMs, kinds };
}

function kindStatus(scopes: readonly ReflectorStatus[]): KindStatus {
  const restarts: Partial<Record<RestartReason, number>> = {};
  let lastSyncMs = scopes.length === 0 ? 0 : Number.POSITIVE_INFINITY;
  let lastEventMs = 0;
  let objects = 0;
  let badObjects = 0;
  for (const scope of scopes) {
    lastSyncMs = Math.min(lastSyncMs, scope.lastSyncMs);
    lastEventMs = Math.max(lastEventMs, scope.lastEventMs);
    objects += scope.objects;
    badObjects += scope.badObjects;
    for (const [reason, count] of Object.entries(scope.restarts) as [RestartReason, number][]) {
      restarts[reason] = (restarts[reason] ?? 0) + count;
    }
  }
  return {
    synced: scopes.every((scope) => scope.synced),
    suspect: scopes.some((scope) => scope.suspect),
    failing: scopes.some((scope) => scope.failure !== null),
    lastSyncMs,
    lastEventMs,
    objects,
    badObjects,
    restarts,
    scopes,
  };
}
