// Owns the damping of probe results: GLB's rules as a pure step function.

/** Damped state of one probed thing; `streak` counts consecutive results that contradict `healthy`. */
export interface Damped {
  readonly healthy: boolean;
  readonly streak: number;
}

/**
 * One step. The first result is believed at once; afterwards `rise` successes in a row make healthy and `fall`
 * failures in a row make unhealthy; a result that agrees with the state restarts the count.
 * @param previous null before the first result
 * @param rise at least 1
 * @param fall at least 1
 */
export function dampen(previous: Damped | null, ok: boolean, rise: number, fall: number): Damped {
  if (previous === null) return { healthy: ok, streak: 0 };
  if (ok === previous.healthy) return previous.streak === 0 ? previous : { healthy: ok, streak: 0 };
  const streak = previous.streak + 1;
  return streak >= (ok ? rise : fall) ? { healthy: ok, streak: 0 } : { healthy: previous.healthy, streak };
}
