// Policy `rendezvous`: GLB's table of 65,536 rows, each an order of all members, filled row by row as flows need it.

import { checksumOf } from './checksum.ts';
import type { Admission, HashTable } from './hash-policy.ts';
import { RendezvousScores } from './rendezvous-scores.ts';
import { hex, type TableInput } from './table-input.ts';

export const ROWS = 0x1_0000;

/** Places of a row that are kept; the places after them are worked out when a flow gets so far. */
const KEPT_PLACES = 4;

/** Newcomers that rows taken over from another table may still have to be compared with, at most. */
const NEWCOMERS = 16;

/** Every 1,024th row is in the checksum: the inputs are in it whole, the rows show that they were used alike. */
const CHECKSUM_STEP = 1_024;

const EMPTY = 0;
const COMPLETE = 1;
/** Taken over from the table before; newcomers are not yet in their places. */
const CARRIED = 2;

/**
 * Filling the table at once would take a hash for each row and member: nearly a second for 100 members, in which a
 * worker serves nobody. So a row is filled when the first flow comes to it (one hash for each member), and a table
 * that differs in a few members takes the rows of the one before over: a row without a member that left stays as it
 * is, and newcomers are put in their places at the row's next use.
 */
export class RendezvousTable implements HashTable {
  readonly input: TableInput;
  /** Places kept in each row. */
  readonly places: number;
  readonly #ids: Uint16Array | Uint32Array;
  readonly #rowState = new Uint8Array(ROWS);
  readonly #scores: RendezvousScores;
  readonly #ranks = new Float64Array(KEPT_PLACES);
  readonly #lows = new Float64Array(KEPT_PLACES);
  readonly #order = new Uint32Array(KEPT_PLACES);
  #newcomers: readonly number[] = [];
  #checksum: string | null = null;

  /** @param before a table whose filled rows may be taken over; any table will do */
  constructor(input: TableInput, before: RendezvousTable | null = null) {
    this.input = input;
    this.places = Math.min(KEPT_PLACES, input.keys.length);
    this.#ids = new (input.keys.length <= 0x1_0000 ? Uint16Array : Uint32Array)(ROWS * this.places);
    this.#scores = new RendezvousScores(input);
    if (before !== null) this.#takeOver(before);
  }

  get checksum(): string {
    if (this.#checksum === null) {
      const sample = new Uint32Array((ROWS / CHECKSUM_STEP) * this.places);
      for (let row = 0, at = 0; row < ROWS; row += CHECKSUM_STEP)
        for (let place = 0; place < this.places; place++) sample[at++] = this.at(row, place);
      this.#checksum = checksumOf(`rendezvous ${this.input.id}`, sample);
    }
    return this.#checksum;
  }

  /** The member, as an index, at one of the kept places of a row: 0 is GLB's primary, 1 its secondary. */
  at(row: number, place: number): number {
    if (this.#rowState[row] !== COMPLETE) this.#complete(row);
    return this.#ids[row * this.places + place]!;
  }

  first(hash: number, admission: Admission): number {
    const row = hash & (ROWS - 1);
    if (this.#rowState[row] !== COMPLETE) this.#complete(row);
    const start = row * this.places;
    for (let place = 0; place < this.places; place++) {
      const index = this.#ids[start + place]!;
      if (admission.admits(index)) return index;
    }
    return this.places === this.input.keys.length ? -1 : this.#firstBeyond(row, admission);
  }

  /** The kept places were refused, so the admitted member with the lowest score is the next of the whole order. */
  #firstBeyond(row: number, admission: Admission): number {
    this.#scores.enter(row);
    let count = 0;
    for (let index = 0; index < this.input.keys.length; index++)
      if (admission.admits(index)) count = this.#insert(index, count, 1);
    return count === 0 ? -1 : this.#order[0]!;
  }

  #complete(row: number): void {
    const start = row * this.places;
    const carried = this.#rowState[row] === CARRIED;
    this.#scores.enter(row);
    let count = 0;
    if (carried) {
      for (let place = 0; place < this.places; place++)
        count = this.#insert(this.#ids[start + place]!, count, this.places);
      for (const index of this.#newcomers)
        if (!this.#holds(start, index)) count = this.#insert(index, count, this.places);
    } else
      for (let index = 0; index < this.input.keys.length; index++)
        count = this.#insert(index, count, this.places);
    for (let place = 0; place < this.places; place++) this.#ids[start + place] = this.#order[place]!;
    this.#rowState[row] = COMPLETE;
  }

  #holds(start: number, index: number): boolean {
    for (let place = 0; place < this.places; place++) if (this.#ids[start + place] === index) return true;
    return false;
  }

  /** Scores a member in the entered row and puts it in its place among the best `limit`; returns how many there are. */
  #insert(index: number, count: number, limit: number): number {
    const scores = this.#scores;
    scores.score(index);
    const rank = scores.rank[0]!;
    const { low } = scores;
    const ranks = this.#ranks;
    let place = count;
    while (place > 0) {
      const other = ranks[place - 1]!;
      if (other < rank || (other === rank && !this.#precedes(low, index, place - 1))) break;
      place--;
    }
    if (place === limit) return count;
    const last = count < limit ? count : limit - 1;
    for (let move = last; move > place; move--) {
      ranks[move] = ranks[move - 1]!;
      this.#lows[move] = this.#lows[move - 1]!;
      this.#order[move] = this.#order[move - 1]!;
    }
    ranks[place] = rank;
    this.#lows[place] = low;
    this.#order[place] = index;
    return last + 1;
  }

  /** Between equal ranks the low bits decide, and between equal scores the order of the members. */
  #precedes(low: number, index: number, place: number): boolean {
    return low < this.#lows[place]! || (low === this.#lows[place]! && index < this.#order[place]!);
  }

  #takeOver(before: RendezvousTable): void {
    if (before.places !== this.places || hex(before.input.seed) !== hex(this.input.seed)) return;
    const indexOf = new Map(nameMembers(this.input).map((name, index) => [name, index]));
    const namesBefore = nameMembers(before.input);
    const gone = this.input.keys.length;
    // Two members with one name have no one place to be moved to.
    if (indexOf.size !== gone || new Set(namesBefore).size !== namesBefore.length) return;
    const moved = Uint32Array.from(namesBefore, (name) => indexOf.get(name) ?? gone);
    const kept = new Set(moved);
    const joined = Array.from(indexOf.values()).filter((index) => !kept.has(index));
    const waiting = before.#newcomers.map((index) => moved[index]!).filter((index) => index !== gone);
    const newcomers = Array.from(new Set([...waiting, ...joined]));
    // Comparing a row with many newcomers costs as much as filling it.
    if (newcomers.length > Math.min(NEWCOMERS, gone / 2)) return;
    this.#newcomers = newcomers;
    const afterwards = joined.length > 0 ? CARRIED : COMPLETE;
    for (let row = 0; row < ROWS; row++) {
      const state = before.#rowState[row];
      if (state === EMPTY) continue;
      const start = row * this.places;
      let whole = true;
      for (let place = 0; place < this.places && whole; place++) {
        const index = moved[before.#ids[start + place]!]!;
        if (index === gone) whole = false;
        else this.#ids[start + place] = index;
      }
      if (whole) this.#rowState[row] = state === CARRIED ? CARRIED : afterwards;
    }
  }
}

function nameMembers({ keys, weights }: TableInput): string[] {
  return keys.map((key, index) => `${hex(key)}*${weights[index]}`);
}
