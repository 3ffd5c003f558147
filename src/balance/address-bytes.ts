// IP addresses as the 4 or 16 bytes in network order that hashes are made of.

const DOT = 0x2e;
const COLON = 0x3a;
const PERCENT = 0x25;

/** Writes IPv4 text from index `from` to `end` into `out` at `at`; false when it is not dotted decimal. */
function writeIpv4(text: string, from: number, end: number, out: Uint8Array, at: number): boolean {
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let index = from; index <= end; index++) {
    const code = index === end ? DOT : text.charCodeAt(index);
    if (code === DOT) {
      if (digits === 0 || part === 4) return false;
      out[at + part++] = value;
      value = 0;
      digits = 0;
      continue;
    }
    // A leading zero is refused: some readers take it for octal, so it does not name one address.
    if (code < 0x30 || code > 0x39 || (digits > 0 && value === 0)) return false;
    value = value * 10 + code - 0x30;
    digits++;
    if (value > 255) return false;
  }
  return part === 4;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Writes IPv6 text (RFC 4291, section 2.2) into the first 16 bytes of `out`; false when it is not valid. */
function writeIpv6(text: string, end: number, out: Uint8Array): boolean {
  let used = 0;
  let gap = -1;
  let index = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    index = 1;
  }
  while (index < end) {
    if (text.charCodeAt(index) === COLON) {
      if (gap >= 0) return false;
      gap = used;
      index++;
      continue;
    }
    if (used === 16) return false;
    const start = index;
    let value = 0;
    for (; index < end; index++) {
      const digit = hexDigit(text.charCodeAt(index));
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    if (index < end && text.charCodeAt(index) === DOT) {
      if (used > 12 || !writeIpv4(text, start, end, out, used)) return false;
      used += 4;
      break;
    }
    if (index === start || index - start > 4) return false;
    out[used++] = value >>> 8;
    out[used++] = value & 0xff;
    if (index === end) break;
    if (text.charCodeAt(index) !== COLON || index + 1 === end) return false;
    index++;
  }
  if (gap < 0) return used === 16;
  if (used === 16) return false;
  out.copyWithin(16 - (used - gap), gap, used);
  out.fill(0, gap, 16 - (used - gap));
  return true;
}

/**
 * Writes `address` into `out` (at least 16 bytes) and returns how many bytes it has: 4, 16, or 0 when it is no
 * address. An IPv4-mapped IPv6 address (`::ffff:1.2.3.4`, RFC 4291, section 2.5.5.2) is the IPv4 address, so that
 * a dual-stack socket and an IPv4 socket hash a client alike. A zone (`%eth0`) is left out. Allocates nothing.
 */
export function writeAddress(address: string, out: Uint8Array): number {
  let end = address.length;
  let six = false;
  for (let index = 0; index < end; index++) {
    const code = address.charCodeAt(index);
    if (code === COLON) six = true;
    else if (code === PERCENT && six) end = index;
  }
  if (!six) return writeIpv4(address, 0, end, out, 0) ? 4 : 0;
  if (!writeIpv6(address, end, out)) return 0;
  for (let index = 0; index < 12; index++) if (out[index] !== (index < 10 ? 0 : 0xff)) return 16;
  out.copyWithin(0, 12, 16);
  return 4;
}

/**
 * The 4 or 16 bytes of an IPv4 or IPv6 address, as `writeAddress` gives them. Other text (a host name, or nothing
 * where a socket has no peer any more) is a zero byte and its UTF-8 bytes: it has a hash as well, and none throws.
 */
export function addressBytes(address: string): Uint8Array {
  const out = new Uint8Array(16);
  const length = writeAddress(address, out);
  return length > 0 ? out.slice(0, length) : new TextEncoder().encode(`\0${address}`);
}

/** Clears every bit of an address behind its first `prefix` bits. */
export function clearBits(bytes: Uint8Array, prefix: number): void {
  const whole = prefix >> 3;
  if ((prefix & 7) !== 0) bytes[whole]! &= 0xff << (8 - (prefix & 7));
  bytes.fill(0, (prefix & 7) === 0 ? whole : whole + 1);
}
