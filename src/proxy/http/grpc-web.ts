// gRPC-Web (gRPC, PROTOCOL-WEB.md): its media types, the frame that carries trailers in a body, and failures as its status.

import { Buffer } from 'node:buffer';
import { FieldId } from '../../http1/field-id.ts';
import type { MessageHead } from '../../http1/message-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { FailureCode } from '../../model/failures.ts';
import { type Answer, failureAnswer } from './answers.ts';
import { GRPC_TYPE, grpcAnswer, isGrpc } from './grpc.ts';
import { hasMediaType } from './media-type.ts';

const WEB_TYPE = 'application/grpc-web';
const TEXT_TYPE = 'application/grpc-web-text';
/** What may follow the names: the format of the messages, then parameters. */
const WHOLE_TYPE = /^application\/grpc-web(-text)?(\+[a-z0-9.-]{1,32})?[ \t]*(?:;|$)/i;
const SUFFIX = /^[^;+]*(\+[a-z0-9.-]{1,32})?/i;
/** Highest bit of a frame's first byte: its payload is the trailers. */
const TRAILERS_FLAG = 0x80;
const PREFIX_BYTES = 5;

/** What is known of one call of gRPC-Web from its head. */
export interface GrpcWebCall {
  /** The request is base64. */
  readonly isText: boolean;
  /** The answer is to be base64. */
  readonly wantsText: boolean;
  /** Format of the messages as it follows a media type, such as `+proto`; ''. */
  readonly suffix: string;
}

/** Null for every request that is no call of gRPC-Web. */
export function grpcWebCallOf(head: MessageHead): GrpcWebCall | null {
  if (!hasMediaType(head, WEB_TYPE)) return null;
  const parts = WHOLE_TYPE.exec(head.valueOf(FieldId.ContentType));
  if (parts === null) return null;
  const isText = parts[1] !== undefined;
  const accepted = head.valueOf(FieldId.Accept).toLowerCase();
  // A client that asks for neither gets what it sends.
  const wantsText = accepted.includes(TEXT_TYPE) || (isText && !accepted.includes(WEB_TYPE));
  return { isText, wantsText, suffix: parts[2]?.toLowerCase() ?? '' };
}

/** Content-Type of the call as its target knows it. */
export function grpcTypeOf({ suffix }: GrpcWebCall): string {
  return GRPC_TYPE + suffix;
}

function webType(wantsText: boolean, suffix: string): string {
  return (wantsText ? TEXT_TYPE : WEB_TYPE) + suffix;
}

/**
 * Makes the head of a gRPC answer that of a gRPC-Web answer, whose length is not known before its end.
 * @returns whether a body of frames follows; false for an answer that is not gRPC, which passes as it is
 */
export function toWebHead(head: ResponseHead, { wantsText }: GrpcWebCall): boolean {
  if (!isGrpc(head)) return false;
  const index = head.find(FieldId.ContentType);
  const suffix = SUFFIX.exec(head.value(index))?.[1]?.toLowerCase() ?? '';
  head.replace(index, webType(wantsText, suffix));
  // Trailers only: what they say stands in the head, where clients of gRPC-Web look for it too.
  if (head.ended) return false;
  head.forgetLength();
  return true;
}

/** The last frame of an answer. @param lines trailer lines, each with CRLF */
export function trailersFrame(lines: string): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + lines.length);
  frame[0] = TRAILERS_FLAG;
  frame.writeUInt32BE(lines.length, 1);
  frame.latin1Write(lines, PREFIX_BYTES);
  return frame;
}

/** The answer to a failure as the client of this request understands it: a status in the head for calls, else a page. */
export function answerTo(head: MessageHead, code: FailureCode): Answer {
  if (isGrpc(head)) return grpcAnswer(code);
  const call = grpcWebCallOf(head);
  return call === null ? failureAnswer(code) : grpcAnswer(code, webType(call.wantsText, call.suffix));
}
