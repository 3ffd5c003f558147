// How much of its weight a target has while it is new.

/** Share of its weight that a target starts with. */
const FIRST_SHARE = 0.1;

/**
 * From a tenth at the first flow to 1 after `slowStartMs`, in a straight line. A target that has taken no flow yet
 * (`startedAtMs` 0) counts as just starting; `slowStartMs` 0 is off.
 */
export function slowStartShare(startedAtMs: number, nowMs: number, slowStartMs: number): number {
  if (slowStartMs <= 0) return 1;
  if (startedAtMs === 0) return FIRST_SHARE;
  const passed = (nowMs - startedAtMs) / slowStartMs;
  if (passed >= 1) return 1;
  return passed <= 0 ? FIRST_SHARE : FIRST_SHARE + (1 - FIRST_SHARE) * passed;
}
