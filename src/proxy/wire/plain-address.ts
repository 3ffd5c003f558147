// How one end of a connection is named to others, whatever the kernel calls it.

import { isIPv4 } from 'node:net';

/** What else begins like this is IPv6: the kernel writes an IPv4-translated address (RFC 2765) as `::ffff:0:c000:201`. */
const MAPPED = '::ffff:';

/**
 * An IPv4 client of a dual-stack socket is named by its IPv4 address. A link-local one (RFC 4007) is named without its
 * zone, which is an interface of this machine: no PROXY header (section 2.1) and no Forwarded (RFC 7239, section 6) has one.
 */
export function plainAddress(address: string): string {
  if (address.startsWith(MAPPED) && isIPv4(address.slice(MAPPED.length))) return address.slice(MAPPED.length);
  const zone = address.indexOf('%');
  return zone === -1 ? address : address.slice(0, zone);
}
