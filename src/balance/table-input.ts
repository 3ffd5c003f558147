// What hash tables are made of: members in an order of their own, as bytes, with weights.

import type { Member } from '../model/picker.ts';
import { addressBytes } from './address-bytes.ts';

export interface TableInput {
  /** 16 bytes. */
  readonly seed: Uint8Array;
  /** What is hashed for each member. */
  readonly keys: readonly Uint8Array[];
  /** All above 0. */
  readonly weights: readonly number[];
  /** Names all of the above: equal exactly when the tables are. */
  readonly id: string;
}

/** The order that makes tables independent of the order of a list. The rest only parts members listed twice. */
export function byIdentity(a: Member, b: Member): number {
  return (
    compare(a.identity, b.identity) ||
    a.priority - b.priority ||
    b.weight - a.weight ||
    compare(a.state, b.state) ||
    compare(a.health, b.health) ||
    Number(a.lastResort) - Number(b.lastResort)
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Keys of `maglev` and `ring-hash`: the UTF-8 bytes of the identity. */
export function identityKeys(members: readonly Member[]): Uint8Array[] {
  const encoder = new TextEncoder();
  return members.map((member) => encoder.encode(member.identity));
}

/**
 * Keys of `rendezvous`: the address bytes, as GLB has them; with the port as two more bytes, high byte first, for an
 * address that is listed with several ports.
 */
export function addressKeys(members: readonly Member[]): Uint8Array[] {
  const portOf = new Map<string, number>();
  const several = new Set<string>();
  for (const { address, port } of members) {
    const known = portOf.get(address);
    if (known === undefined) portOf.set(address, port);
    else if (known !== port) several.add(address);
  }
  return members.map(({ address, port }) => {
    const host = addressBytes(address);
    return several.has(address) ? Uint8Array.of(...host, port >>> 8, port & 0xff) : host;
  });
}

/**
 * @param members sorted by `byIdentity`; `keys` and the weights follow their order
 * @param absolute whether the table depends on weights as such; if only on their ratios, equal weights are all
 * written as 1, so that pools which agree in everything else share a table
 */
export function tableInput(
  members: readonly Member[],
  keys: readonly Uint8Array[],
  seed: Uint8Array,
  absolute = false,
): TableInput {
  const equal = !absolute && members.every((member) => member.weight === members[0]?.weight);
  const weights = members.map((member) => (equal ? 1 : member.weight));
  const id = `${hex(seed)} ${keys.map((key, index) => `${hex(key)}*${weights[index]}`).join(' ')}`;
  return { seed, keys, weights, id };
}

/** Lower-case hex digits of bytes. */
export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
