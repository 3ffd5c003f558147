// The hash key of a flow: from what the pool's policy names to the number that its picker takes.

import { isIP } from 'node:net';
import { addressBytes, clearBits } from '../../balance/address-bytes.ts';
import type { createFlowHasher } from '../../balance/siphash.ts';
import type { HashKeyConfig } from '../../model/pool-config.ts';

export type FlowHasher = ReturnType<typeof createFlowHasher>;

/** What a hash key can be taken from; tcp flows have only the address. */
export interface FlowFacts {
  readonly clientAddress: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  header(name: string): string | undefined;
  capture(name: string): string | undefined;
}

/** The number for a flow. A key that the flow lacks falls back to the client's address, so that no key is a hot spot. */
export function flowHash(hasher: FlowHasher, key: HashKeyConfig, flow: FlowFacts): number {
  if (key.kind === 'source-ip') return addressHash(hasher, key, flow.clientAddress);
  const value = keyText(key, flow);
  return value === undefined || value === ''
    ? addressHash(hasher, { prefix4: 32, prefix6: 128 }, flow.clientAddress)
    : hasher.text(value);
}

function addressHash(
  hasher: FlowHasher,
  key: { readonly prefix4: number; readonly prefix6: number },
  address: string,
): number {
  const bytes = addressBytes(address).slice();
  const prefix = bytes.length === 4 ? key.prefix4 : key.prefix6;
  if (isIP(address) !== 0 && prefix < bytes.length * 8) clearBits(bytes, prefix);
  return hasher.bytes(bytes, bytes.length);
}

function keyText(key: Exclude<HashKeyConfig, { kind: 'source-ip' }>, flow: FlowFacts): string | undefined {
  switch (key.kind) {
    case 'header':
      return flow.header(key.name.toLowerCase());
    case 'cookie':
      return cookieValue(flow.header('cookie'), key.name);
    case 'query':
      return queryValue(flow.query, key.name);
    case 'capture':
      return flow.capture(key.name);
    case 'path':
      return flow.path;
    case 'host':
      return flow.host;
  }
}

/** The first cookie with this name (RFC 6265, section 4.2). */
function cookieValue(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

function queryValue(query: string, name: string): string | undefined {
  return new URLSearchParams(query).get(name) ?? undefined;
}
