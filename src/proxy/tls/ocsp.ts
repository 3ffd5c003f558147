// Until when an OCSP response may be stapled.

/** `nextUpdate` of a SingleResponse (RFC 6960, section 4.2.1) in DER: [0] EXPLICIT, and in it a GeneralizedTime of 15 characters. */
const NEXT_UPDATE = Buffer.from([0xa0, 17, 0x18, 15]);
const TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const TIME_LENGTH = 15;

/** Epoch milliseconds; Infinity when the response does not say, so that newer ones are always to be had. */
export function nextUpdateMs(response: Buffer): number {
  const at = response.indexOf(NEXT_UPDATE);
  const start = at + NEXT_UPDATE.length;
  const parts = at === -1 ? null : TIME.exec(response.latin1Slice(start, start + TIME_LENGTH));
  if (parts === null) return Number.POSITIVE_INFINITY;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}
