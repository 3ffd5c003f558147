// Cookies that came in several places of a head become one line (RFC 9113, section 8.2.3).

import { Buffer } from 'node:buffer';
import { FieldId } from '../http1/field-id.ts';
import type { MessageHead } from '../http1/message-head.ts';

const COOKIE_BIT = 1 << FieldId.Cookie;

/**
 * Joins all cookie lines of `lines[0, end)` to one at the place of the first; crumbs that came next to each other are
 * joined already, so this is rare. One pass over the head, whatever their number.
 * @returns the new end
 */
export function gatherCookies(head: MessageHead, lines: Buffer, end: number): number {
  const old = Buffer.from(lines.subarray(0, end));
  const { offsets, ids } = head;
  const all: number[] = [];
  for (let i = 0; i < head.count; i++)
    if (ids[i] === FieldId.Cookie) all.push(offsets[4 * i + 2]!, offsets[4 * i + 3]!);
  let kept = 0;
  let p = 0;
  let gathered = false;
  for (let i = 0; i < head.count; i++) {
    const isCookie = ids[i] === FieldId.Cookie;
    if (isCookie && gathered) continue;
    const nameStart = offsets[4 * i]!;
    const nameEnd = offsets[4 * i + 1]!;
    const valueStart = offsets[4 * i + 2]!;
    const valueEnd = offsets[4 * i + 3]!;
    const sensitive = head.isSensitive(i);
    const o = 4 * kept;
    offsets[o] = p;
    offsets[o + 1] = p + nameEnd - nameStart;
    offsets[o + 2] = p + valueStart - nameStart;
    p += old.copy(lines, p, nameStart, valueEnd);
    if (isCookie) {
      gathered = true;
      for (let c = 2; c < all.length; c += 2) {
        p += lines.latin1Write('; ', p);
        p += old.copy(lines, p, all[c]!, all[c + 1]!);
      }
    }
    offsets[o + 3] = p;
    ids[kept] = ids[i]!;
    head.markSensitive(kept, sensitive);
    kept++;
    p += lines.latin1Write('\r\n', p);
  }
  head.count = kept;
  head.repeated &= ~COOKIE_BIT;
  return p;
}
