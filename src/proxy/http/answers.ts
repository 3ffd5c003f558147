// Answers that Portico makes itself: one text for each row of the failure table, with Proxy-Status (RFC 9209).

import { STATUS_CODES } from 'node:http';
import { FAILURES, type Failure, type FailureCode } from '../../model/failures.ts';

export interface AnswerParts {
  readonly date: string;
  /** Empty when there is none yet: the request could not be read. */
  readonly requestId: string;
  readonly keepAlive: boolean;
  readonly clientMinor: 0 | 1;
  readonly isHead: boolean;
}

/** Answers to failures that pass by themselves say when to come back (RFC 9110, section 10.2.3), in seconds. */
const RETRY_AFTER = 1;

/** The body of the answer to a failure; ASCII. */
export function failureBody(code: FailureCode): string {
  return `${FAILURES[code].text}\n`;
}

/** The whole answer to a failure, as text. */
export function failureAnswer(code: FailureCode, parts: AnswerParts): string {
  const failure: Failure = FAILURES[code];
  const body = failureBody(code);
  const retryAfter = failure.status === 503 ? `Retry-After: ${RETRY_AFTER}\r\n` : '';
  return (
    `HTTP/1.1 ${failure.status} ${STATUS_CODES[failure.status] ?? ''}\r\n` +
    `Proxy-Status: portico; error=${failure.proxyStatus}; details="${code}"\r\n` +
    `Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: ${body.length}\r\n${retryAfter}` +
    ownFields(parts) +
    (parts.isHead ? '' : body)
  );
}

/** The answer to an OPTIONS request that may not be forwarded: nothing is known of what lies behind. */
export function optionsAnswer(parts: AnswerParts): string {
  return `HTTP/1.1 204 No Content\r\n${ownFields(parts)}`;
}

/** The fields that every answer of ours ends with, and the empty line. */
export function ownFields(parts: AnswerParts): string {
  const id = parts.requestId === '' ? '' : `X-Request-Id: ${parts.requestId}\r\n`;
  const connection = !parts.keepAlive
    ? 'Connection: close\r\n'
    : parts.clientMinor === 0
      ? 'Connection: keep-alive\r\n'
      : '';
  return `Date: ${parts.date}\r\n${id}${connection}\r\n`;
}
