// The static table (RFC 7541, appendix A), its fields as lines with what is known of them.

import { Buffer } from 'node:buffer';
import { copyString } from './byte-bits.ts';
import { nameInfo, valueInfo } from './field-info.ts';

const FIELDS: readonly string[] = [
  ':authority: ',
  ':method: GET',
  ':method: POST',
  ':path: /',
  ':path: /index.html',
  ':scheme: http',
  ':scheme: https',
  ':status: 200',
  ':status: 204',
  ':status: 206',
  ':status: 304',
  ':status: 400',
  ':status: 404',
  ':status: 500',
  'accept-charset: ',
  'accept-encoding: gzip, deflate',
  'accept-language: ',
  'accept-ranges: ',
  'accept: ',
  'access-control-allow-origin: ',
  'age: ',
  'allow: ',
  'authorization: ',
  'cache-control: ',
  'content-disposition: ',
  'content-encoding: ',
  'content-language: ',
  'content-length: ',
  'content-location: ',
  'content-range: ',
  'content-type: ',
  'cookie: ',
  'date: ',
  'etag: ',
  'expect: ',
  'expires: ',
  'from: ',
  'host: ',
  'if-match: ',
  'if-modified-since: ',
  'if-none-match: ',
  'if-range: ',
  'if-unmodified-since: ',
  'last-modified: ',
  'link: ',
  'location: ',
  'max-forwards: ',
  'proxy-authenticate: ',
  'proxy-authorization: ',
  'range: ',
  'referer: ',
  'refresh: ',
  'retry-after: ',
  'server: ',
  'set-cookie: ',
  'strict-transport-security: ',
  'transfer-encoding: ',
  'user-agent: ',
  'vary: ',
  'via: ',
  'www-authenticate: ',
];

export const STATIC_COUNT = 61;
/** All lines, one after the other, each `name: value` with CRLF. */
export const STATIC_LINES = Buffer.from(`${FIELDS.join('\r\n')}\r\n`, 'latin1');
/** By index, from 1: where the line begins, the lengths of name and value, and the info of `field-info.ts`. */
export const STATIC_START = new Uint16Array(STATIC_COUNT + 1);
export const STATIC_NAME_LENGTH = new Uint8Array(STATIC_COUNT + 1);
export const STATIC_VALUE_LENGTH = new Uint8Array(STATIC_COUNT + 1);
export const STATIC_INFO = new Int32Array(STATIC_COUNT + 1);
/** The first index with a name; the name is in lower case. */
export const STATIC_NAMES = new Map<string, number>();

let start = 0;
for (const [i, field] of FIELDS.entries()) {
  const index = i + 1;
  const nameLength = field.indexOf(': ', 1);
  const valueStart = start + nameLength + 2;
  const end = start + field.length;
  STATIC_START[index] = start;
  STATIC_NAME_LENGTH[index] = nameLength;
  STATIC_VALUE_LENGTH[index] = end - valueStart;
  copyString(STATIC_LINES, start, start + nameLength, Buffer.alloc(64), 0);
  STATIC_INFO[index] = nameInfo(STATIC_LINES, start, start + nameLength);
  copyString(STATIC_LINES, valueStart, end, Buffer.alloc(64), 0);
  STATIC_INFO[index]! |= valueInfo(STATIC_LINES, valueStart, end);
  const name = field.slice(0, nameLength);
  if (!STATIC_NAMES.has(name)) STATIC_NAMES.set(name, index);
  start = end + 2;
}
