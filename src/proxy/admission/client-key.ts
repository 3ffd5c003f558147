// Which addresses are one client: an IPv6 user has a whole network of them.

import { clearBits, writeAddress } from '../../balance/address-bytes.ts';

const scratch = Buffer.alloc(16);

/** The client that an address belongs to: the address itself, or its leading bits. An IPv4-mapped address is IPv4. */
export function clientKey(address: string, prefix4: number, prefix6: number): string {
  if (prefix4 === 32 && !address.includes(':')) return address;
  const length = writeAddress(address, scratch);
  // No address that the kernel gives is unreadable; what is, is a client of its own.
  if (length === 0) return address;
  const prefix = length === 4 ? prefix4 : prefix6;
  if (prefix < length * 8) clearBits(scratch, prefix);
  return scratch.toString('latin1', 0, length);
}
