// Owns the places of names on a circle of 32 bits, which every Portico agrees on.

import { SipHash } from '../../balance/siphash.ts';

/** Not a secret: the nodes of a cluster are no attackers of it. */
const KEY = new Uint8Array(16);
const encoder = new TextEncoder();

export function pointOf(name: string): number {
  return new SipHash(KEY).hash(encoder.encode(name));
}
