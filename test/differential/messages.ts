// A small, lenient reading of recorded bytes, only for telling what was seen: shares nothing with the codec under test.

/** One message cut out of a byte stream. */
export interface Message {
  readonly line: string;
  readonly fields: readonly string[];
  /** Body as it came, decoded when chunked. */
  readonly body: string;
  readonly trailers: string;
  readonly framing: 'none' | 'length' | 'chunked' | 'until-close';
  readonly complete: boolean;
  /** Where the next message begins. */
  readonly end: number;
}

export const fieldsNamed = ({ fields }: Pick<Message, 'fields'>, name: string): string[] =>
  fields
    .filter((line) => line.toLowerCase().startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 1).trim());

/**
 * The message at `start`, or null when its head is not complete.
 * @param bodiless what the context says about the body: HEAD, 1xx, 204, 304
 * @param untilClose whether a message without framing has a body up to the end of the connection
 */
export function messageAt(
  text: string,
  start: number,
  { bodiless = (_line: string): boolean => false, untilClose = false, ended = false } = {},
): Message | null {
  const headEnd = text.indexOf('\r\n\r\n', start);
  if (headEnd < 0) return null;
  const [line = '', ...fields] = text.slice(start, headEnd).split('\r\n');
  const from = headEnd + 4;
  const base = { line, fields, trailers: '' };
  if (bodiless(line)) return { ...base, body: '', framing: 'none', complete: true, end: from };
  if (fieldsNamed(base, 'transfer-encoding').length > 0) return { ...base, ...chunkedBody(text, from) };
  const [length] = fieldsNamed(base, 'content-length');
  if (length !== undefined) {
    const size = Number.parseInt(length, 10) || 0;
    const body = text.slice(from, from + size);
    return { ...base, body, framing: 'length', complete: body.length === size, end: from + body.length };
  }
  if (!untilClose) return { ...base, body: '', framing: 'none', complete: true, end: from };
  return { ...base, body: text.slice(from), framing: 'until-close', complete: ended, end: text.length };
}

function chunkedBody(
  text: string,
  from: number,
): Pick<Message, 'body' | 'framing' | 'complete' | 'end' | 'trailers'> {
  let body = '';
  let at = from;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, lineEnd < 0 ? undefined : lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(size)) {
      return { body, framing: 'chunked', complete: false, end: text.length, trailers: '' };
    }
    at = lineEnd + 2;
    if (size === 0) break;
    body += text.slice(at, at + size);
    at += size + 2;
    if (at > text.length)
      return { body, framing: 'chunked', complete: false, end: text.length, trailers: '' };
  }
  let trailers = '';
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return { body, framing: 'chunked', complete: false, end: text.length, trailers };
    const line = text.slice(at, lineEnd);
    at = lineEnd + 2;
    if (line === '') return { body, framing: 'chunked', complete: true, end: at, trailers };
    trailers += `${line}|`;
  }
}
