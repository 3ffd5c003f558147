// The head of a request as it goes upstream: always made anew, in our own framing.

import { FieldId } from '../../http1/field-id.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import { Framing } from '../../http1/step.ts';
import { editLines, type HeaderEdits } from '../router/header-edits.ts';
import { copyFields, fieldSet } from './field-copy.ts';
import type { ForwardedClient } from './forwarded.ts';

/** Hop-by-hop fields, framing, and everything that Portico itself says; `Trailer` passes, since trailers do. */
const ALWAYS = [
  FieldId.Host,
  FieldId.Connection,
  FieldId.ContentLength,
  FieldId.TransferEncoding,
  FieldId.KeepAlive,
  FieldId.ProxyConnection,
  FieldId.ProxyAuthenticate,
  FieldId.ProxyAuthorization,
  FieldId.Te,
  FieldId.Upgrade,
  FieldId.Http2Settings,
  FieldId.XForwardedFor,
  FieldId.XForwardedProto,
  FieldId.XForwardedHost,
  FieldId.XRequestId,
];
const DROP_FROM_TRUSTED = fieldSet(...ALWAYS);
const DROP = fieldSet(
  ...ALWAYS,
  FieldId.Forwarded,
  FieldId.XForwardedPort,
  FieldId.XForwardedServer,
  FieldId.XForwardedPrefix,
  FieldId.XRealIp,
);

export interface RequestHeadParts {
  /** Path with query, as it is sent. */
  readonly target: string;
  /** Value of Host, as it is sent. */
  readonly authority: string;
  readonly client: ForwardedClient;
  readonly requestId: string;
  readonly edits: HeaderEdits | null;
  readonly captures: readonly string[];
}

/** The protocol that the request asks to switch to, or '': `h2c` never passes (RFC 9113, section 3.1). */
export function upgradeOf(head: RequestHead): string {
  if (head.upgrade === '' || head.framing !== Framing.None) return '';
  return head.upgrade.toLowerCase().includes('h2c') ? '' : head.upgrade;
}

export function buildRequestHead(head: RequestHead, parts: RequestHeadParts): string {
  const { edits, client } = parts;
  let text =
    `${head.method} ${parts.target} HTTP/1.1\r\nHost: ${parts.authority}\r\n` +
    copyFields(head, client.trusted ? DROP_FROM_TRUSTED : DROP, edits === null ? null : edits.drop) +
    client.lines(head) +
    `X-Request-Id: ${parts.requestId}\r\n`;
  if (edits !== null) text += editLines(edits, parts.captures);
  if (head.framing === Framing.Length) text += `Content-Length: ${head.contentLength}\r\n`;
  else if (head.framing === Framing.Chunked) text += 'Transfer-Encoding: chunked\r\n';
  const upgrade = upgradeOf(head);
  return upgrade === '' ? `${text}\r\n` : `${text}Connection: upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`;
}
