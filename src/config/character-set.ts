// Sets of the characters that an atom of a regular expression accepts.

/** Characters 0 to 255 (a request on the wire is bytes) that an atom accepts. */
export type CharacterSet = Uint8Array;

/** Every character, or none. */
export function filled(value: 0 | 1): CharacterSet {
  return new Uint8Array(256).fill(value);
}

/** The one character of this code. */
export function single(code: number): CharacterSet {
  const set = filled(0);
  set[code] = 1;
  return set;
}

/** The characters that an expression accepts, or all others. */
export function shorthand(accepts: RegExp, negated: boolean): CharacterSet {
  return filled(0).map((_, code) => (accepts.test(String.fromCharCode(code)) === negated ? 0 : 1));
}

/** The one character of a set, or null when it has none or several. */
export function only(set: CharacterSet): number | null {
  const first = set.indexOf(1);
  return first !== -1 && set.indexOf(1, first + 1) === -1 ? first : null;
}
