// Owns the life of a source's targets: what joins is proven first, what leaves is let go only when that is safe.

import type { Reason } from '../../model/targets.ts';
import type { TargetView } from '../health/evidence.ts';
import type { Candidate } from './candidate.ts';
import { type DerivedSource, identityOf } from './derive.ts';
import { joinVersions, nodeToken } from './object-versions.ts';
import { hasSameCodes, isSameReasons } from './reason-lists.ts';
import { reason } from './reasons.ts';
import { leave } from './removal.ts';
import { TargetEntries } from './target-entries.ts';
import {
  type Calm,
  type Draft,
  isGood,
  type LifecycleOptions,
  type Now,
  type TargetEntry,
  type TargetTable,
  type ViewOf,
} from './target-table.ts';

export interface Advanced {
  /** The same object as before when nothing has changed. */
  readonly table: TargetTable;
  /** When time alone will change something, monotonic milliseconds; null when it won't. */
  readonly dueAtMs: number | null;
}

/**
 * One step: the targets as they were and as the API now has them, to the targets as they shall be. Pure.
 * @param previous null at the first start, when everything is used at once
 */
export function advance(
  previous: TargetTable | null,
  derived: DerivedSource,
  viewOf: ViewOf,
  now: Now,
  options: LifecycleOptions,
): Advanced {
  const stays = previous === null ? null : advanceCalm(previous, derived, viewOf, now, options);
  if (stays !== null) return { table: stays, dueAtMs: null };
  const drafts = new Map<string, Draft | TargetEntry>();
  // Members come in the order of the entries that they became, so most are found without a search.
  const known = previous === null ? [] : previous.entries.list;
  let place = 0;
  for (const candidate of derived.members) {
    const port = candidate.port === 0 ? derived.port : candidate.port;
    let before = known[place];
    if (before?.candidate === candidate && before.port === port) place++;
    else {
      before = previous?.entries.get(identityOf(candidate.address, port));
      if (before !== undefined) place = known.indexOf(before, place) + 1 || place;
    }
    const identity = before?.identity ?? identityOf(candidate.address, port);
    const view = viewOf(identity, candidate, derived.policy, before);
    const draft =
      before !== undefined && isSettled(before, candidate, derived, view)
        ? before
        : join(identity, port, candidate, derived, before, previous === null, view, now, options);
    drafts.set(identity, draft);
  }
  const { departures, lost } = leave(previous, drafts, derived, viewOf, now, options);
  settleLastResorts(drafts);
  const list: TargetEntry[] = [];
  let isSame = previous !== null && previous.entries.size === drafts.size;
  let dueAtMs: number | null = null;
  let index = 0;
  for (const [identity, draft] of drafts) {
    let entry = draft as TargetEntry;
    if (!isEntry(draft)) {
      const before = previous?.entries.get(identity);
      entry = finish(draft, before, now.epochMs, previous === null ? null : options.news);
      dueAtMs = earlier(dueAtMs, dueOf(entry, now.monotonicMs, options));
    }
    // The order counts too: it is the order of the answers, and one day's must not depend on another's.
    if (known[index++] !== entry) isSame = false;
    list.push(entry);
  }
  for (const { sinceMs } of lost.values()) dueAtMs = earlier(dueAtMs, sinceMs + options.lostMs);
  if (isSame && previous?.lost === lost && departures.length === previous.departures.length) {
    return { table: previous, dueAtMs };
  }
  const entries = TargetEntries.of(list, previous?.entries);
  const calm = departures.length === 0 && lost.size === 0 ? calmOf(list, derived) : null;
  return { table: { entries, departures, lost, calm }, dueAtMs };
}

function calmOf(list: readonly TargetEntry[], { members, port, policy }: DerivedSource): Calm | null {
  if (list.length !== members.length || !list.every(isCalm)) return null;
  const noted = [...list.keys()].filter((place) => isNoted(list[place]!));
  return { members, port, policy, noted };
}

