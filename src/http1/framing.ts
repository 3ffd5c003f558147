// Head-level rules that requests and responses share: Transfer-Encoding, Content-Length and Connection.

import { CLASSES, DIGIT, HTAB, SP, TOKEN } from './bytes.ts';
import { FieldId } from './field-id.ts';
import type { MessageHead } from './message-head.ts';
import type { ParseFailure } from './parse-failure.ts';
import { sameIgnoringCase } from './same-ignoring-case.ts';
import { Framing } from './step.ts';

const FRAMING_BITS = (1 << FieldId.ContentLength) | (1 << FieldId.TransferEncoding);
/** Connection options that name a field, in one message: each is compared with every field. */
const MAX_NOMINATIONS = 32;
const COMMA = 44;

/**
 * Reads the framing fields strictly (RFC 9112, section 6): one Transfer-Encoding that is exactly `chunked` in an
 * HTTP/1.1 message, or one Content-Length of digits, never both, never twice, not even with equal values.
 */
export function readFraming(head: MessageHead): ParseFailure | '' {
  const seen = head.seen & FRAMING_BITS;
  if (seen === 0) return '';
  if (seen === FRAMING_BITS) return 'transfer-encoding-with-content-length';
  if (seen === 1 << FieldId.ContentLength) {
    if ((head.repeated & seen) !== 0) return 'content-length-duplicate';
    return readContentLength(head);
  }
  if ((head.repeated & seen) !== 0) return 'transfer-encoding-duplicate';
  if (head.minor === 0) return 'transfer-encoding-version';
  const coding = head.valueOf(FieldId.TransferEncoding);
  if (coding.length !== 7 || !sameIgnoringCase(coding, 0, 'chunked')) {
    return isCodingList(coding) ? 'transfer-encoding-unsupported' : 'transfer-encoding-invalid';
  }
  head.framing = Framing.Chunked;
  return '';
}

function readContentLength(head: MessageHead): ParseFailure | '' {
  const i = head.find(FieldId.ContentLength);
  const end = head.offsets[4 * i + 3]!;
  let p = head.offsets[4 * i + 2]!;
  if (p === end) return 'content-length-invalid';
  let length = 0;
  let tooLarge = false;
  for (; p < end; p++) {
    const code = head.text.charCodeAt(p);
    if ((CLASSES[code]! & DIGIT) === 0) return 'content-length-invalid';
    length = length * 10 + code - 48;
    if (length > Number.MAX_SAFE_INTEGER) tooLarge = true;
  }
  if (tooLarge) return 'content-length-too-large';
  head.framing = Framing.Length;
  head.contentLength = length;
  return '';
}

/** Whether the value is a clean list of coding names with one `chunked`, at its end: understood, but not supported. */
function isCodingList(value: string): boolean {
  const names = value.split(',').map((name) => name.trim().toLowerCase());
  return (
    names.length > 1 &&
    names.indexOf('chunked') === names.length - 1 &&
    names.every(
      (name) => name !== '' && [...name].every((char) => (CLASSES[char.charCodeAt(0)]! & TOKEN) !== 0),
    )
  );
}

/** Reads Connection and Upgrade (RFC 9110, sections 7.6.1 and 7.8; RFC 9112, section 9.3). */
export function readConnection(head: MessageHead): ParseFailure | '' {
  if ((head.seen & (1 << FieldId.Connection)) === 0) {
    head.keepAlive = head.minor === 1;
    return '';
  }
  let close = false;
  let keepAlive = false;
  let upgrade = false;
  let nominations = 0;
  const text = head.text;
  for (let c = head.find(FieldId.Connection); c >= 0; c = head.findNext(FieldId.Connection, c + 1)) {
    const end = head.offsets[4 * c + 3]!;
    let start = head.offsets[4 * c + 2]!;
    while (start < end) {
      let to = start;
      while (to < end && text.charCodeAt(to) !== COMMA) to++;
      const next = to + 1;
      let from = start;
      while (from < to && isSpace(text.charCodeAt(from))) from++;
      while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
      const length = to - from;
      if (length === 10 && sameIgnoringCase(text, from, 'keep-alive')) keepAlive = true;
      else if (length === 5 && sameIgnoringCase(text, from, 'close')) close = true;
      else if (length === 7 && sameIgnoringCase(text, from, 'upgrade')) upgrade = true;
      else if (length > 0) {
        if (++nominations > MAX_NOMINATIONS) return 'connection-options';
        head.nominate(from, to);
      }
      start = next;
    }
  }
  head.keepAlive = !close && (keepAlive || head.minor === 1);
  // A 1.0 sender cannot mean Upgrade: an old proxy may have passed it on blindly.
  if (upgrade && head.minor === 1) head.upgrade = joinedValues(head, FieldId.Upgrade);
  return '';
}

function joinedValues(head: MessageHead, id: FieldId): string {
  let values = head.valueOf(id);
  if ((head.repeated & (1 << id)) === 0) return values;
  for (let i = head.findNext(id, head.find(id) + 1); i >= 0; i = head.findNext(id, i + 1)) {
    values += `, ${head.value(i)}`;
  }
  return values;
}

function isSpace(code: number): boolean {
  return code === SP || code === HTAB;
}
