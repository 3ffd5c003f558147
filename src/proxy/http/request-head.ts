// The head of a request as it goes upstream: always made anew, in our own framing.

import {
  CERTIFICATE_FIELDS,
  FORWARDING_FIELDS,
  HOP_BY_HOP,
  OTHER_FORWARDING_FIELDS,
} from '../../http1/field-groups.ts';
import { FieldId } from '../../http1/field-id.ts';
import { type RequestHead, TargetForm } from '../../http1/request-head.ts';
import { Framing } from '../../http1/step.ts';
import { editLines, type HeaderEdits } from '../router/header-edits.ts';
import { copyFields, fieldSet } from './field-copy.ts';
import { withoutEdited } from './field-lines.ts';
import type { ForwardedClient } from './forwarded.ts';

/** Hop-by-hop fields, framing, and everything that Portico itself says. HTTP/1.1 targets get no trailers (`Http1Stream.sendEnd`). */
const ALWAYS = [
  ...HOP_BY_HOP,
  ...FORWARDING_FIELDS,
  FieldId.Host,
  FieldId.ContentLength,
  FieldId.TransferEncoding,
];
const DROP_FROM_TRUSTED = fieldSet(...ALWAYS);
const DROP_FROM_TRUSTED_CERTIFIED = fieldSet(...ALWAYS, ...CERTIFICATE_FIELDS);
const DROP = fieldSet(...ALWAYS, ...CERTIFICATE_FIELDS, ...OTHER_FORWARDING_FIELDS);

// Of a sum of texts V8 knows that they are texts; to what stands in a template it applies a conversion.
const SPACE = ' ';
const CRLF = '\r\n';
const VERSION = ' HTTP/1.1\r\n';
const HOST = 'Host: ';

/** Fields that pass or not by what the rest of the head says. */
const RARE = (1 << FieldId.Expect) | (1 << FieldId.MaxForwards);
/** The largest Max-Forwards that is passed on. */
const MOST_FORWARDS = 255;
/** The pseudonym stands for every Portico: a name of its own would tell clients nothing and attackers something. */
const OWN_1_1 = 'Via: 1.1 portico\r\nX-Request-Id: ';
const OWN_1_0 = 'Via: 1.0 portico\r\nX-Request-Id: ';
const OWN_2 = 'Via: 2.0 portico\r\nX-Request-Id: ';

export interface RequestHeadParts {
  /** Path with query, as it is sent. */
  readonly target: string;
  /** Value of Host, as it is sent. */
  readonly authority: string;
  /** How the client came; HTTP/2 says it to the target. */
  readonly scheme: 'http' | 'https';
  /** Of the WebSocket handshake that stands for an extended CONNECT, else ''. */
  readonly webSocketKey: string;
  /** Content-Type of the gRPC that a call of gRPC-Web becomes, to HTTP/2 targets; '' for everything else. */
  readonly grpcType: string;
  readonly client: ForwardedClient;
  readonly requestId: string;
  readonly edits: HeaderEdits | null;
  readonly captures: readonly string[];
}

/** The protocol that the request asks to switch to, or '': `h2c` never passes (RFC 9113, section 3.1). */
export function upgradeOf(head: RequestHead): string {
  if (head.upgrade === '' || head.hasContent) return '';
  return head.upgrade.toLowerCase().includes('h2c') ? '' : head.upgrade;
}

/** Whether every protocol that the target switches to is one that the client asked for (RFC 9110, section 7.8). */
export function isAskedUpgrade(asked: string, answered: string): boolean {
  const protocols = (list: string): string[] =>
    list
      .toLowerCase()
      .split(',')
      .map((protocol) => protocol.trim())
      .filter((protocol) => protocol !== '');
  const wanted = new Set(protocols(asked));
  const agreed = protocols(answered);
  return agreed.length > 0 && agreed.every((protocol) => wanted.has(protocol));
}

