// Version 1: one line of text (section 2.1).

import { isIPv4, isIPv6 } from 'node:net';
import { canonical } from './addresses.ts';
import { type Endpoint, LINE_BYTES, NO_FACTS, type ProxyHeader, WORD } from './header.ts';
import { MALFORMED, MORE, OVERSIZE, type Reading } from './reading.ts';

const CR = 0x0d;
const LF = 0x0a;
/** One space between two words, nothing before the first or behind the last. */
const ADDRESSES = /^(TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (\d{1,5}) (\d{1,5})$/;
/** Whatever stands behind the word is not to be looked at. */
const UNKNOWN = /^UNKNOWN(?: |$)/;

/** @param length of what has come so far, which begins like the line does */
export function readLine(bytes: Buffer, length: number): Reading {
  if (length < WORD.length) return MORE;
  const longest = Math.min(length, LINE_BYTES);
  for (let index = WORD.length; index < longest; index += 1) {
    if (bytes[index] === LF) return MALFORMED;
    if (bytes[index] !== CR) continue;
    if (index + 2 > LINE_BYTES) return OVERSIZE;
    if (index + 1 === length) return MORE;
    if (bytes[index + 1] !== LF) return MALFORMED;
    const header = parse(bytes.latin1Slice(WORD.length, index));
    return header === null ? MALFORMED : { kind: 'header', header, length: index + 2 };
  }
  return length < LINE_BYTES ? MORE : OVERSIZE;
}

function parse(text: string): ProxyHeader | null {
  if (UNKNOWN.test(text)) return { version: 1, ...NO_FACTS, source: null, destination: null };
  const [, family, from, to, fromPort, toPort] = ADDRESSES.exec(text) ?? [];
  const source = endpoint(family, from, fromPort);
  const destination = endpoint(family, to, toPort);
  return source === null || destination === null ? null : { version: 1, ...NO_FACTS, source, destination };
}

function endpoint(family?: string, address = '', port = ''): Endpoint | null {
  // A number is written in one way only: another reader might take a leading zero for octal.
  if (String(Number(port)) !== port || Number(port) > 65_535) return null;
  if (family === 'TCP4') return isIPv4(address) ? { address, port: Number(port) } : null;
  return isIPv6(address) ? { address: canonical(address), port: Number(port) } : null;
}
