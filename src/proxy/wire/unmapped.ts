// How a dual-stack socket's client is named.

/** An IPv4 client of a dual-stack socket is named by its IPv4 address. */
export function unmapped(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