/**
 * How often an OPTIONS or TRACE request may still be forwarded (RFC 9110, section 7.6.2).
 * @returns -1 when it does not say, NaN when what it says is no number
 */
export function maxForwardsOf(head: RequestHead): number {
  const bit = 1 << FieldId.MaxForwards;
  if ((head.seen & bit) === 0 || (head.method !== 'OPTIONS' && head.method !== 'TRACE')) return -1;
  const value = head.valueOf(FieldId.MaxForwards);
  if ((head.repeated & bit) !== 0 || !/^\d+$/.test(value)) return Number.NaN;
  return Math.min(Number(value), MOST_FORWARDS);
}

/** The fields of a request that do not pass as they are. */
export function dropFor(head: RequestHead, client: ForwardedClient): Uint8Array {
  const drop = !client.trusted
    ? DROP
    : client.certificateLines === ''
      ? DROP_FROM_TRUSTED
      : DROP_FROM_TRUSTED_CERTIFIED;
  if ((head.seen & RARE) === 0) return drop;
  const own = drop.slice();
  // Ignored in HTTP/1.0, and meaningless without content (RFC 9110, section 10.1.1).
  if (!head.expectContinue) own[FieldId.Expect] = 1;
  if (maxForwardsOf(head) > 0) own[FieldId.MaxForwards] = 1;
  return own;
}

/** The lines that Portico adds to a request whatever the protocol: client, Via, request id, and the rule's edits. */
export function ownRequestLines(head: RequestHead, parts: RequestHeadParts): string {
  const { edits, client, requestId } = parts;
  let text = client.lines(head) + viaOf(head) + requestId + CRLF;
  if (head.has(FieldId.MaxForwards)) text += maxForwardsLine(head);
  if (edits === null) return text;
  if (edits.dropsOwn) text = withoutEdited(text, edits);
  return text + editLines(edits, parts.captures);
}

function viaOf(head: RequestHead): string {
  if (head.major === 2) return OWN_2;
  return head.minor === 1 ? OWN_1_1 : OWN_1_0;
}

/** The text of a request head in HTTP/1.1. */
export function buildRequestHead(head: RequestHead, parts: RequestHeadParts): string {
  let text =
    head.method + SPACE + parts.target + VERSION + (repeatedLines(head, parts) || lines(head, parts));
  if (head.framing === Framing.Length) text += `Content-Length: ${head.contentLength}\r\n`;
  else if (head.framing === Framing.Chunked) text += 'Transfer-Encoding: chunked\r\n';
  if (parts.webSocketKey !== '') text += `Sec-WebSocket-Key: ${parts.webSocketKey}\r\n`;
  const upgrade = upgradeOf(head);
  return upgrade === '' ? text + CRLF : `${text}Connection: upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`;
}

function lines(head: RequestHead, parts: RequestHeadParts): string {
  const { edits, client, authority } = parts;
  return (
    HOST +
    authority +
    CRLF +
    copyFields(head, dropFor(head, client), edits === null ? null : edits.drop) +
    ownRequestLines(head, parts)
  );
}

/** Where a client says the same again, all but the request id is what it was; '' where that can't be said. */
function repeatedLines(head: RequestHead, { edits, client, authority, requestId }: RequestHeadParts): string {
  const isPlain = head.form === TargetForm.Origin && (head.seen & RARE) === 0 && head.minor === 1;
  if (!head.repeatsFields || !isPlain || edits !== null) return '';
  let made = head.madeOfFields(authority);
  if (made === '') {
    made =
      HOST + authority + CRLF + copyFields(head, dropFor(head, client), null) + client.lines(head) + OWN_1_1;
    head.keepMade(authority, made);
  }
  return made + requestId + CRLF;
}

function maxForwardsLine(head: RequestHead): string {
  const left = maxForwardsOf(head);
  return left > 0 ? `Max-Forwards: ${left - 1}\r\n` : '';
}
