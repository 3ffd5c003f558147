// Checksums of hash tables, for comparing processes and hosts.

import { SipHash } from './siphash.ts';

/** Not a secret: the checksum guards against disagreement, not against an attacker. */
const CHECKSUM_KEY = new Uint8Array(16);

/** 16 hex digits over a text and, where there is one, a table's numbers. */
export function checksumOf(text: string, numbers?: Uint16Array | Uint32Array): string {
  const sip = new SipHash(CHECKSUM_KEY);
  const hex = (): string => sip.high.toString(16).padStart(8, '0');
  const low = (data: Uint8Array): string => sip.hash(data).toString(16).padStart(8, '0');
  const ofText = low(new TextEncoder().encode(text));
  if (numbers === undefined) return hex() + ofText;
  // Little-endian like every machine that Node runs on, but for s390x, where all Porticos would have to be s390x.
  const both = `${hex()}${ofText}`;
  const ofNumbers = low(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  return checksumOf(`${both} ${hex()}${ofNumbers}`);
}
