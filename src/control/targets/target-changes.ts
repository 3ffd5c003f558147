// Owns what is told when targets change: before and after, for the log.

import type { ExplainedTarget, Reason } from '../../model/targets.ts';
import { type ExplainableSource, rowOfEntry, rowOfNode } from './explain.ts';
import { hasSameCodes } from './reason-lists.ts';
import type { TargetEntry, TargetTable } from './target-table.ts';

/** A change of state, health or reasons; null before is a target that joined, null after one that is gone. */
export interface TargetChange {
  readonly before: ExplainedTarget | null;
  readonly after: ExplainedTarget | null;
}

/** The reasons that hold for a source of a pool on every node have changed; none is good. */
export interface SourceChange {
  readonly pool: string;
  readonly cluster: string | null;
  readonly service: string | null;
  readonly from: readonly Reason[];
  readonly to: readonly Reason[];
  readonly by: string;
}

/**
 * What there is to tell between two tables of one source.
 * @param isDropped the source itself is gone, so nothing explains its nodes any more
 */
export function* changesBetween(
  explained: ExplainableSource,
  before: TargetTable,
  after: TargetTable,
  isDropped: boolean,
): Generator<TargetChange> {
  const inPlace = before.entries.places === after.entries.places;
  // By number: of thousands one has changed, and pairs from an iterator would be most of what an event allocates.
  for (let place = 0; place < after.entries.list.length; place++) {
    const entry = after.entries.list[place]!;
    const known = inPlace ? before.entries.list[place] : before.entries.get(entry.identity);
    if (known !== undefined && !isTold(known, entry)) continue;
    yield {
      before: known === undefined ? null : rowOfEntry(explained, known),
      after: rowOfEntry(explained, entry),
    };
  }
  for (const entry of inPlace ? [] : before.entries.list) {
    if (after.entries.has(entry.identity)) continue;
    const { node } = entry.candidate;
    const isListed = !isDropped && node !== null && explained.derived.candidateOf(node)?.state === 'excluded';
    yield { before: rowOfEntry(explained, entry), after: isListed ? rowOfNode(explained, node) : null };
  }
}

function isTold(before: TargetEntry, after: TargetEntry): boolean {
  if (before === after) return false;
  const isSame =
    before.state === after.state && before.health === after.health && before.lastResort === after.lastResort;
  return !isSame || !hasSameCodes(before.reasons, after.reasons);
}
