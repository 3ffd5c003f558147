// Owns the words of `grpc.health.v1`: the request of a check and what the answer says (gRPC Health Checking Protocol).

import { Buffer } from 'node:buffer';
import type { ResponseHead } from '../../http1/response-head.ts';
import { answered, failed, passed, type Verdict } from './verdict.ts';

export const CHECK_PATH = '/grpc.health.v1.Health/Check';
export const CONTENT_TYPE = 'application/grpc';
/** With the format of the messages and parameters; `application/grpc-web` is another protocol (gRPC over HTTP/2, Responses). */
const GRPC = /^application\/grpc(?:\+[^;]*)?[ \t]*(?:;|$)/i;
/** Bytes of an answer, prefix included, that are looked at; a real one has seven. */
export const ANSWER_LIMIT_BYTES = 1024;
/** Compressed flag and length (gRPC over HTTP/2, Length-Prefixed-Message). */
const PREFIX_BYTES = 5;
/** `HealthCheckResponse.ServingStatus`. */
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;
const SERVING = 1;
const Wire = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const;

/** A `HealthCheckRequest`, in its frame. @param service at most 255 bytes; '' asks for the server as a whole */
export function checkRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const field = name.length === 0 ? [] : [(1 << 3) | Wire.Bytes, ...varint(name.length), ...name];
  const frame = Buffer.alloc(PREFIX_BYTES + field.length);
  frame.writeUInt32BE(field.length, 1);
  frame.set(field, PREFIX_BYTES);
  return frame;
}

/** What is wrong with the head of an answer; null when a message or a status may be in it. */
export function judgeHead(head: ResponseHead): Verdict | null {
  if (head.status !== 200) return answered(head.status);
  const index = head.findName('content-type');
  if (index !== -1 && GRPC.test(head.value(index))) return null;
  return failed('nonsense', 'an answer that is not gRPC');
}

/** @param status value of `grpc-status`, null when there was none @param body all messages, with their frames */
export function judgeAnswer(status: string | null, body: Buffer): Verdict {
  if (status === null) return failed('nonsense', 'an answer without grpc-status');
  if (status !== '0')
    return /^\d{1,3}$/.test(status)
      ? failed('answered', `grpc-status ${status}`)
      : failed('nonsense', 'a grpc-status that is no number');
  const serving = servingStatus(body);
  if (serving === null) return failed('nonsense', 'not a HealthCheckResponse');
  if (serving === SERVING) return passed();
  return failed('answered', STATUSES[serving] ?? `serving status ${serving}`);
}

/** The value of `grpc-status` among trailer lines, null without one. */
export function statusOf(lines: string): string | null {
  return /^grpc-status:[ \t]*([^\r\n]*?)[ \t]*\r?$/im.exec(lines)?.[1] ?? null;
}

/** Null when these are not the bytes of exactly one uncompressed message with the fields of a `HealthCheckResponse`. */
function servingStatus(body: Buffer): number | null {
  if (body.length < PREFIX_BYTES || body[0] !== 0) return null;
  if (body.readUInt32BE(1) !== body.length - PREFIX_BYTES) return null;
  const cursor = { bytes: body, at: PREFIX_BYTES };
  let status = 0;
  while (cursor.at < body.length) {
    const tag = readVarint(cursor);
    if (tag === null) return null;
    const value = readField(cursor, tag & 7);
    if (value === null) return null;
    if (tag === ((1 << 3) | Wire.Varint)) status = value;
  }
  return status;
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

/** Passes over a field, whose number may be one of later versions; the value of a number, 0 for others, null past the end. */
function readField(cursor: Cursor, wire: number): number | null {
  if (wire === Wire.Varint) return readVarint(cursor);
  if (wire === Wire.Bytes) {
    const length = readVarint(cursor);
    return length === null ? null : skip(cursor, length);
  }
  if (wire === Wire.Fixed64) return skip(cursor, 8);
  return wire === Wire.Fixed32 ? skip(cursor, 4) : null;
}

function skip(cursor: Cursor, length: number): 0 | null {
  cursor.at += length;
  return cursor.at <= cursor.bytes.length ? 0 : null;
}

/** Ten bytes at most (protobuf, Base 128 Varints); what is above 2^53 loses its last digits, which nothing here asks for. */
function readVarint(cursor: Cursor): number | null {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = cursor.bytes[cursor.at++];
    if (byte === undefined) return null;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  return null;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, value >> 7];
}
