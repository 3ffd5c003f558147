// Whether a message is of a kind that is treated specially, told without a copy of its Content-Type.

import { FieldId } from '../../http1/field-id.ts';
import type { MessageHead } from '../../http1/message-head.ts';
import { sameIgnoringCase } from '../../http1/same-ignoring-case.ts';

/** @param type lower case; what follows it in the field (parameters, a suffix) is not looked at */
export function hasMediaType(head: MessageHead, type: string): boolean {
  if (!head.has(FieldId.ContentType)) return false;
  const index = head.find(FieldId.ContentType);
  const start = head.offsets[4 * index + 2]!;
  return head.offsets[4 * index + 3]! - start >= type.length && sameIgnoringCase(head.text, start, type);
}
