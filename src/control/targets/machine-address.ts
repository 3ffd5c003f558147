// Owns which IP addresses can be those of another machine, whatever an API server says.

import { writeAddress } from '../../balance/address-bytes.ts';

const bytes = new Uint8Array(16);

/**
 * False for those that no connection can lead to a node by: unspecified (to which Linux connects as to itself),
 * multicast, broadcast, and link-local IPv6 that names no interface. Loopback is taken: a cluster may run on this machine.
 */
export function isMachineAddress(address: string): boolean {
  const length = writeAddress(address, bytes);
  const [first = 0, second = 0] = bytes;
  if (length === 4) {
    const isMulticast = first >= 224 && first <= 239;
    return first !== 0 && !isMulticast && bytes.subarray(0, 4).some((byte) => byte !== 255);
  }
  const isLinkLocal = first === 0xfe && (second & 0xc0) === 0x80;
  return bytes.some((byte) => byte !== 0) && first !== 0xff && (!isLinkLocal || address.includes('%'));
}
