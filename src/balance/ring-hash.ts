// Policy `ring-hash`: points on a circle of 32 bits (Karger and others, 1997; libketama), as many as the weight says.

import { checksumOf } from './checksum.ts';
import { walkCircle } from './circle-walk.ts';
import type { Admission, HashTable } from './hash-policy.ts';
import { SipHash } from './siphash.ts';
import type { TableInput } from './table-input.ts';

/** Above this many points all counts are halved, as often as needed: a ring of 2^18 points takes 1.5 MiB. */
const LARGEST_RING = 0x4_0000;

/**
 * A member's points are the halves of SipHash(identity, number), so that fewer points are always a part of more:
 * a weight that changes moves only the difference. A flow belongs to the first point at or after its hash.
 */
export class RingTable implements HashTable {
  /** Ascending, and the member of each. */
  readonly points: Uint32Array;
  readonly owners: Uint16Array | Uint32Array;
  readonly checksum: string;
  readonly #members: number;

  /** @param pointsPerWeight 1 or more; every member has at least one point */
  constructor(input: TableInput, pointsPerWeight: number) {
    const { keys } = input;
    this.#members = keys.length;
    const counts = pointCounts(input.weights, pointsPerWeight);
    // Point and owner sort as one number below 2^53: the native sort needs no comparison function then.
    const span = Math.max(1, keys.length);
    const pairs = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
    const sip = new SipHash(input.seed);
    let at = 0;
    for (let index = 0; index < keys.length; index++) {
      const message = new Uint8Array(keys[index]!.length + 4);
      message.set(keys[index]!);
      const view = new DataView(message.buffer);
      for (let number = 0; number < counts[index]!; number++) {
        if (number % 2 === 0) {
          view.setUint32(keys[index]!.length, number / 2);
          pairs[at++] = sip.hash(message) * span + index;
        } else pairs[at++] = sip.high * span + index;
      }
    }
    pairs.sort();
    this.points = new Uint32Array(pairs.length);
    this.owners = new (keys.length <= 0x1_0000 ? Uint16Array : Uint32Array)(pairs.length);
    for (let index = 0; index < pairs.length; index++) {
      this.points[index] = Math.floor(pairs[index]! / span);
      this.owners[index] = pairs[index]! % span;
    }
    this.checksum = checksumOf(`ring-hash ${pointsPerWeight} ${input.id}`, this.points);
  }

  first(hash: number, admission: Admission): number {
    const { points } = this;
    if (points.length === 0) return -1;
    const wanted = hash >>> 0;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return walkCircle(this.owners, low === points.length ? 0 : low, this.#members, admission);
  }
}

function pointCounts(weights: readonly number[], pointsPerWeight: number): number[] {
  let total = 0;
  for (const weight of weights) total += weight * pointsPerWeight;
  let scale = 1;
  while (total * scale > LARGEST_RING) scale /= 2;
  return weights.map((weight) => Math.max(1, Math.round(weight * pointsPerWeight * scale)));
}
