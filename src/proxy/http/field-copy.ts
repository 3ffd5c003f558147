// Copies the field lines of a head but for those that must not pass, in as few slices as possible.

import { FieldId } from '../../http1/field-id.ts';
import type { MessageHead } from '../../http1/message-head.ts';

/** A set of field ids as a byte for each. */
export function fieldSet(...ids: readonly FieldId[]): Uint8Array {
  const set = new Uint8Array(256);
  for (const id of ids) set[id] = 1;
  set[FieldId.Dropped] = 1;
  return set;
}

/**
 * The kept lines, each ending in CRLF: contiguous lines are one slice of the head. Fields named by `Connection` never
 * pass (RFC 9110, section 7.6.1); that is decided before any field of ours is added.
 * @param drop ids that do not pass
 * @param dropNames lower-case names that a filter removes; null for none
 */
export function copyFields(
  head: MessageHead,
  drop: Uint8Array,
  dropNames: ReadonlySet<string> | null,
): string {
  const { ids, offsets, count, hasNominations } = head;
  let copied = '';
  let start = -1;
  for (let index = 0; index < count; index += 1) {
    const dropped =
      drop[ids[index]!] === 1 ||
      (hasNominations && head.isConnectionNominated(index)) ||
      dropNames?.has(head.name(index).toLowerCase());
    if (dropped) {
      if (start !== -1) copied += head.text.slice(start, offsets[4 * index]!);
      start = -1;
    } else if (start === -1) {
      start = offsets[4 * index]!;
    }
  }
  // The head ends in an empty line, which is not a field's.
  if (start !== -1) copied += head.text.slice(start, head.text.length - 2);
  return copied;
}
