// What the hash policies share: which member of a flow's fail-over order takes it.

import type { Member } from '../model/picker.ts';
import type { Algorithm, Candidates } from './candidates.ts';
import { FRACTION_FOR, hashFraction } from './hash-fraction.ts';

/** Says whether the member at an index may take the flow that is being placed. */
export interface Admission {
  admits(index: number): boolean;
}

/** A table over members: the same hash gives the same order of members, whatever their health. */
export interface HashTable {
  /** The first member in the order of `hash` that is admitted, as an index, or -1. Bounded work. */
  first(hash: number, admission: Admission): number;
  /** 16 hex digits; equal for the same algorithm, parameters, members and weights. */
  readonly checksum: string;
}

const NONE: readonly Member[] = [];

/**
 * Walks the fail-over order. With a bounded load c (Mirrokni, Thorup and Zadimoghaddam, 2016) a member is passed over
 * once it would carry more than c times its share of the flows in flight on this worker; in slow start a member
 * takes only the part of its keys that its present weight stands for, always the same part. When both together
 * leave nobody, they are waived: they shape load and are no reason to refuse a flow.
 */
export class HashPolicy implements Algorithm, Admission {
  readonly #candidates: Candidates;
  readonly #table: HashTable;
  readonly #boundedLoad: number;
  readonly #shaped: boolean;
  #strict = false;
  #fraction = 0;
  #tried: readonly Member[] = NONE;

  /** @param slowStart whether weights may be below those of the members */
  constructor(candidates: Candidates, table: HashTable, boundedLoad: number, slowStart: boolean) {
    this.#candidates = candidates;
    this.#table = table;
    this.#boundedLoad = boundedLoad;
    this.#shaped = boundedLoad > 0 || slowStart;
  }

  pick(hash: number, tried: readonly Member[]): number {
    if (this.#candidates.count === 0) return -1;
    this.#tried = tried;
    this.#strict = this.#shaped;
    if (this.#shaped) this.#fraction = hashFraction(hash, FRACTION_FOR.slowStart);
    let index = this.#table.first(hash, this);
    if (index < 0 && this.#strict) {
      this.#strict = false;
      index = this.#table.first(hash, this);
    }
    this.#tried = NONE;
    return index;
  }

  admits(index: number): boolean {
    const candidates = this.#candidates;
    if (!candidates.usable(index, this.#tried)) return false;
    if (!this.#strict) return true;
    const member = candidates.members[index]!;
    const weight = candidates.weights[index]!;
    if (this.#fraction * member.weight >= weight) return false;
    if (this.#boundedLoad === 0) return true;
    const fair = ((candidates.inFlight + 1) * weight) / candidates.total;
    return member.live.inFlight + 1 <= Math.ceil(this.#boundedLoad * fair);
  }
}
