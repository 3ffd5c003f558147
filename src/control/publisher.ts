// Publishes snapshots to the workers: one at a time, the latest wins, and each is timed until the last worker has it.

import type { Publication } from '../model/messages.ts';
import { NO_SECRETS, type Secrets } from '../model/secrets.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { encodeDifference, encodeWhole } from '../snapshot/encode.ts';

export interface PublisherOptions {
  readonly send: (publication: Publication) => void;
  /** Gives the supervisor the snapshot in force as one text, in the place of those that it has gathered. */
  readonly keep: (publication: Publication) => void;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly after: (delayMs: number, run: () => void) => () => void;
  /** The last worker has acknowledged a snapshot that answers an event received `tookMs` ago. */
  readonly onApplied: (snapshot: Snapshot, tookMs: number | null) => void;
}

/** A worker that does not answer must not hold back the others for longer. */
const PATIENCE_MS = 1000;
/** Characters of differences that are kept without looking further. */
const KEPT_ALWAYS = 65_536;

export class Publisher {
  readonly #options: PublisherOptions;
  /** Version that each worker has acknowledged last. */
  readonly #acknowledged = new Map<string, number>();
  #secrets = NO_SECRETS;
  #secretsAreNew = true;
  /** What was sent last: the next is told as a difference from it. Null when it may not have been taken. */
  #base: Snapshot | null = null;
  /** Length of the last whole text, and of the differences since then. */
  #wholeLength = 0;
  #keptLength = 0;
  #inFlight: Snapshot | null = null;
  /** The newest that was sent and is not in force everywhere yet, also when it is not waited for any more. */
  #unsettled: Snapshot | null = null;
  #waiting: Snapshot | null = null;
  #cancelPatience: (() => void) | null = null;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Certificates and keys for the publications to come; true when they are others than before. */
  setSecrets(secrets: Secrets): boolean {
    const renewed = JSON.stringify(secrets) !== JSON.stringify(this.#secrets);
    this.#secrets = secrets;
    if (renewed) this.#secretsAreNew = true;
    return renewed;
  }

  /** Sends at once, or when the one in flight has been acknowledged; a newer one replaces one that waits. */
  publish(snapshot: Snapshot): void {
    if (this.#inFlight === null) this.#send(snapshot);
    else this.#waiting = earlierEvent(snapshot, this.#waiting?.eventAtMs ?? 0);
  }

  workerStarted(worker: string): void {
    this.#acknowledged.set(worker, 0);
  }

  workerGone(worker: string): void {
    this.#acknowledged.delete(worker);
    this.#settle();
  }

  applied(worker: string, version: number): void {
    this.#acknowledged.set(worker, version);
    this.#settle();
  }

  /** The supervisor or a worker would not take it: nothing more is waited for, and the next is sent whole. */
  refused(version: number): void {
    this.#base = null;
    if (this.#unsettled?.version === version) this.#unsettled = null;
    if (this.#inFlight?.version === version) this.#next();
  }

  /** The supervisor has dropped a difference that does not fit what it has; a supervisor that was held up says so late. */
  wholeNeeded(version: number): void {
    this.#base = null;
    const snapshot = this.#unsettled;
    if (snapshot?.version === version) this.#send(snapshot);
  }

  versionOf(worker: string): number {
    return this.#acknowledged.get(worker) ?? 0;
  }

  /** Workers that have any snapshot in force. */
  get serving(): number {
    return [...this.#acknowledged.values()].filter((version) => version > 0).length;
  }

  close(): void {
    this.#cancelPatience?.();
  }

  #send(snapshot: Snapshot): void {
    this.#inFlight = snapshot;
    this.#unsettled = this.#unsettled === null ? snapshot : earlierEvent(snapshot, this.#unsettled.eventAtMs);
    this.#cancelPatience?.();
    this.#cancelPatience = this.#options.after(PATIENCE_MS, () => this.#next());
    this.#options.send(this.#publicationOf(snapshot));
    this.#base = snapshot;
    this.#secretsAreNew = false;
  }

  /** A difference where one fits; whole when that is shorter. */
  #publicationOf(snapshot: Snapshot): Publication {
    const base = this.#base;
    const text =
      base === null ? null : encodeDifference(base, snapshot, this.#secretsAreNew ? this.#secrets : null);
    if (base === null || text === null || text.length >= this.#wholeLength) return this.#wholeOf(snapshot);
    this.#keptLength += text.length;
    return { version: snapshot.version, base: base.version, text, listeners: addressesOf(snapshot) };
  }

  #wholeOf(snapshot: Snapshot): Publication {
    const text = encodeWhole(snapshot, this.#secrets);
    this.#wholeLength = text.length;
    this.#keptLength = 0;
    return { version: snapshot.version, base: null, text, listeners: addressesOf(snapshot) };
  }

  /** What a worker that starts has to read stays within twice the whole; the making costs as much as was saved. */
  #keep(): void {
    const base = this.#base;
    if (base === null || this.#keptLength < Math.max(this.#wholeLength, KEPT_ALWAYS)) return;
    this.#options.keep(this.#wholeOf(base));
  }

  #settle(): void {
    const snapshot = this.#unsettled;
    if (snapshot === null || this.#acknowledged.size === 0) return;
    for (const version of this.#acknowledged.values()) if (version < snapshot.version) return;
    const { now, onApplied } = this.#options;
    this.#unsettled = null;
    onApplied(snapshot, snapshot.eventAtMs === 0 ? null : now() - snapshot.eventAtMs);
    if (this.#inFlight !== null) this.#next();
  }

  #next(): void {
    this.#cancelPatience?.();
    this.#cancelPatience = null;
    const waiting = this.#waiting;
    this.#inFlight = null;
    this.#waiting = null;
    if (waiting !== null) this.#send(waiting);
    else this.#keep();
  }
}

function addressesOf({ listeners }: Snapshot): Publication['listeners'] {
  return listeners.map(({ name, host, port, protocol }) => ({ name, host, port, protocol }));
}

/** An event counts from when it was received, also when its own snapshot was never sent or is not in force yet. */
function earlierEvent(snapshot: Snapshot, beforeAtMs: number): Snapshot {
  if (beforeAtMs === 0 || (snapshot.eventAtMs !== 0 && snapshot.eventAtMs <= beforeAtMs)) return snapshot;
  return { ...snapshot, eventAtMs: beforeAtMs };
}
