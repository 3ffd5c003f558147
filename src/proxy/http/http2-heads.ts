// The heads of HTTP/2 messages as Portico sends them: the same choice of fields as in HTTP/1.1, in header blocks.

import { FieldId } from '../../http1/field-id.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { Framing } from '../../http1/step.ts';
import type { HeadEncoder } from '../../http2/head-encoder.ts';
import type { ExchangeFacts } from '../exchange-facts.ts';
import { editLines, type HeaderEdits } from '../router/header-edits.ts';
import type { Answer } from './answers.ts';
import type { HttpDate } from './date.ts';
import { dropFor, ownRequestLines, type RequestHeadParts } from './request-head.ts';
import { DROP_FROM_RESPONSES, passesDate } from './response-head.ts';
import { ACCEPT_ONLY, KEY_ONLY, WEB_SOCKET } from './web-socket-handshake.ts';

const NO_CONTENT = 204;

/** The head of a target's answer. */
export function writeResponseHead(
  encoder: HeadEncoder,
  head: ResponseHead,
  facts: ExchangeFacts,
  date: HttpDate,
): void {
  const edits = facts.match.rule!.filters.response;
  encoder.status(head.status);
  encoder.copy(head, DROP_FROM_RESPONSES, edits === null ? null : edits.drop);
  const notOwn = edits?.dropsOwn === true ? edits.drop : null;
  if (notOwn?.has('x-request-id') !== true) encoder.field('x-request-id', facts.requestId);
  if (!passesDate(head) && notOwn?.has('date') !== true) encoder.field('date', date.toString());
  if (edits !== null) encoder.lines(editLines(edits, facts.match.captures));
  // The length is only said when the body has it, or would have it (RFC 9110, section 8.6).
  if (head.contentLength >= 0 && head.framing !== Framing.Chunked && head.status !== NO_CONTENT) {
    encoder.field('content-length', String(head.contentLength));
  }
}

/** The head of a 1xx answer. What a rule sets is for the final one. */
export function writeInterimHead(encoder: HeadEncoder, head: ResponseHead, edits: HeaderEdits | null): void {
  encoder.status(head.status);
  encoder.copy(head, DROP_FROM_RESPONSES, edits === null ? null : edits.drop);
}

/** The head that takes an extended CONNECT, made from a 101 (RFC 8441, section 5). */
export function writeConnectHead(encoder: HeadEncoder, head: ResponseHead): void {
  encoder.status(200);
  encoder.copy(head, DROP_FROM_RESPONSES, ACCEPT_ONLY);
}

/** The head of an answer of our own. */
export function writeAnswerHead(
  encoder: HeadEncoder,
  answer: Answer,
  requestId: string,
  date: HttpDate,
): void {
  encoder.status(answer.status);
  encoder.lines(answer.fields);
  if (answer.ruled?.has('date') !== true) encoder.field('date', date.toString());
  if (requestId !== '' && answer.ruled?.has('x-request-id') !== true)
    encoder.field('x-request-id', requestId);
}

/** The head of a request on its way to a target. */
export function writeRequestHead(encoder: HeadEncoder, head: RequestHead, parts: RequestHeadParts): void {
  const { edits } = parts;
  encoder.request(head.method, parts.scheme, parts.authority, parts.target, '');
  encoder.copy(head, dropFor(head, parts.client), edits === null ? null : edits.drop);
  writeOwnFields(encoder, head, parts);
}

/** The head of a call of gRPC-Web on its way to a target that speaks gRPC (gRPC over HTTP/2, Requests). */
export function writeGrpcHead(encoder: HeadEncoder, head: RequestHead, parts: RequestHeadParts): void {
  const { edits, grpcType } = parts;
  const drop = dropFor(head, parts.client).slice();
  drop[FieldId.ContentType] = 1;
  drop[FieldId.Accept] = 1;
  encoder.request(head.method, parts.scheme, parts.authority, parts.target, '');
  encoder.copy(head, drop, edits === null ? null : edits.drop);
  encoder.lines(`content-type: ${grpcType}\r\nte: trailers\r\n${ownRequestLines(head, parts)}`);
}

/** The extended CONNECT that asks for what a WebSocket handshake of HTTP/1.1 asks for (RFC 8441, section 5). */
export function writeHandshake(encoder: HeadEncoder, head: RequestHead, parts: RequestHeadParts): void {
  const { edits } = parts;
  encoder.request('CONNECT', parts.scheme, parts.authority, parts.target, WEB_SOCKET);
  const dropNames = edits === null ? KEY_ONLY : new Set([...edits.drop, ...KEY_ONLY]);
  encoder.copy(head, dropFor(head, parts.client), dropNames);
  writeOwnFields(encoder, head, parts);
}

function writeOwnFields(encoder: HeadEncoder, head: RequestHead, parts: RequestHeadParts): void {
  // A client that takes trailers is told of to the target: gRPC asks for it (RFC 9110, section 10.1.4).
  if (head.has(FieldId.Te)) encoder.lines(`te: ${head.valueOf(FieldId.Te)}\r\n`);
  encoder.lines(ownRequestLines(head, parts));
  if (head.framing === Framing.Length) encoder.field('content-length', String(head.contentLength));
}
