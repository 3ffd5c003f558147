// Owns when probes run: keyed, shared between groups, jittered, bounded in concurrency and rate, with damped results.

import type { Clock } from '../discovery/clock.ts';
import { DueQueue } from './due-queue.ts';
import { ProbeRecord, type ProbeStatus, type ProbeTerms } from './probe-record.ts';
import type { ProbeResult, ProbeTarget } from './probe-result.ts';
import type { Prober } from './probes.ts';

/** One probe. Specs with the same key must be equal but for `urgent`, which counts when the first of them is added. */
export interface ProbeSpec extends ProbeTerms {
  readonly key: string;
  readonly target: ProbeTarget;
  readonly intervalMs: number;
  /** Interval while the last result was a failure. */
  readonly failingIntervalMs: number;
  readonly timeoutMs: number;
  /** Share of the interval by which each run is moved at random, 0 to 1. */
  readonly jitter: number;
  /** Runs at once and before the others: someone waits for the proof. */
  readonly urgent: boolean;
}

export interface SchedulerLimits {
  /** Probes in flight. Default 256. */
  readonly concurrency: number;
  /** Starts a second; beyond it every interval stretches alike. Default 2000. */
  readonly perSecond: number;
  /** First runs of probes that are not urgent are spread over this. Default 100 ms. */
  readonly spreadMs: number;
}

export const DEFAULT_SCHEDULER_LIMITS: SchedulerLimits = { concurrency: 256, perSecond: 2000, spreadMs: 100 };

export interface SchedulerOptions {
  readonly prober: Prober;
  readonly clock: Clock;
  /** Monotonic milliseconds: a wall clock that is set back must not stop the probes. */
  readonly monotonic: () => number;
  readonly random: () => number;
  readonly limits: SchedulerLimits;
  /** Each result, for metrics. */
  readonly onResult: (spec: ProbeSpec, result: ProbeResult) => void;
  /**
   * After `status(key)` has changed in anything but a repeated success or failure of the same kind; and, for a group
   * that begins to want probes of which others have had results, after it did.
   */
  readonly onStatus: (key: string, groups: Iterable<string>, flipped: boolean) => void;
}

interface Entry {
  readonly spec: ProbeSpec;
  readonly groups: Set<string>;
  readonly abort: AbortController;
  readonly record: ProbeRecord;
}

