// Owns the decision to let a target go: explicit signals are believed, absence is doubted, and no pool is left with nothing proven.

import type { Reason } from '../../model/targets.ts';
import type { TargetView } from '../health/evidence.ts';
import type { DerivedSource } from './derive.ts';
import { REASONS, reason } from './reasons.ts';
import {
  type Draft,
  type Hold,
  isGood,
  type LifecycleOptions,
  type LostTarget,
  type Now,
  type TargetEntry,
  type TargetTable,
  type ViewOf,
} from './target-table.ts';

export interface Left {
  /** When targets vanished during the current step, monotonic milliseconds. */
  readonly departures: readonly number[];
  readonly lost: ReadonlyMap<string, LostTarget>;
}

const NONE_LOST: ReadonlyMap<string, LostTarget> = new Map();

/**
 * Adds the held targets to `drafts` and turns draining ones into held ones where nothing else is proven.
 */
export function leave(
  previous: TargetTable | null,
  drafts: Map<string, Draft>,
  derived: DerivedSource,
  viewOf: ViewOf,
  now: Now,
  options: LifecycleOptions,
): Left {
  let good = 0;
  let others = 0;
  for (const draft of drafts.values()) {
    if (isGood(draft)) good++;
    if (draft.state !== 'draining') others++;
  }
  if (good === 0) keepDraining(drafts, others, now, options);
  if (previous === null) return { departures: [], lost: NONE_LOST };

  const recent = previous.departures.filter((atMs) => now.monotonicMs - atMs < options.stepMs);
  const doubted: Leaving[] = [];
  let counted = 0;
  let guarded = 0;
  const lost: [string, LostTarget][] = [];
  for (const entry of previous.entries.list) {
    if (entry.state !== 'draining') counted++;
    if (drafts.has(entry.identity)) continue;
    const leaving = describe(entry, derived, viewOf, options);
    if (leaving.absent && leaving.view.silent) {
      const { address } = entry.candidate;
      lost.push([entry.identity, { address, port: entry.port, sinceMs: now.monotonicMs }]);
    }
    if (!leaving.isWorthKeeping) {
      const hold = holdOfDead(leaving, now, options);
      if (hold === null) continue;
      guarded++;
      drafts.set(entry.identity, { ...held(leaving, hold), lastResort: true });
      continue;
    }
    if (leaving.signal === 'vanished') {
      if (entry.hold?.kind === 'guard') {
        if (staysGuarded(entry.hold, leaving.unlisted, good, now, options)) {
          guarded++;
          const { hold } = entry;
          const alive = hold.deadSinceMs === null ? hold : { ...hold, deadSinceMs: null };
          drafts.set(entry.identity, held(leaving, alive));
        }
      } else doubted.push(leaving);
    } else if (good === 0 && others > 0) {
      keepForReplacement(drafts, leaving, now, options);
    }
  }

  const baseline = counted + recent.length;
  const leavingNow = doubted.length + guarded + recent.length;
  const enough = good > (1 - options.maxRemovedShare) * baseline;
  const most = options.maxRemovedShare * baseline;
  // Exactly the share is one target of two, a common event, as well as half of a cluster, which is not one.
  const isHalf = leavingNow === most && leavingNow > 1 && options.maxRemovedShare < 1;
  const isMass = (leavingNow > most || isHalf) && !enough;
  const departures = [...recent];
  for (const leaving of doubted) {
    // One that waits for its replacement goes on waiting for that: it was looked at when it left.
    const isUnlisted = leaving.unlisted && options.maxRemovedShare < 1;
    if ((isMass || isUnlisted) && leaving.entry.hold === null) {
      const { absent } = leaving;
      const hold: Hold = {
        kind: 'guard',
        sinceMs: now.monotonicMs,
        carries: true,
        absent,
        // Others that are well say nothing of this one.
        baseline: isUnlisted ? Number.POSITIVE_INFINITY : baseline,
        deadSinceMs: null,
      };
      drafts.set(leaving.entry.identity, held(leaving, hold));
    } else if (good > 0 || !keepForReplacement(drafts, leaving, now, options)) {
      departures.push(now.monotonicMs);
    }
  }
  return { departures, lost: stillLost(previous.lost, lost, drafts, now, options) };
}

