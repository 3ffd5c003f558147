// Scores of members in the rows of GLB's rendezvous table.

import { absorb, finalBlocks, keyState } from './siphash.ts';
import type { TableInput } from './table-input.ts';

const ROW_SEED_BYTES = 8;

function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/**
 * Row seed = SipHash-2-4(seed, row as big-endian u32); score = SipHash-2-4(seed, row seed, address), read as a
 * big-endian u64; the lowest score is first (github/glb-director, docs/development/glb-hashing.md). `enter` selects a
 * row and absorbs its seed once for all members; `score` then leaves a member's rank in `rank` and `low`.
 *
 * With unequal weights the score u, as a fraction of 2^64, becomes -ln(1 - u) / weight: then the odds of being first
 * are in proportion to the weights, members of equal weight keep their order, and still no member has a say in the
 * order of two others.
 */
export class RendezvousScores {
  /** Top 53 bits of the score, or its weighted form: in [0], since a typed array holds it without an allocation. */
  readonly rank = new Float64Array(1);
  /** The low 32 bits, unsigned, which decide between equal ranks. */
  low = 0;
  readonly #key: Int32Array;
  readonly #row = new Int32Array(8);
  readonly #words: Int32Array;
  readonly #from: Int32Array;
  readonly #weights: Float64Array | null;
  readonly #out = new Int32Array(8);

  constructor({ seed, keys, weights }: TableInput) {
    this.#key = keyState(seed);
    const tails = keys.map((key) => finalBlocks(key, ROW_SEED_BYTES));
    this.#from = new Int32Array(keys.length + 1);
    tails.forEach((tail, index) => {
      this.#from[index + 1] = this.#from[index]! + tail.length;
    });
    this.#words = new Int32Array(this.#from[keys.length]!);
    tails.forEach((tail, index) => {
      this.#words.set(tail, this.#from[index]);
    });
    this.#weights = weights.every((weight) => weight === weights[0]) ? null : Float64Array.from(weights);
  }

  enter(row: number): void {
    const out = this.#out;
    out[0] = swapBytes(row);
    out[1] = 4 << 24;
    absorb(this.#key, out, 0, 1, true, out);
    absorb(this.#key, out, 0, 1, false, this.#row);
  }

  score(index: number): void {
    const out = this.#out;
    const from = this.#from[index]!;
    absorb(this.#row, this.#words, from, (this.#from[index + 1]! - from) >> 1, true, out);
    this.low = swapBytes(out[1]!) >>> 0;
    const top = (swapBytes(out[0]!) >>> 0) * 0x20_0000 + (this.low >>> 11);
    this.rank[0] =
      this.#weights === null ? top : -Math.log(1 - top / 0x20_0000_0000_0000) / this.#weights[index]!;
  }
}
