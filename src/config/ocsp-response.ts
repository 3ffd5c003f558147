// Whether a file holds an OCSP response that may be stapled: whole, and not the word of a responder that had none to give.

const SEQUENCE = 0x30;
const ENUMERATED = 0x0a;
const RESPONSE_BYTES = 0xa0;
const SUCCESSFUL = 0;

/** The outer layer of `OCSPResponse` in DER (RFC 6960, section 4.2.1): its status is `successful`, and there is a response. */
export function isSuccessfulOcsp(der: Uint8Array): boolean {
  const whole = valueAt(der, 0);
  if (whole?.tag !== SEQUENCE || whole.end !== der.length) return false;
  const status = valueAt(der, whole.start);
  if (status?.tag !== ENUMERATED || status.end - status.start !== 1) return false;
  if (der[status.start] !== SUCCESSFUL) return false;
  const response = valueAt(der, status.end);
  return response?.tag === RESPONSE_BYTES && response.end === whole.end;
}

/** Tag and contents `[start, end)` of the value at an offset; null when it is not all there. */
function valueAt(der: Uint8Array, at: number): { tag: number; start: number; end: number } | null {
  const [tag, first] = [der[at], der[at + 1]];
  if (tag === undefined || first === undefined) return null;
  // Up to 127 the length stands for itself, else so many bytes of it follow (X.690, section 8.1.3).
  const more = first < 0x80 ? 0 : first - 0x80;
  if (first === 0x80 || more > 4) return null;
  let length = more === 0 ? first : 0;
  for (let index = 0; index < more; index += 1) length = length * 256 + (der[at + 2 + index] ?? Number.NaN);
  const start = at + 2 + more;
  return start + length <= der.length ? { tag, start, end: start + length } : null;
}
