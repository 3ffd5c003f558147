// The shape of a publication's text: a snapshot whole, or what differs from the one before.

import type { Secrets } from '../model/secrets.ts';
import type { Snapshot, SnapshotPool, TargetGroup } from '../model/snapshot.ts';

/** Address, cluster, node. */
export type PackedHost = readonly [address: string, cluster: string | null, node: string | null];
/** `host` is an index into the text's hosts, `state` and `health` into the lists of the model. */
export type PackedMember = readonly [
  host: number,
  weight: number,
  state: number,
  health: number,
  lastResort: 0 | 1,
];

/** Everything of a snapshot but its targets. */
export type SnapshotFrame = Omit<Snapshot, 'hostSets' | 'pools'>;

export interface WholeText {
  readonly kind: 'whole';
  readonly secrets: Secrets;
  readonly frame: SnapshotFrame;
  readonly hosts: readonly PackedHost[];
  readonly hostSets: readonly (readonly [key: string, members: readonly PackedMember[]])[];
  readonly pools: readonly SnapshotPool[];
}

/** At `at` of the members before, `removed` of them go and `added` come. In order, not overlapping. */
export type MemberEdit = readonly [at: number, removed: number, added: readonly PackedMember[]];

/** Set `index`: the one at `base` of the snapshot before (-1: an empty one) with edits; without a key, as it was. */
export type SetChange =
  | readonly [index: number, base: number]
  | readonly [index: number, base: number, key: string, edits: readonly MemberEdit[]];

/** Pool `index`: the one at `base` of the snapshot before, with other groups, or a new one. */
export type PoolChange =
  | readonly [index: number, base: number]
  | readonly [index: number, base: number, groups: readonly TargetGroup[], lost: readonly string[]]
  | readonly [index: number, pool: SnapshotPool];

export interface DifferenceText {
  readonly kind: 'difference';
  /** Version that it begins from. */
  readonly base: number;
  /** Null when they are as before. */
  readonly secrets: Secrets | null;
  /** Version, checksum and time of the event always; other fields when they differ. */
  readonly frame: Partial<SnapshotFrame> & Pick<SnapshotFrame, 'version' | 'checksum' | 'eventAtMs'>;
  readonly hosts: readonly PackedHost[];
  readonly hostSetCount: number;
  readonly poolCount: number;
  /** Sets and pools that are not named are those at the same index before. */
  readonly hostSets: readonly SetChange[];
  readonly pools: readonly PoolChange[];
}

export type PublicationText = WholeText | DifferenceText;