function isCalm({ state, proven, hold }: Draft): boolean {
  return state === 'active' && proven && hold === null;
}

function isNoted({ view }: TargetEntry): boolean {
  return view.notes.length > 0 || view.byProof;
}

/**
 * A step of a calm table in which only some candidates are other objects: the rest is not looked at. Null where it takes
 * more than that.
 */
function advanceCalm(
  previous: TargetTable,
  derived: DerivedSource,
  viewOf: ViewOf,
  now: Now,
  options: LifecycleOptions,
): TargetTable | null {
  const { calm, entries, departures, lost } = previous;
  const { members, port, policy } = derived;
  if (calm === null || !options.sameEvidence) return null;
  if (calm.members.length !== members.length || calm.port !== port || calm.policy !== policy) return null;
  const places: number[] = [];
  for (let place = 0; place < members.length; place++)
    if (members[place] !== calm.members[place]) places.push(place);
  for (const place of calm.noted) if (members[place] === calm.members[place]) places.push(place);
  let list: TargetEntry[] | null = null;
  for (const place of places) {
    const candidate = members[place]!;
    const before = entries.list[place]!;
    const own = candidate.port === 0 ? port : candidate.port;
    if (before.port !== own || before.candidate.address !== candidate.address) return null;
    const view = viewOf(before.identity, candidate, policy, before);
    if (isSettled(before, candidate, derived, view)) continue;
    const draft = join(before.identity, own, candidate, derived, before, false, view, now, options);
    if (!isCalm(draft)) return null;
    const entry = finish(draft, before, now.epochMs, options.news);
    if (entry === before) continue;
    list ??= [...entries.list];
    list[place] = entry;
  }
  if (list === null) {
    calm.members = members;
    return previous;
  }
  // All that were noted have been looked at.
  const noted = places.filter((place) => isNoted(list[place]!));
  return { entries: entries.with(list), departures, lost, calm: { members, port, policy, noted } };
}

/** Nothing that decides about it has changed, and nothing about it waits: it stays as it is. */
function isSettled(
  before: TargetEntry,
  candidate: Candidate,
  derived: DerivedSource,
  view: TargetView,
): boolean {
  return (
    before.candidate === candidate &&
    before.view === view &&
    before.policy === derived.policy &&
    before.state === 'active' &&
    before.proven &&
    before.hold === null
  );
}

function isEntry(draft: Draft | TargetEntry): draft is TargetEntry {
  return 'changedAtMs' in draft;
}

function join(
  identity: string,
  port: number,
  candidate: Candidate,
  derived: DerivedSource,
  before: TargetEntry | undefined,
  isFirst: boolean,
  view: TargetView,
  now: Now,
  options: LifecycleOptions,
): Draft {
  // Another node under the same address starts anew.
  const known = before !== undefined && before.candidate.nodeUid === candidate.nodeUid ? before : undefined;
  const joinedAtMs = known?.joinedAtMs ?? now.monotonicMs;
  const trusted = options.unknown === 'serve' && (derived.kind === 'static' || isFirst);
  const waited = now.monotonicMs - joinedAtMs >= options.fillMs && view.proof === 'none';
  const proven = trusted || known?.proven === true || view.proof === 'proven' || waited;
  const state = candidate.state === 'draining' ? 'draining' : proven ? 'active' : 'filling';
  return {
    identity,
    port,
    candidate,
    policy: derived.policy,
    state,
    health: view.health,
    lastResort: state !== 'draining' && (candidate.lastResort || view.lastResort),
    weight: view.weight !== null && state !== 'draining' ? view.weight : candidate.weight,
    reasons:
      state !== 'filling' && view.notes.length === 0 ? candidate.reasons : reasonsOf(state, candidate, view),
    proven,
    joinedAtMs,
    // Kept while it drains, so that an ended hold does not begin again.
    hold: state === 'draining' ? (known?.hold ?? null) : null,
    view,
  };
}