/** The same map as before when nothing has changed. */
function stillLost(
  before: ReadonlyMap<string, LostTarget>,
  added: readonly (readonly [string, LostTarget])[],
  drafts: ReadonlyMap<string, Draft>,
  now: Now,
  options: LifecycleOptions,
): ReadonlyMap<string, LostTarget> {
  const stays = [...before].filter(
    ([identity, { sinceMs }]) => !drafts.has(identity) && now.monotonicMs - sinceMs < options.lostMs,
  );
  return added.length === 0 && stays.length === before.size ? before : new Map([...stays, ...added]);
}

interface Leaving {
  readonly entry: TargetEntry;
  readonly view: TargetView;
  /**
   * `explicit`: an object that is there says so; `vanished`: an object, or its endpoint, is no longer there;
   * `finished`: it was draining already.
   */
  readonly signal: 'explicit' | 'vanished' | 'finished';
  /** It vanished by a list that did not say why: probes alone can confirm it. */
  readonly unlisted: boolean;
  readonly absent: boolean;
  readonly carries: boolean;
  readonly why: readonly Reason[];
  /** It has served, and nothing says that it is dead. */
  readonly isWorthKeeping: boolean;
}

/** These say that something is missing, which an API that is half back says too. */
const MISSING: ReadonlySet<string> = new Set([
  'no-local-endpoint',
  'no-endpoints',
  'no-address',
  'address-shared',
]);

/** Somebody wants it to leave: there is nothing to doubt. */
const DECIDED = { signal: 'explicit', unlisted: false, carries: false } as const;

function describe(
  entry: TargetEntry,
  derived: DerivedSource,
  viewOf: ViewOf,
  options: LifecycleOptions,
): Leaving {
  const view = viewOf(entry.identity, entry.candidate, entry.policy, entry);
  const serves = entry.proven && !view.dead && view.health !== 'unhealthy';
  const base = { entry, view, isWorthKeeping: serves && derived.kind === 'service' };
  const { node } = entry.candidate;
  if (node === null) {
    // A static address left the configuration: its owner has decided.
    return { ...base, ...DECIDED, isWorthKeeping: false, absent: true, why: [] };
  }
  if (options.isDrained(node)) {
    // Whatever is doubted of the API: who drains it means this one.
    const absent = derived.missing || derived.candidateOf(node) === null;
    return { ...base, ...DECIDED, absent, why: [reason('operator-drain')] };
  }
  const wasDraining = entry.candidate.state === 'draining';
  if (derived.missing) {
    const signal = options.believeMissing ? 'explicit' : 'vanished';
    const unlisted = options.missingUnlisted;
    return { ...base, signal, unlisted, absent: true, carries: true, why: derived.reasons };
  }
  const candidate = derived.candidateOf(node);
  if (candidate === null) {
    const signal = wasDraining ? 'finished' : 'vanished';
    const unlisted = options.isUnlisted(node);
    const why = [reason('node-deleted')];
    return { ...base, signal, unlisted, absent: true, carries: !wasDraining, why };
  }
  const why = candidate.reasons;
  if (candidate.state !== 'excluded') {
    // The node is a member still, at another address or port: that replaces this one.
    return { ...base, signal: 'explicit', unlisted: false, absent: false, carries: true, why };
  }
  const excluding = why.filter(({ code }) => REASONS[code].effect === 'excluded');
  const isMissing = derived.policy === entry.policy && excluding.every(({ code }) => MISSING.has(code));
  const signal = !isMissing ? 'explicit' : wasDraining ? 'finished' : 'vanished';
  const unlisted = options.doubtsEndpoints;
  return { ...base, signal, unlisted, absent: false, carries: signal === 'vanished', why };
}

