// Further numbers from one flow hash, independent of the bits that choose a table row.

/** Which decision a fraction is for: different ones must not follow each other. */
export const FRACTION_FOR = { priority: 0x5bd1e995, slowStart: 0x27d4eb2f } as const;

/** A number from 0 (inclusive) to 1 (exclusive), the same for the same hash and decision (MurmurHash3's finaliser). */
export function hashFraction(hash: number, decision: number): number {
  let mixed = hash ^ decision;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 0x1_0000_0000;
}
