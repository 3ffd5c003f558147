// Looks connections up in the kernel's table of sockets, for everyone who asks, at a bounded cost.

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  findSockets,
  type SocketEnds,
  type SocketState,
  type Wanted,
  want,
  wantNothing,
} from './socket-rows.ts';

type Family = 'ipv4' | 'ipv6';

/** The table of a family; rejects where there is none. */
export type ReadSockets = (family: Family) => Promise<Buffer>;

/**
 * Looking may take this share of the time in the long run, however many sockets the machine has: with 30,000 the kernel's
 * walk takes 80 ms of a thread and the search 10 ms of the event loop, so that a look then comes every two seconds.
 */
const SHARE_OF_TIME = 0.05;
/**
 * What of that share is kept for later, in milliseconds of looking: when a machine has died the first seconds decide how long
 * requests wait on the paths to it, and nobody has looked for hours. With 12,000 sockets (30 ms) it is thirty looks.
 */
const SAVED_MS = 1000;
/**
 * What a look is believed to have taken at most: a busy machine stretches the clock, not the work, and a worker that read
 * its few rows in 100 ms twice would not look for two seconds, in which requests wait on dead paths. The kernel walks its
 * whole table of hashes, and thrice what 30,000 sockets were measured to take goes for the rows. In milliseconds.
 */
const WALK_MS = 20;
const MS_A_MEBIBYTE = 60;
/** Other events have their turn after so many bytes of the table: a quarter of a millisecond, and thrice that where all are asked for. */
const SLICE_BYTES = 65_536;
/** And after so many sockets whose ends were asked for, about as long. */
const SLICE_SOCKETS = 64;
/** Errors that say that there will never be a table: not Linux, no /proc, not allowed. */
const FOR_GOOD: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ERR_ACCESS_DENIED']);
const NOTHING: ReadonlyMap<SocketEnds, SocketState> = new Map();

/** The tables of this network namespace (proc(5), `/proc/net/tcp`). Bytes: as text they would cost the event loop ten times as much. */
export const readProcSockets: ReadSockets = async (family) =>
  await readFile(family === 'ipv4' ? '/proc/self/net/tcp' : '/proc/self/net/tcp6');

/**
 * Node can read neither TCP_INFO nor inet_diag without native code, so the whole table has to be walked: once for all
 * who ask meanwhile, and in the long run not before the twentyfold of what that took is over.
 */
export class SocketTable {
  readonly #now: () => number;
  readonly #read: ReadSockets;
  readonly #rest: (ms: number) => Promise<unknown>;
  readonly #sliceBytes: number;
  #asked: (() => Iterable<SocketEnds>)[] = [];
  /** The look that those who ask now will be part of. */
  #next: Promise<ReadonlyMap<SocketEnds, SocketState>> | null = null;
  #running: Promise<unknown> = Promise.resolve();
  #lastCostMs = Number.POSITIVE_INFINITY;
  /** Read in this look. */
  #bytes = 0;
  /** What may be spent on looks, at that moment; below 0 the table rests. */
  #allowanceMs = SAVED_MS;
  #allowedAtMs: number;
  #usable = true;

  constructor(
    now: () => number,
    read: ReadSockets = readProcSockets,
    rest: (ms: number) => Promise<unknown> = (ms) => sleep(ms, undefined, { ref: false }),
    sliceBytes = SLICE_BYTES,
  ) {
    this.#now = now;
    this.#read = read;
    this.#rest = rest;
    this.#sliceBytes = sliceBytes;
    this.#allowedAtMs = now();
  }

  /** False when there is no table here: nothing will ever be found. */
  get usable(): boolean {
    return this.#usable;
  }

  /**
   * What the kernel says of each established socket, as soon as its share of the time allows. Those that it does not
   * know, and all where it cannot be asked, are left out.
   * @param sockets called just before the table is read
   */
  look(sockets: () => Iterable<SocketEnds>): Promise<ReadonlyMap<SocketEnds, SocketState>> {
    if (!this.#usable) return Promise.resolve(NOTHING);
    this.#asked.push(sockets);
    this.#next ??= this.#look(this.#running);
    return this.#next;
  }

  async #look(before: Promise<unknown>): Promise<ReadonlyMap<SocketEnds, SocketState>> {
    await before;
    const allowanceMs = this.#allow(0);
    if (allowanceMs < 0) await this.#rest(-allowanceMs / SHARE_OF_TIME);
    const asked = this.#asked;
    this.#asked = [];
    this.#running = this.#next!;
    this.#next = null;
    const found = new Map<SocketEnds, SocketState>();
    const startedAtMs = this.#now();
    this.#bytes = 0;
    const wanted = { ipv4: wantNothing(), ipv6: wantNothing() };
    let count = 0;
    for (const sockets of asked) {
      for (const socket of sockets()) {
        want(socket, wanted);
        count += 1;
        if (count % SLICE_SOCKETS === 0) await othersHaveTheirTurn();
      }
    }
    await this.#lookFor('ipv4', wanted.ipv4, found);
    await this.#lookFor('ipv6', wanted.ipv6, found);
    const endedAtMs = this.#now();
    const mostMs = WALK_MS + (this.#bytes / 2 ** 20) * MS_A_MEBIBYTE;
    const costMs = Math.min(mostMs, endedAtMs - startedAtMs);
    // A single look that took long because the machine was busy must not blind for a minute those who ask.
    this.#allow(Math.min(costMs, this.#lastCostMs));
    this.#lastCostMs = costMs;
    return found;
  }

  /** What is left after `costMs` more were spent. */
  #allow(costMs: number): number {
    const nowMs = this.#now();
    const earnedMs = (nowMs - this.#allowedAtMs) * SHARE_OF_TIME;
    this.#allowedAtMs = nowMs;
    this.#allowanceMs = Math.min(SAVED_MS, this.#allowanceMs + earnedMs) - costMs;
    return this.#allowanceMs;
  }

  async #lookFor(family: Family, wanted: Wanted, found: Map<SocketEnds, SocketState>): Promise<void> {
    if (wanted.byKey.size === 0) return;
    let table: Buffer;
    try {
      table = await this.#read(family);
      this.#bytes += table.length;
    } catch (error) {
      // Without descriptors, say, nothing is known now; but it may be later.
      if (FOR_GOOD.has((error as NodeJS.ErrnoException).code ?? '')) this.#usable = false;
      return;
    }
    for (let at = 0; ; ) {
      at = findSockets(table, at, at + this.#sliceBytes, wanted, found);
      if (at >= table.length) return;
      await othersHaveTheirTurn();
    }
  }
}

function othersHaveTheirTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * True when the kernel says that the socket's bytes were sent again and still are not acknowledged.
 * @param once that they were sent is enough, as long as they are not acknowledged
 */
export function isUnheard(state: SocketState | undefined, once = false): boolean {
  if (state === undefined || state.queuedBytes === 0) return false;
  return state.retransmits > 0 || (once && state.awaitsAcknowledgement);
}
