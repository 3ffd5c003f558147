// The head of a response as it goes to the client: the target's fields in our own framing.

import { FieldId } from '../../http1/field-id.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { Framing } from '../../http1/step.ts';
import { editLines, type HeaderEdits } from '../router/header-edits.ts';
import type { HttpDate } from './date.ts';
import { copyFields, fieldSet } from './field-copy.ts';
import { ACCEPT_ONLY, acceptOf, webSocketKeyOf } from './web-socket-handshake.ts';

/** What a response does not take over from the target's: hop-by-hop fields, framing, and what Portico itself says. */
export const DROP_FROM_RESPONSES = fieldSet(
  FieldId.Connection,
  FieldId.ContentLength,
  FieldId.TransferEncoding,
  FieldId.KeepAlive,
  FieldId.ProxyConnection,
  FieldId.ProxyAuthenticate,
  FieldId.Te,
  FieldId.Upgrade,
  FieldId.XRequestId,
);

const UPGRADE_REQUIRED = 426;
// As in request-head.ts.
const CRLF = '\r\n';
const REQUEST_ID = 'X-Request-Id: ';
const DATE = 'Date: ';

/** How the body goes to the client. */
export type DownstreamFraming = 'none' | 'length' | 'chunked' | 'until-close';

/**
 * Chunked whenever the length is not known and the client can read it; HTTP/1.0 clients get the end of the
 * connection instead (RFC 9112, section 6.3).
 */
export function downstreamFraming(head: ResponseHead, clientMinor: 0 | 1): DownstreamFraming {
  if (head.framing === Framing.None) return 'none';
  if (head.framing === Framing.Length) return 'length';
  return clientMinor === 1 ? 'chunked' : 'until-close';
}

export interface ResponseHeadParts {
  readonly framing: DownstreamFraming;
  readonly requestId: string;
  readonly date: HttpDate;
  readonly edits: HeaderEdits | null;
  readonly captures: readonly string[];
  readonly clientMinor: 0 | 1;
  /** Whether the client connection stays open afterwards. */
  readonly keepAlive: boolean;
}

export function buildResponseHead(head: ResponseHead, parts: ResponseHeadParts): string {
  const { edits, requestId } = parts;
  // Without a reason the space before it may be missing, and ours must not be (RFC 9112, section 4).
  const isWhole = head.major === 1 && head.minor === 1 && head.reason !== '';
  let text = isWhole ? head.text.slice(0, head.fieldsStart) : statusLine(head);
  text += edits === null ? passedOn(head) + requestId + CRLF : edited(head, edits, requestId);
  if (!passesDate(head) && !givesWay(edits, 'date')) text += DATE + parts.date.toString() + CRLF;
  if (edits !== null) text += editLines(edits, parts.captures);
  if (head.status === UPGRADE_REQUIRED) text += offeredUpgrade(head);
  // A 304 or an answer to HEAD may carry the length that a body would have (RFC 9110, section 8.6); 204 may not.
  if (head.contentLength >= 0 && parts.framing !== 'chunked' && head.status !== 204) {
    text += `Content-Length: ${head.contentLength}\r\n`;
  } else if (parts.framing === 'chunked') {
    text += 'Transfer-Encoding: chunked\r\n';
  }
  if (!parts.keepAlive) return `${text}Connection: close\r\n\r\n`;
  return parts.clientMinor === 1 ? text + CRLF : `${text}Connection: keep-alive\r\n\r\n`;
}

/** The target's lines, and the name of the one with the request id; made once where a target says the same again. */
function passedOn(head: ResponseHead): string {
  let lines = head.repeatsFields ? head.madeOfFields('') : '';
  if (lines !== '') return lines;
  lines = copyFields(head, DROP_FROM_RESPONSES, null) + REQUEST_ID;
  if (head.repeatsFields) head.keepMade('', lines);
  return lines;
}

function edited(head: ResponseHead, edits: HeaderEdits, requestId: string): string {
  const lines = copyFields(head, DROP_FROM_RESPONSES, edits.drop);
  return givesWay(edits, 'x-request-id') ? lines : lines + REQUEST_ID + requestId + CRLF;
}

/** Whether a rule has something else for a line that Portico writes itself. */
function givesWay(edits: HeaderEdits | null, name: string): boolean {
  return edits?.dropsOwn === true && edits.drop.has(name);
}

/** Else a recipient with a clock adds its own (RFC 9110, section 6.6.1). */
export function passesDate(head: ResponseHead): boolean {
  return head.has(FieldId.Date) && !(head.hasNominations && head.isConnectionOption('date'));
}

/** A 426 must name what it asks for (RFC 9110, section 15.5.22), and the tunnel can carry it; `h2c` never passes. */
function offeredUpgrade(head: ResponseHead): string {
  if (head.upgrade === '' || head.upgrade.toLowerCase().includes('h2c')) return '';
  return `Connection: upgrade\r\nUpgrade: ${head.upgrade}\r\n`;
}

/**
 * The head of a 101: the switch is announced, everything else passes as in any response. A target that was asked over
 * HTTP/2 knows no key: its part of the handshake is ours (RFC 8441, section 5).
 */
export function buildSwitchHead(head: ResponseHead, request: RequestHead): string {
  const isOurs = head.major === 2;
  let text = statusLine(head) + copyFields(head, DROP_FROM_RESPONSES, isOurs ? ACCEPT_ONLY : null);
  if (isOurs) text += `Sec-WebSocket-Accept: ${acceptOf(webSocketKeyOf(request))}\r\n`;
  return `${text}Connection: upgrade\r\nUpgrade: ${head.upgrade}\r\n\r\n`;
}

/** The head of another 1xx. What a rule sets is for the final one. */
export function buildInterimHead(head: ResponseHead, edits: HeaderEdits | null): string {
  return `${statusLine(head)}${copyFields(head, DROP_FROM_RESPONSES, edits === null ? null : edits.drop)}\r\n`;
}

function statusLine(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
}
