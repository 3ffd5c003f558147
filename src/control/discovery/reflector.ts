// The list-then-watch loop for one kind and scope: it never ends by itself, and what it knows only a good list or a
// good event changes.

import { Backoff } from './backoff.ts';
import type { RestartReason } from './counts.ts';
import { Facts } from './facts.ts';
import { DiscoveryFailure } from './failure.ts';
import type { AnyFact } from './kinds.ts';
import { listObjects } from './list.ts';
import type { Reflector, ReflectorOptions, ReflectorState, ReflectorStatus } from './reflector-options.ts';
import {
  barrenReasons,
  barrenWatchLimit,
  relistReasons,
  unansweredReasons,
  unprovenReasons,
} from './restart-policy.ts';
import { RestartRecord } from './restart-record.ts';
import { RetryWait } from './retry-wait.ts';
import { runWatch, type WatchEvent } from './watch.ts';

/** Starts the loop at once. */
export function createReflector<Fact extends AnyFact>(options: ReflectorOptions<Fact>): Reflector<Fact> {
  return new ReflectorLoop(options);
}

class ReflectorLoop<Fact extends AnyFact> implements Reflector<Fact> {
  readonly namespace: string | null;
  readonly #options: ReflectorOptions<Fact>;
  readonly #facts: Facts<Fact>;
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  readonly #wait: RetryWait;
  readonly #record: RestartRecord;
  readonly #done: Promise<void>;
  /** Null asks for a list. */
  #resourceVersion: string | null = null;
  #state: ReflectorState = 'listing';
  #synced = false;
  #refused = false;
  #lastSyncMs = 0;
  #lastEventMs = 0;
  /** Empty lists in a row that contradict what is known. */
  #emptyLists = 0;
  #barrenWatches = 0;
  /** A 410 has been followed by a list at once, and no watch has proven itself since. */
  #relisted = false;

  constructor(options: ReflectorOptions<Fact>) {
    this.#options = options;
    this.namespace = options.namespace;
    this.#facts = new Facts(options);
    const { backoffBaseMs: baseMs, backoffCapMs: capMs } = options.tuning;
    this.#backoff = new Backoff({ baseMs, capMs, random: options.random });
    this.#wait = new RetryWait(options.clock, options.random);
    this.#record = new RestartRecord(options);
    this.#done = this.#run();
  }

  get synced(): boolean {
    return this.#synced;
  }

  get settled(): boolean {
    return this.#synced || this.#refused;
  }

  get lastSyncMs(): number {
    return this.#lastSyncMs;
  }

  facts(): Iterable<Fact> {
    return this.#facts.values();
  }

  unlisted(): readonly Fact[] {
    return this.#facts.unlisted();
  }

  status(): ReflectorStatus {
    return {
      kind: this.#options.kind.resource,
      namespace: this.namespace,
      state: this.#state,
      synced: this.#synced,
      suspect: this.#emptyLists > 0,
      settled: this.settled,
      lastSyncMs: this.#lastSyncMs,
      lastEventMs: this.#lastEventMs,
      objects: this.#facts.size,
      badObjects: this.#facts.badObjects,
      restarts: this.#record.restarts,
      failure: this.#record.failure,
    };
  }

  retrySoon(): void {
    if (this.#record.isOutOfReach) this.#wait.hurry();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wait.end();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let delayMs: number;
      try {
        if (this.#resourceVersion === null) {
          await this.#list();
          continue;
        }
        delayMs = await this.#watch(this.#resourceVersion);
      } catch (error) {
        if (signal.aborted) break;
        delayMs = this.#fail(error);
      }
      if (delayMs <= 0 || signal.aborted) continue;
      this.#state = 'waiting';
      await this.#wait.sleep(delayMs);
    }
    this.#state = 'closed';
  }