/** Runs every probe that some group wants; a probe that stays wanted keeps its state when groups change. */
export class ProbeScheduler {
  readonly #options: SchedulerOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, readonly ProbeSpec[]>();
  readonly #urgent = new DueQueue<Entry>();
  readonly #regular = new DueQueue<Entry>();
  readonly #running = new Set<Promise<void>>();
  #tokens: number;
  #refilledAtMs: number;
  #cancelWake: (() => void) | null = null;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#tokens = options.limits.perSecond;
    this.#refilledAtMs = options.monotonic();
  }

  /** Number of distinct probes. */
  get size(): number {
    return this.#entries.size;
  }

  /** Whether every probe has had a result. */
  get hasAllResults(): boolean {
    for (const { record } of this.#entries.values()) if (record.status === null) return false;
    return true;
  }

  /** Probes in flight. */
  get running(): number {
    return this.#running.size;
  }

  /** Undefined before the first result, and for unknown keys. */
  status(key: string): ProbeStatus | undefined {
    return this.#entries.get(key)?.record.status ?? undefined;
  }

  /** Replaces what a group wants; the same array again costs nothing. An empty array ends the group. */
  setGroup(group: string, specs: readonly ProbeSpec[]): void {
    const previous = this.#groups.get(group) ?? [];
    if (this.#closed || previous === specs) return;
    if (specs.length === 0) this.#groups.delete(group);
    else this.#groups.set(group, specs);
    // A table of thousands in which one target has changed brings the specs of the others again, the same objects.
    const [changedBefore, changed] = withoutCommonEnds(previous, specs);
    const gone = new Set(changedBefore);
    let joined: string | null = null;
    for (const spec of changed) {
      if (gone.delete(spec)) continue;
      const known = this.#entries.get(spec.key);
      if (known === undefined) this.#add(spec, group);
      else if (!known.groups.has(group)) {
        known.groups.add(group);
        if (known.record.status !== null) joined = spec.key;
      }
    }
    const kept = gone.size === 0 ? null : new Set(specs.map(({ key }) => key));
    for (const { key } of gone) if (kept?.has(key) === false) this.#release(key, group);
    if (joined !== null) this.#options.onStatus(joined, [group], true);
    this.#pump();
  }

  /** Stops all; settles when no socket is open. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelWake?.();
    for (const entry of this.#entries.values()) entry.abort.abort();
    this.#entries.clear();
    this.#groups.clear();
    await Promise.all(this.#running);
  }

  #add(spec: ProbeSpec, group: string): void {
    const entry: Entry = {
      spec,
      groups: new Set([group]),
      abort: new AbortController(),
      record: new ProbeRecord(spec),
    };
    this.#entries.set(spec.key, entry);
    const { monotonic, random, limits } = this.#options;
    const spreadMs = spec.urgent ? 0 : Math.min(limits.spreadMs, spec.intervalMs) * random();
    this.#queueOf(entry).push(entry, monotonic() + spreadMs);
  }

  #release(key: string, group: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.groups.delete(group);
    if (entry.groups.size > 0) return;
    this.#entries.delete(key);
    entry.abort.abort();
  }

  #queueOf({ spec }: Entry): DueQueue<Entry> {
    return spec.urgent ? this.#urgent : this.#regular;
  }

  /** Starts what is due as far as the limits allow, then sleeps until the next that could start. */
  #pump(): void {
    if (this.#closed) return;
    const { monotonic, limits } = this.#options;
    const nowMs = monotonic();
    const passedMs = nowMs - this.#refilledAtMs;
    this.#tokens = Math.min(limits.perSecond, this.#tokens + (passedMs * limits.perSecond) / 1000);
    this.#refilledAtMs = nowMs;
    while (this.#running.size < limits.concurrency && this.#tokens >= 1) {
      const entry = this.#urgent.popDue(nowMs) ?? this.#regular.popDue(nowMs);
      if (entry === undefined) break;
      if (entry.abort.signal.aborted) continue;
      this.#tokens--;
      this.#start(entry, nowMs);
    }
    // With all slots taken the next end of a probe comes here.
    if (this.#running.size >= limits.concurrency) return;
    const dueMs = Math.min(this.#urgent.nextDueMs, this.#regular.nextDueMs);
    const tokenMs = this.#tokens >= 1 ? nowMs : nowMs + ((1 - this.#tokens) * 1000) / limits.perSecond;
    this.#wakeAt(Math.max(dueMs, tokenMs), nowMs);
  }

  #wakeAt(atMs: number, nowMs: number): void {
    if (atMs === this.#wakeAtMs) return;
    this.#cancelWake?.();
    this.#cancelWake = null;
    this.#wakeAtMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#cancelWake = this.#options.clock.after(Math.max(1, Math.ceil(atMs - nowMs)), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#cancelWake = null;
      this.#pump();
    });
  }

  #start(entry: Entry, startedAtMs: number): void {
    const { prober, monotonic } = this.#options;
    const { spec, abort } = entry;
    const run = prober(spec.target, spec.timeoutMs, abort.signal, (result) => this.#take(entry, result)).then(
      () => {
        this.#running.delete(run);
        if (!abort.signal.aborted) {
          this.#queueOf(entry).push(entry, Math.max(monotonic(), startedAtMs + this.#pauseMs(entry)));
        }
        this.#pump();
      },
    );
    this.#running.add(run);
  }

  #pauseMs({ spec, record: { status } }: Entry): number {
    const baseMs = status !== null && status.failure !== null ? spec.failingIntervalMs : spec.intervalMs;
    return baseMs * (1 + spec.jitter * (2 * this.#options.random() - 1));
  }

  #take(entry: Entry, result: ProbeResult): void {
    if (result.failure === 'cancelled' || entry.abort.signal.aborted) return;
    const { spec, record, groups } = entry;
    const change = result.failure === 'local' ? 'none' : record.take(result);
    this.#options.onResult(spec, result);
    if (change === 'flipped' || change === 'shifted') {
      this.#options.onStatus(spec.key, groups, change === 'flipped');
    }
  }
}

/** What lies between the first and the last place in which two lists differ. */
function withoutCommonEnds(
  before: readonly ProbeSpec[],
  after: readonly ProbeSpec[],
): readonly [readonly ProbeSpec[], readonly ProbeSpec[]] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  return [before.slice(head, before.length - tail), after.slice(head, after.length - tail)];
}
