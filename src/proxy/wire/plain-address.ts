// How one end of a connection is named to others, whatever the kernel calls it.

/**
 * An IPv4 client of a dual-stack socket is named by its IPv4 address. A link-local one (RFC 4007) is named without its
 * zone, which is an interface of this machine: no PROXY header (section 2.1) and no Forwarded (RFC 7239, section 6) has one.
 */
export function plainAddress(address: string): string {
  if (address.startsWith('::ffff:')) return address.slice(7);
  const zone = address.indexOf('%');
  return zone === -1 ? address : address.slice(0, zone);
}
