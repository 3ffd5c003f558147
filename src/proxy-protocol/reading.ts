// What reading the start of a connection comes to.

import type { ProxyHeader } from './header.ts';

/**
 * `more`: it may still become a header; `absent`: these bytes begin something else; `malformed`: a header that breaks
 * the rules; `oversize`: one that is longer than `HEADER_BYTES`; `checksum`: its CRC-32C is another.
 */
export type Reading =
  | { readonly kind: 'more' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly why: 'malformed' | 'oversize' | 'checksum' }
  /** `length`: bytes of the header; what follows belongs to the protocol inside. */
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly length: number };

export const MORE: Reading = { kind: 'more' };
export const ABSENT: Reading = { kind: 'absent' };
export const MALFORMED: Reading = { kind: 'refused', why: 'malformed' };
export const OVERSIZE: Reading = { kind: 'refused', why: 'oversize' };
export const BAD_CHECKSUM: Reading = { kind: 'refused', why: 'checksum' };