function reasonsOf(
  state: TargetEntry['state'],
  { reasons }: Candidate,
  { notes }: TargetView,
): readonly Reason[] {
  return [
    ...(state === 'filling' ? [reason('unproven')] : []),
    ...reasons,
    ...notes.filter((note) => state !== 'draining' || note.code !== 'health-check-node-port'),
  ];
}

/**
 * New flows go to good targets; without any, to the held ones that nothing but a late replacement keeps; then to
 * those that are not proven.
 */
function settleLastResorts(drafts: ReadonlyMap<string, Draft>): void {
  let good = 0;
  let carrying = 0;
  for (const draft of drafts.values()) {
    if (isGood(draft)) good++;
    else if (isHeld(draft) && draft.hold?.carries === true && draft.health !== 'unhealthy') carrying++;
  }
  for (const draft of drafts.values()) {
    if (isHeld(draft)) {
      // Nodes that the API forgot all at once go on as before: it is the API that is doubted.
      const doubtsApi = draft.hold?.kind === 'guard' && draft.hold.absent;
      if (!doubtsApi && (good > 0 || draft.hold?.carries !== true)) draft.lastResort = true;
    } else if (draft.state === 'filling' && (good > 0 || carrying > 0)) draft.lastResort = true;
  }
}

function isHeld(draft: Draft): boolean {
  return draft.hold !== null && draft.state === 'active';
}

/** @param news null at the first start, when nothing changes anything */
function finish(
  draft: Draft,
  before: TargetEntry | undefined,
  epochMs: number,
  news: string | null,
): TargetEntry {
  if (before !== undefined) {
    const sameView =
      before.state === draft.state &&
      before.health === draft.health &&
      before.lastResort === draft.lastResort &&
      hasSameCodes(before.reasons, draft.reasons);
    if (sameView) {
      const same =
        before.candidate === draft.candidate ||
        (before.candidate.nodeUid === draft.candidate.nodeUid &&
          before.candidate.nodeVersion === draft.candidate.nodeVersion &&
          before.candidate.state === draft.candidate.state);
      const isEqual =
        same &&
        before.weight === draft.weight &&
        before.proven === draft.proven &&
        before.joinedAtMs === draft.joinedAtMs &&
        before.policy === draft.policy &&
        before.hold === draft.hold &&
        before.view === draft.view &&
        isSameReasons(before.reasons, draft.reasons);
      return isEqual ? before : { ...draft, changedAtMs: before.changedAtMs, changedBy: before.changedBy };
    }
  }
  return { ...draft, changedAtMs: epochMs, changedBy: news === null ? '' : changedBy(draft, before, news) };
}

function changedBy({ candidate }: Draft, before: TargetEntry | undefined, news: string): string {
  const version = nodeToken(candidate.nodeVersion);
  if (before === undefined) return news === '' ? version : news;
  return joinVersions(before.candidate.nodeVersion === candidate.nodeVersion ? '' : version, news);
}

/** When time alone ends the filling or the hold; null when it has passed already. */
function dueOf(entry: TargetEntry, nowMs: number, options: LifecycleOptions): number | null {
  let dueAtMs = entry.state === 'filling' ? entry.joinedAtMs + options.fillMs : Number.POSITIVE_INFINITY;
  if (entry.hold !== null && entry.state !== 'draining') {
    const { kind, sinceMs, deadSinceMs } = entry.hold;
    if (deadSinceMs !== null) dueAtMs = Math.min(dueAtMs, deadSinceMs + options.deadMs);
    dueAtMs = Math.min(dueAtMs, sinceMs + (kind === 'guard' ? options.guardMs : options.holdMs));
  }
  return dueAtMs > nowMs && dueAtMs !== Number.POSITIVE_INFINITY ? dueAtMs : null;
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}
