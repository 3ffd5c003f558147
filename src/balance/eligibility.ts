// The one rule on which members take new flows, and what happens when none is left.

import type { Member } from '../model/picker.ts';

/**
 * What a snapshot says of a member; ejection comes on top of it and is read at each pick.
 * - `ready` takes new flows: active, or filling and proven (healthy, or unknown where unknown targets serve), not
 *   unhealthy and not a last resort.
 * - `last-resort`: the same, but marked as a last resort.
 * - `failed`: active and unhealthy. It was counted on, so it lowers the pool's available share.
 * - `unproven`: filling and not proven, or an unhealthy last resort. New or already replaced, so it counts on neither
 *   side of the share.
 * - `never`: draining, excluded or weight 0.
 */
export type Standing = 'ready' | 'last-resort' | 'failed' | 'unproven' | 'never';

/**
 * The stages of the rule, in order:
 * 1. `ready`: the ready members that are not ejected, as long as there is one. Priority groups share the flows; a
 *    group whose available share is below the panic threshold is in panic, unless the groups together have capacity
 *    enough for all flows.
 * 2. `last-resort`: with no such member in any group, the last-resort members that are not ejected.
 * 3. `panic`: with none of these either, and a panic threshold above 0, every active or filling member.
 * Panic means that health, ejection and the last-resort mark are ignored. Draining members never take a new flow,
 * nor does a member that the request has already tried.
 */
export type Stage = 'ready' | 'last-resort' | 'panic';

/** See `Standing`. */
export function standingOf(member: Member, unknown: 'serve' | 'hold'): Standing {
  if (!(member.weight > 0) || member.state === 'draining' || member.state === 'excluded') return 'never';
  const proven = member.state === 'active' || member.health === 'healthy' || unknown === 'serve';
  if (member.health !== 'unhealthy' && proven) return member.lastResort ? 'last-resort' : 'ready';
  return member.state === 'active' && !member.lastResort ? 'failed' : 'unproven';
}

/** Whether members of this standing belong to the stage. */
export function inStage(standing: Standing, stage: Stage): boolean {
  return stage === 'panic' ? standing !== 'never' : standing === stage;
}

/** Whether a member has its place in hash tables: health, draining and ejection move no row, so they don't count here. */
export function inTable(member: Member): boolean {
  return member.weight > 0 && member.state !== 'excluded';
}
