// Comparing ASCII text without regard to case, without making lower-case copies.

/** Whether `text`, from `start` on, begins with `wanted`, letters compared without case. Both must be ASCII where they are equal. */
export function sameIgnoringCase(text: string, start: number, wanted: string): boolean {
  for (let i = 0; i < wanted.length; i++) {
    const a = text.charCodeAt(start + i);
    const b = wanted.charCodeAt(i);
    if (a === b) continue;
    const lower = a | 32;
    if (lower !== (b | 32) || lower < 97 || lower > 122) return false;
  }
  return true;
}
