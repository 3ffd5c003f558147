// Which requests authenticate the connection that they come on, and with it all that follows there.

import { FieldId } from '../../http1/field-id.ts';
import type { RequestHead } from '../../http1/request-head.ts';

/** Schemes whose proof is for a connection (RFC 4559, section 6; MS-NTHT); `Nego2` is Windows' successor of the second. */
const SCHEME = /^(?:ntlm|negotiate|nego2)(?:[ \t]|$)/i;
const LOWER_CASE = 0x20;
const FIRST_LETTER = 0x6e;

/** Whether a target may take the client from here on for somebody, on this connection. */
export function authenticatesConnection(head: RequestHead): boolean {
  if (!head.has(FieldId.Authorization)) return false;
  for (let i = head.find(FieldId.Authorization); i !== -1; i = head.findNext(FieldId.Authorization, i + 1)) {
    // Nearly every request with credentials has others: it is told from its first letter, without a copy of them.
    const first = head.text.charCodeAt(head.offsets[4 * i + 2]!) | LOWER_CASE;
    if (first === FIRST_LETTER && SCHEME.test(head.value(i))) return true;
  }
  return false;
}
