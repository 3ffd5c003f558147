// Byte classes of HTTP's grammar as table look-ups.

export const HTAB = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const COLON = 58;

/** tchar (RFC 9110, section 5.6.2). */
export const TOKEN = 1;
/** tchar that is neither letter, digit nor `-`: what CGI-like backends may fold into `-`. */
export const ALIAS = 2;
/** What a request target may hold: visible ASCII without `#`. Laxer than RFC 3986, since browsers send `|^{}` raw. */
export const TARGET = 4;
/** DIGIT. */
export const DIGIT = 8;
/** What a name in Host may hold: letters, digits, `-`, `_` (a dot is looked at by itself). */
export const LABEL = 16;
/** `_` alone. */
export const UNDERSCORE = 32;
/** HTAB, SP, VCHAR, obs-text (RFC 9110, section 5.5). */
export const TEXT = 64;

/** Letter, digit or `-`: names that need no second look. */
export const PLAIN_NAME = 128;

/** The classes of every byte, as a sum of the bits above. */
export const CLASSES: Uint8Array = classTable();

/** The value of a hexadecimal digit, or -1. */
export const HEX: Int8Array = hexTable();

function classTable(): Uint8Array {
  const table = new Uint8Array(256);
  const add = (text: string, bit: number) => {
    for (const char of text) table[char.charCodeAt(0)]! |= bit;
  };
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const digits = '0123456789';
  add(`!#$%&'*+-.^_\`|~${digits}${letters}`, TOKEN);
  add(`-${digits}${letters}`, PLAIN_NAME);
  add("!#$%&'*+.^_`|~", ALIAS);
  add('_', UNDERSCORE);
  add(digits, DIGIT);
  add(`-_${digits}${letters}`, LABEL);
  for (let byte = 0x21; byte < 0x7f; byte++) if (byte !== 0x23) table[byte]! |= TARGET;
  for (let byte = 0; byte < 256; byte++) {
    if (byte === HTAB || (byte >= SP && byte !== 0x7f)) table[byte]! |= TEXT;
  }
  return table;
}

function hexTable(): Int8Array {
  const table = new Int8Array(256).fill(-1);
  for (let value = 0; value < 16; value++) {
    const char = value.toString(16);
    table[char.charCodeAt(0)] = value;
    table[char.toUpperCase().charCodeAt(0)] = value;
  }
  return table;
}
