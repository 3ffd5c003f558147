// Field lines as text (trailers, and what Portico says itself): those that a rule's edits leave out.

import type { HeaderEdits } from '../router/header-edits.ts';

/** The lines, each with its CRLF, without those that a rule removes, or sets to something else in the head. */
export function withoutEdited(lines: string, edits: HeaderEdits | null): string {
  if (lines === '' || edits === null || edits.drop.size === 0) return lines;
  let kept = '';
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf('\r\n', start) + 2;
    const name = lines.slice(start, lines.indexOf(':', start)).toLowerCase();
    if (!edits.drop.has(name)) kept += lines.slice(start, end);
    start = end;
  }
  return kept;
}