  async #list(): Promise<void> {
    const { api, clock, kind, namespace, fieldSelector, cluster, log, onCount, tuning } = this.#options;
    this.#state = 'listing';
    const { pageSize, pageTimeoutMs, pageLimitBytes, objectLimit } = tuning;
    const list = await listObjects({
      api,
      clock,
      kind,
      namespace,
      fieldSelector,
      pageSize,
      pageTimeoutMs,
      pageLimitBytes,
      objectLimit,
      signal: this.#closing.signal,
    });
    if (this.#record.failure !== null) this.#options.onReached();
    const next = this.#facts.read(list);
    if (next.size === 0 && this.#facts.size > 0) this.#holdEmptyList();
    this.#emptyLists = 0;
    const diff = this.#facts.replace(next, clock.now());
    onCount('list', { cluster, kind: kind.resource });
    if (diff.removed > 0) {
      for (let count = 0; count < diff.removed; count++)
        onCount('unlisted', { cluster, kind: kind.resource });
      log.warn({ code: 'unlisted', objects: diff.removed }, 'a list leaves out what no event has ended');
    }
    const first = !this.#synced;
    this.#resourceVersion = list.resourceVersion;
    this.#synced = true;
    this.#refused = false;
    this.#barrenWatches = 0;
    log.info(
      { code: 'listed', objects: this.#facts.size, diff },
      first ? 'first list taken' : 'listed again',
    );
    this.#contact(diff.added + diff.changed + diff.removed > 0, clock.now());
  }

  #holdEmptyList(): void {
    this.#emptyLists += 1;
    if (this.#emptyLists > this.#options.tuning.emptyListConfirmMs.length) {
      const fields = { code: 'empty-list', objects: this.#facts.size };
      this.#options.log.warn(fields, 'empty list confirmed and believed');
      return;
    }
    throw new DiscoveryFailure('empty-list', `the list is empty but ${this.#facts.size} objects are known`);
  }

  /** Resolves with the delay before the next watch when the server ended this one in order. */
  async #watch(resourceVersion: string): Promise<number> {
    const { api, clock, kind, namespace, fieldSelector, tuning, random } = this.#options;
    const [fromSeconds, toSeconds] = tuning.watchSeconds;
    this.#state = 'opening';
    let progressed = false;
    let lived = false;
    let cancelProof = (): void => {};
    let end: RestartReason = 'ended';
    try {
      await runWatch({
        api,
        clock,
        kind,
        namespace,
        fieldSelector,
        resourceVersion,
        timeoutSeconds: fromSeconds + Math.floor(random() * (toSeconds - fromSeconds + 1)),
        headTimeoutMs: tuning.headTimeoutMs,
        inactivityMs: tuning.inactivityMs,
        lineLimitBytes: tuning.lineLimitBytes,
        signal: this.#closing.signal,
        onOpen: () => {
          this.#state = 'watching';
          if (this.#record.failure !== null) this.#options.onReached();
          cancelProof = clock.after(tuning.provenAfterMs, () => {
            lived = true;
            this.#relisted = false;
            this.#recovered();
          });
        },
        onEvent: (event) => {
          progressed = true;
          this.#apply(event);
        },
      });
      if (lived || progressed) this.#contact(false, clock.now());
    } catch (error) {
      end = error instanceof DiscoveryFailure ? error.reason : 'internal';
      throw error;
    } finally {
      cancelProof();
      if (lived || (progressed && !unprovenReasons.has(end))) this.#backoff.reset();
      // Silent watches may mean a resourceVersion from a future that a restored etcd will never reach.
      if (progressed) this.#barrenWatches = 0;
      else if (barrenReasons.has(end)) this.#barrenWatches += 1;
      if (this.#barrenWatches >= barrenWatchLimit) this.#resourceVersion = null;
    }
    this.#record.ended();
    return lived ? 0 : this.#backoff.next();
  }

  #apply(event: WatchEvent): void {
    const { clock, cluster, kind, onCount } = this.#options;
    const receivedAtMs = clock.now();
    onCount('watch-event', { cluster, kind: kind.resource, type: event.type });
    let changed = false;
    if (event.type !== 'BOOKMARK') {
      this.#lastEventMs = receivedAtMs;
      changed = this.#facts.apply(event);
    }
    // Also after a bad object: asking for it again would only bring it again.
    this.#resourceVersion = event.resourceVersion;
    this.#recovered();
    this.#contact(changed, receivedAtMs);
  }

  #contact(changed: boolean, receivedAtMs: number): void {
    this.#lastSyncMs = receivedAtMs;
    this.#options.onContact(changed, receivedAtMs);
  }

  #recovered(): void {
    this.#record.recovered();
    this.#wait.reset();
  }

  /** Counts and logs a failure, decides whether to list again, and returns the delay before the next try. */
  #fail(error: unknown): number {
    const { clock, random, tuning } = this.#options;
    const wasOut = this.#record.isOutOfReach;
    const failure = this.#record.failed(error);
    const { reason } = failure;
    if (relistReasons.has(reason)) this.#resourceVersion = null;
    // A refusal is an answer as well: the API server is back.
    if (wasOut && !unansweredReasons.has(reason)) this.#options.onReached();
    if (reason === 'forbidden' && !this.#refused) {
      this.#refused = true;
      this.#options.onContact(false, clock.now());
    }
    const confirmMs = tuning.emptyListConfirmMs[this.#emptyLists - 1];
    if (reason === 'empty-list' && confirmMs !== undefined) return confirmMs * (1 + random() / 2);
    // The first 410 in a row is the answer of a server that is well, most often just back from an outage: what has to
    // wait for a list now shall not wait for the long step that the outage has led to.
    if (reason === 'expired' && !this.#relisted) {
      this.#relisted = true;
      return Math.floor(random() * tuning.backoffBaseMs);
    }
    return (failure.retryAfterMs ?? 0) + this.#backoff.next();
  }
}
