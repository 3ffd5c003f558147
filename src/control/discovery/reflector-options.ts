// What a reflector is given and what it shows: its limits with their defaults, its callbacks, its status.

import type { Logger } from 'pino';
import type { ApiClient } from './api-client.ts';
import type { Clock } from './clock.ts';
import type { OnCount, Resource, RestartReason } from './counts.ts';
import type { AnyFact, Kind } from './kinds.ts';

/** Durations in milliseconds, sizes in bytes. */
export interface ReflectorTuning {
  /** Objects in one list page. Default 500, as client-go. */
  readonly pageSize: number;
  /** One list page, from request to last byte. Default 60 s. */
  readonly pageTimeoutMs: number;
  /** Default 256 MiB: a full list of a large cluster, asked for once a continue token has expired. */
  readonly pageLimitBytes: number;
  /** Objects that a list may hold, all pages together: several times what the largest clusters do. */
  readonly objectLimit: number;
  /** A watch's answer head. Default 30 s. */
  readonly headTimeoutMs: number;
  /** Longest silence of a watch. Default 90 s: bookmarks come about once a minute. */
  readonly inactivityMs: number;
  /** Default 8 MiB: etcd takes objects of up to 1.5 MiB, and JSON may take some times more. */
  readonly lineLimitBytes: number;
  /** A watch that has lived this long is proven progress even without an event. Default 10 s. */
  readonly provenAfterMs: number;
  /** Back-off: default 200 ms, doubled up to 30 s, full jitter. */
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** Waits before each further list that has to confirm an empty one. Default 1 s, then 4 s. */
  readonly emptyListConfirmMs: readonly number[];
  /** The server ends a watch after a random time between these, seconds. Default 240 to 300. */
  readonly watchSeconds: readonly [number, number];
}

export const defaultTuning: ReflectorTuning = {
  pageSize: 500,
  pageTimeoutMs: 60_000,
  pageLimitBytes: 256 * 1024 * 1024,
  objectLimit: 500_000,
  headTimeoutMs: 30_000,
  inactivityMs: 90_000,
  lineLimitBytes: 8 * 1024 * 1024,
  provenAfterMs: 10_000,
  backoffBaseMs: 200,
  backoffCapMs: 30_000,
  emptyListConfirmMs: [1_000, 4_000],
  watchSeconds: [240, 300],
};

export interface ReflectorOptions<Fact extends AnyFact> {
  readonly cluster: string;
  readonly kind: Kind<Fact>;
  /** Null reads the whole cluster. */
  readonly namespace: string | null;
  /** Kubernetes field selector, as `metadata.name=x`; null reads every object of the scope. */
  readonly fieldSelector: string | null;
  readonly api: ApiClient;
  /** What an earlier run or an earlier scope knew: kept until a list says otherwise. */
  readonly seed: Iterable<Fact>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onCount: OnCount;
  /** After every contact that was understood; `changed` tells whether a fact was added, removed or really altered. */
  readonly onContact: (changed: boolean, receivedAtMs: number) => void;
  /** The API server answered after a failure: others that wait for it may try again. */
  readonly onReached: () => void;
  readonly tuning: ReflectorTuning;
}

/** `opening`: a watch was asked for and has not been answered; `waiting`: between two tries. */
export type ReflectorState = 'listing' | 'opening' | 'watching' | 'waiting' | 'closed';

export interface ReflectorStatus {
  readonly kind: Resource;
  readonly namespace: string | null;
  readonly state: ReflectorState;
  /** A list of this process was taken. */
  readonly synced: boolean;
  /** An empty list is held back until further lists agree. */
  readonly suspect: boolean;
  /** Synced, or definitely refused (403): nothing more will come of waiting. */
  readonly settled: boolean;
  /** When list, event, bookmark or orderly end last agreed with the API server, epoch milliseconds; 0 is never. */
  readonly lastSyncMs: number;
  /** When the last event other than a bookmark came; 0 is never. */
  readonly lastEventMs: number;
  readonly objects: number;
  /** Objects that were ignored for a bad field since the start. */
  readonly badObjects: number;
  readonly restarts: Readonly<Partial<Record<RestartReason, number>>>;
  /** The last failure; null while list or watch is well. The message holds no secret. */
  readonly failure: {
    readonly reason: RestartReason;
    readonly message: string;
    readonly sinceMs: number;
  } | null;
}

export interface Reflector<Fact extends AnyFact> {
  readonly namespace: string | null;
  /** These three as in the status, without building one. */
  readonly synced: boolean;
  readonly settled: boolean;
  readonly lastSyncMs: number;
  facts(): Iterable<Fact>;
  /** What the last lists left out with no word of its deletion; see `UnlistedObjects`. */
  unlisted(): readonly Fact[];
  status(): ReflectorStatus;
  /**
   * Ends a wait for an API server that was out of reach, within a second; does nothing otherwise, and only once in a
   * row of failures.
   */
  retrySoon(): void;
  /** Aborts what is under way and resolves when the loop has ended. */
  close(): Promise<void>;
}
