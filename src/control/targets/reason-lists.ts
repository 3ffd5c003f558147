// Owns the comparison of lists of reasons.

import type { Reason } from '../../model/targets.ts';

/** Same codes in the same order: what counts as a change for people. */
export function hasSameCodes(a: readonly Reason[], b: readonly Reason[]): boolean {
  return a === b || (a.length === b.length && a.every(({ code }, index) => code === b[index]?.code));
}

/** Same codes and the same words. */
export function isSameReasons(a: readonly Reason[], b: readonly Reason[]): boolean {
  return a === b || (a.length === b.length && a.every(({ text }, index) => text === b[index]?.text));
}
