// The first bytes of a client (RFC 9113, section 3.4).

import { Buffer } from 'node:buffer';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** `partial`: all bytes so far are those of the preface. */
export type PrefaceMatch = 'no' | 'partial' | 'yes';

/** Whether `buffer[start, end)` begins as a client's HTTP/2 connection does. */
export function matchPreface(buffer: Uint8Array, start: number, end: number): PrefaceMatch {
  const length = Math.min(end - start, PREFACE.length);
  for (let i = 0; i < length; i++) if (buffer[start + i] !== PREFACE[i]) return 'no';
  return length === PREFACE.length ? 'yes' : 'partial';
}
