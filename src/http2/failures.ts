// Every reason for which the codec refuses a message or gives up a connection, and what each means to the peer.

import { type ParseFailure, requestFailure, responseFailure } from '../http1/parse-failure.ts';
import type { FailureCode } from '../model/failures.ts';
import { ErrorCode } from './error-code.ts';

/** Malformed in ways that only HTTP/2 knows (RFC 9113, sections 8.1 to 8.3). */
export const MALFORMED = [
  'field-name-uppercase',
  'field-value-space',
  'field-connection-specific',
  'te-invalid',
  'pseudo-field-unknown',
  'pseudo-field-duplicate',
  'pseudo-field-missing',
  'pseudo-field-late',
  'pseudo-field-invalid',
  'pseudo-field-in-trailers',
  'content-length-mismatch',
  'trailers-without-end',
] as const;

/** Why one message is refused; the connection and its other streams go on. */
export type MessageFailure = ParseFailure | (typeof MALFORMED)[number];

const OWN: ReadonlySet<string> = new Set(MALFORMED);

/** The failure that a refused request is answered with: the same as in HTTP/1.1 for the same reason. */
export function requestFailureOf(reason: MessageFailure): FailureCode {
  return OWN.has(reason) ? 'bad-request' : requestFailure(reason as ParseFailure);
}

/** The failure of a refused response. */
export function responseFailureOf(reason: MessageFailure): FailureCode {
  return OWN.has(reason) ? 'upstream-protocol' : responseFailure(reason as ParseFailure);
}

/** Why a whole connection ends, and the code that its GOAWAY carries. */
const CONNECTION_FAILURES_BY_REASON = {
  'preface-invalid': ErrorCode.ProtocolError,
  'frame-size': ErrorCode.FrameSizeError,
  'frame-unexpected': ErrorCode.ProtocolError,
  'frame-invalid': ErrorCode.ProtocolError,
  'stream-id-invalid': ErrorCode.ProtocolError,
  'stream-closed': ErrorCode.StreamClosed,
  'settings-invalid': ErrorCode.ProtocolError,
  'window-size-invalid': ErrorCode.FlowControlError,
  'window-exceeded': ErrorCode.FlowControlError,
  'window-overflow': ErrorCode.FlowControlError,
  'header-compression': ErrorCode.CompressionError,
  // Abuse: bounds that no well-meaning peer reaches.
  'reset-flood': ErrorCode.EnhanceYourCalm,
  'provoked-reset-flood': ErrorCode.EnhanceYourCalm,
  'closed-stream-flood': ErrorCode.EnhanceYourCalm,
  'header-block-too-large': ErrorCode.EnhanceYourCalm,
  'continuation-flood': ErrorCode.EnhanceYourCalm,
  'empty-frame-flood': ErrorCode.EnhanceYourCalm,
  'ping-flood': ErrorCode.EnhanceYourCalm,
  'settings-flood': ErrorCode.EnhanceYourCalm,
  'priority-flood': ErrorCode.EnhanceYourCalm,
  'window-update-flood': ErrorCode.EnhanceYourCalm,
  'unknown-frame-flood': ErrorCode.EnhanceYourCalm,
  'small-window-flood': ErrorCode.EnhanceYourCalm,
  'table-resize-flood': ErrorCode.EnhanceYourCalm,
  'output-unread': ErrorCode.EnhanceYourCalm,
  'header-timeout': ErrorCode.EnhanceYourCalm,
} as const satisfies Record<string, ErrorCode>;

/** Why a connection ended; a metric label and a log field. */
export type ConnectionFailure = keyof typeof CONNECTION_FAILURES_BY_REASON;

/** All reasons, for metrics that are bound in advance. */
export const CONNECTION_FAILURES = Object.freeze(
  Object.keys(CONNECTION_FAILURES_BY_REASON),
) as readonly ConnectionFailure[];

/** The code that the GOAWAY of this failure carries. */
export function errorCodeOf(failure: ConnectionFailure): ErrorCode {
  return CONNECTION_FAILURES_BY_REASON[failure];
}
