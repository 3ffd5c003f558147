// What is special about a gRPC call: how it is known, its deadline, and the one table from failures to gRPC status.

import type { MessageHead } from '../../http1/message-head.ts';
import { FAILURES, type FailureCode } from '../../model/failures.ts';
import type { Answer } from './answers.ts';
import { hasMediaType } from './media-type.ts';

export const GRPC_TYPE = 'application/grpc';
/** The beginning of another type (`application/grpc-web`). */
const OTHER_TYPE = 'application/grpc-';

/** Whether a request is a gRPC call, by its Content-Type (gRPC over HTTP/2, Requests). */
export function isGrpc(head: MessageHead): boolean {
  return hasMediaType(head, GRPC_TYPE) && !hasMediaType(head, OTHER_TYPE);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** The call's own deadline in milliseconds from its start; Infinity when it has none, or none that can be read. */
export function grpcTimeoutMs(head: MessageHead): number {
  const index = head.findName('grpc-timeout');
  const parts = index === -1 ? null : /^(\d{1,8})([HMSmun])$/.exec(head.value(index));
  return parts === null ? Number.POSITIVE_INFINITY : Number(parts[1]) * UNIT_MS[parts[2]!]!;
}

/** The status codes of gRPC that a proxy has a use for. */
const Status = {
  Unknown: 2,
  DeadlineExceeded: 4,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  Unauthenticated: 16,
} as const;

/** Failures that say more than their HTTP status does. */
const OWN: Partial<Record<FailureCode, number>> = {
  'header-too-large': Status.ResourceExhausted,
  'upstream-header-too-large': Status.ResourceExhausted,
  // The call may have been made: a client must not take it for one that was not (`Unavailable`).
  'total-timeout': Status.DeadlineExceeded,
  'response-timeout': Status.DeadlineExceeded,
  internal: Status.Internal,
  'upstream-protocol': Status.Internal,
};

/** gRPC, doc/http-grpc-status-mapping.md. */
const BY_STATUS: Readonly<Record<number, number>> = {
  400: Status.Internal,
  401: Status.Unauthenticated,
  403: Status.PermissionDenied,
  404: Status.Unimplemented,
  429: Status.Unavailable,
  502: Status.Unavailable,
  503: Status.Unavailable,
  504: Status.Unavailable,
};

/** The lines that tell a gRPC client of a failure, as trailers or as the only head. */
export function grpcStatusLines(code: FailureCode): string {
  const { status, text } = FAILURES[code];
  const grpcStatus = OWN[code] ?? BY_STATUS[status] ?? Status.Unknown;
  return `grpc-status: ${grpcStatus}\r\ngrpc-message: ${text} (${code})\r\n`;
}

/** An answer of trailers only (gRPC over HTTP/2, Responses): HTTP has worked, the call has not. */
export function grpcAnswer(code: FailureCode, type = GRPC_TYPE): Answer {
  const { proxyStatus, close } = FAILURES[code];
  const fields =
    `Content-Type: ${type}\r\n${grpcStatusLines(code)}` +
    `Proxy-Status: portico; error=${proxyStatus}; details="${code}"\r\nContent-Length: 0\r\n`;
  return { status: 200, fields, body: '', close, ruled: null };
}
