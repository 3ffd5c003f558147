// What is known of a field once it has been decoded, in one number, so that a field of a table is judged only once.

import { ALIAS, TARGET, TEXT, TOKEN, UNDERSCORE } from '../http1/bytes.ts';
import { fieldIdOf, isKnownAlias } from '../http1/field-id.ts';
import { CAPITAL, LOWER_TOKEN, seen } from './byte-bits.ts';

/** The lowest 8 bits are the `FieldId`; above them is the kind of pseudo field, 0 for none. */
export const PSEUDO_SHIFT = 8;
export const Pseudo = {
  None: 0,
  Method: 1,
  Scheme: 2,
  Authority: 3,
  Path: 4,
  Status: 5,
  Protocol: 6,
  Unknown: 7,
} as const;
export const PSEUDO_MASK = 7 << PSEUDO_SHIFT;

export const NAME_EMPTY = 1 << 11;
export const NAME_INVALID = 1 << 12;
/** Valid but for capital letters (RFC 9113, section 8.2.1). */
export const NAME_CAPITALS = 1 << 13;
export const VALUE_INVALID = 1 << 14;
/** White space around it, which HTTP/1.1 takes off and HTTP/2 refuses. */
export const VALUE_SPACE = 1 << 15;
export const BAD = NAME_EMPTY | NAME_INVALID | NAME_CAPITALS | VALUE_INVALID | VALUE_SPACE;
/** The name holds `_`. */
export const NAME_UNDERSCORE = 1 << 16;
/** A known name with another mark for some `-`. */
export const NAME_ALIAS = 1 << 17;
export const ODD_NAME = NAME_UNDERSCORE | NAME_ALIAS;
/** Every byte of the value may stand in a request target. */
export const VALUE_TARGET = 1 << 18;
/** Came as a literal that may never be indexed (RFC 7541, section 6.2.3). */
export const SENSITIVE = 1 << 19;
/** What a name alone says. */
export const NAME_BITS =
  0xff | PSEUDO_MASK | NAME_EMPTY | NAME_INVALID | NAME_CAPITALS | NAME_UNDERSCORE | NAME_ALIAS;

const COLON = 58;
const SPACE = 32;
const TAB = 9;
const PSEUDO_NAMES = ['', ':method', ':scheme', ':authority', ':path', ':status', ':protocol'];

/** Judges the name in `bytes[start, end)`, of which `seen` tells. */
export function nameInfo(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return NAME_EMPTY;
  if (bytes[start] === COLON) return pseudoOf(bytes, start, end) << PSEUDO_SHIFT;
  const { all, any } = seen;
  if ((all & LOWER_TOKEN) === 0) {
    return (all & TOKEN) !== 0 && (any & CAPITAL) !== 0 ? NAME_CAPITALS : NAME_INVALID;
  }
  const id = fieldIdOf(bytes, start, end);
  if ((any & ALIAS) === 0) return id;
  return (
    id | ((any & UNDERSCORE) !== 0 ? NAME_UNDERSCORE : 0) | (isKnownAlias(bytes, start, end) ? NAME_ALIAS : 0)
  );
}

/** Judges the value in `bytes[start, end)`, of which `seen` tells. */
export function valueInfo(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return 0;
  const { all } = seen;
  if ((all & TEXT) === 0) return VALUE_INVALID;
  const first = bytes[start]!;
  const last = bytes[end - 1]!;
  const space = first === SPACE || first === TAB || last === SPACE || last === TAB;
  return ((all & TARGET) !== 0 ? VALUE_TARGET : 0) | (space ? VALUE_SPACE : 0);
}

function pseudoOf(bytes: Uint8Array, start: number, end: number): number {
  for (let kind = 1; kind < PSEUDO_NAMES.length; kind++) {
    const name = PSEUDO_NAMES[kind]!;
    if (name.length !== end - start) continue;
    let i = 1;
    while (i < name.length && bytes[start + i] === name.charCodeAt(i)) i++;
    if (i === name.length) return kind;
  }
  return Pseudo.Unknown;
}
