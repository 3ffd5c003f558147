// Policy `maglev`: Google's lookup table (Eisenbud and others, "Maglev", NSDI 2016, section 3.4), with weights.

import { checksumOf } from './checksum.ts';
import { walkCircle } from './circle-walk.ts';
import type { Admission, HashTable } from './hash-policy.ts';
import { SipHash } from './siphash.ts';
import type { TableInput } from './table-input.ts';

function isPrime(value: number): boolean {
  if (!Number.isInteger(value) || value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** @throws RangeError unless `size` is prime */
export function checkTableSize(size: number): void {
  if (!isPrime(size)) throw new RangeError(`the size of a maglev table must be a prime number, not ${size}`);
}

/**
 * Members take turns at claiming the next free slot of their own permutation of the slots; one of half the largest
 * weight has a turn in every second round. Offset and skip of a permutation are the halves of one SipHash of the
 * identity. Throws RangeError unless `size` is prime: only then does each permutation visit every slot.
 */
export class MaglevTable implements HashTable {
  readonly slots: Uint16Array | Uint32Array;
  readonly checksum: string;
  readonly #members: number;

  constructor(input: TableInput, size: number) {
    checkTableSize(size);
    this.#members = input.keys.length;
    this.slots = fill(input, size);
    this.checksum = checksumOf(`maglev ${size} ${input.id}`, this.slots);
  }

  first(hash: number, admission: Admission): number {
    return walkCircle(this.slots, (hash >>> 0) % this.slots.length, this.#members, admission);
  }
}

function fill({ keys, weights, seed }: TableInput, size: number): Uint16Array | Uint32Array {
  const slots = new (keys.length <= 0x1_0000 ? Uint16Array : Uint32Array)(size);
  if (keys.length === 0) return slots;
  const taken = new Uint8Array(size);
  const position = new Uint32Array(keys.length);
  const skip = new Uint32Array(keys.length);
  const dueAt = new Float64Array(keys.length);
  const sip = new SipHash(seed);
  let largest = 0;
  for (let index = 0; index < keys.length; index++) {
    position[index] = sip.hash(keys[index]!) % size;
    skip[index] = (sip.high % (size - 1)) + 1;
    if (weights[index]! > largest) largest = weights[index]!;
  }
  dueAt.fill(largest);
  let left = size;
  for (let round = 1; left > 0; round++) {
    for (let index = 0; index < keys.length && left > 0; index++) {
      if (round * weights[index]! < dueAt[index]!) continue;
      dueAt[index] = dueAt[index]! + largest;
      let slot = position[index]!;
      const step = skip[index]!;
      while (taken[slot] === 1) slot = slot + step < size ? slot + step : slot + step - size;
      taken[slot] = 1;
      slots[slot] = index;
      position[index] = slot + step < size ? slot + step : slot + step - size;
      left--;
    }
  }
  return slots;
}
