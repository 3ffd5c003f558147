// Integers with a prefix, as HPACK writes them (RFC 7541, section 5.1).

/** Writes `value` behind the high bits `pattern`; `prefix` is the largest number that the prefix holds. @returns the end */
export function writeInteger(
  to: Uint8Array,
  at: number,
  value: number,
  prefix: number,
  pattern: number,
): number {
  let p = at;
  if (value < prefix) {
    to[p++] = pattern | value;
    return p;
  }
  to[p++] = pattern | prefix;
  let rest = value - prefix;
  while (rest >= 128) {
    to[p++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  to[p++] = rest;
  return p;
}