/**
 * A target that a list left out would not come back by itself, so a probe is believed only after a while: it may fail
 * for a moment, and takes new flows only when there is nothing else. Null when it is gone.
 */
function holdOfDead({ entry, signal, unlisted }: Leaving, now: Now, options: LifecycleOptions): Hold | null {
  const { hold, proven } = entry;
  if (hold === null || hold.baseline !== Number.POSITIVE_INFINITY) return null;
  if (!unlisted || !proven || signal !== 'vanished') return null;
  const deadSinceMs = hold.deadSinceMs ?? now.monotonicMs;
  const isOver =
    now.monotonicMs - deadSinceMs >= options.deadMs || now.monotonicMs - hold.sinceMs >= options.guardMs;
  if (isOver) return null;
  return hold.deadSinceMs === null ? { ...hold, deadSinceMs } : hold;
}

function staysGuarded(
  hold: Hold,
  unlisted: boolean,
  good: number,
  now: Now,
  options: LifecycleOptions,
): boolean {
  // Its deletion has been announced since.
  if (hold.baseline === Number.POSITIVE_INFINITY && !unlisted) return false;
  const isReplaced = good > (1 - options.maxRemovedShare) * hold.baseline;
  return !isReplaced && now.monotonicMs - hold.sinceMs < options.guardMs;
}

function keepForReplacement(
  drafts: Map<string, Draft>,
  leaving: Leaving,
  now: Now,
  options: LifecycleOptions,
): boolean {
  const { entry, carries, absent } = leaving;
  const known = entry.hold?.kind === 'replace' ? entry.hold : null;
  const sinceMs = known?.sinceMs ?? now.monotonicMs;
  if (now.monotonicMs - sinceMs >= options.holdMs) return false;
  const isSame = known !== null && known.carries === carries && known.absent === absent;
  const hold: Hold = isSame
    ? known
    : { kind: 'replace', sinceMs, carries, absent, baseline: 0, deadSinceMs: null };
  drafts.set(entry.identity, held(leaving, hold));
  return true;
}

function held({ entry, view, why }: Leaving, hold: Hold): Draft {
  return {
    identity: entry.identity,
    port: entry.port,
    candidate: entry.candidate,
    policy: entry.policy,
    state: 'active',
    health: view.health,
    lastResort: entry.candidate.lastResort || view.lastResort,
    weight: entry.weight,
    reasons: [
      reason(hold.kind === 'guard' ? 'held-by-removal-guard' : 'held-until-replaced'),
      ...why,
      ...view.notes,
    ],
    proven: entry.proven,
    joinedAtMs: entry.joinedAtMs,
    hold,
    view,
  };
}

/**
 * Nothing is proven: a draining target that serves stays as a last resort while the others prove themselves, and
 * endpoints that terminate stay even when they are all there is, since kube-proxy uses them then (KEP-1669).
 */
function keepDraining(
  drafts: ReadonlyMap<string, Draft>,
  others: number,
  now: Now,
  options: LifecycleOptions,
): void {
  for (const draft of drafts.values()) {
    if (draft.state !== 'draining' || !draft.proven || draft.health === 'unhealthy') continue;
    const isTerminating = draft.candidate.reasons.every(
      ({ code }) => REASONS[code].effect !== 'draining' || code === 'local-endpoints-terminating',
    );
    if (others === 0 && !isTerminating) continue;
    const sinceMs = draft.hold?.sinceMs ?? now.monotonicMs;
    draft.hold ??= {
      kind: 'replace',
      sinceMs,
      carries: isTerminating,
      absent: false,
      baseline: 0,
      deadSinceMs: null,
    };
    // An ended hold stays written down, so that it does not begin again.
    if (now.monotonicMs - sinceMs >= options.holdMs) continue;
    draft.state = 'active';
    draft.reasons = [reason('held-until-replaced'), ...draft.reasons];
  }
}
