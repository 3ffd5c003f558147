// Answers that Portico makes itself: one for each row of the failure table, with Proxy-Status (RFC 9209).

import { statusLine } from '../../http1/write.ts';
import { FAILURES, type Failure, type FailureCode } from '../../model/failures.ts';

/** An answer as every protocol can write it; Date and the request id are added by who does. */
export interface Answer {
  readonly status: number;
  /** Lines of fields, each ending in CRLF, Content-Length among them where the status has one. */
  readonly fields: string;
  /** Latin-1; left out in answers to HEAD. */
  readonly body: string;
  /** The client connection should end with it, where the protocol has one request at a time. */
  readonly close: boolean;
  /** Lower-case names that a rule has its own word on, Date and X-Request-Id perhaps among them: those are not added. */
  readonly ruled: ReadonlySet<string> | null;
}

/** What HTTP/1.1 adds to an answer. */
export interface AnswerParts {
  readonly date: string;
  /** Empty when there is none yet: the request could not be read. */
  readonly requestId: string;
  readonly keepAlive: boolean;
  readonly clientMinor: 0 | 1;
  readonly isHead: boolean;
}

/**
 * Answers to failures that pass by themselves say when to come back (RFC 9110, section 10.2.3), in seconds. Rates
 * are whole numbers a second, so that a token has come by then.
 */
const RETRY_AFTER = 1;
/** To an OPTIONS request that may not be forwarded: nothing is known of what lies behind. */
export const OPTIONS_ANSWER: Answer = { status: 204, fields: '', body: '', close: false, ruled: null };

const ANSWERS = new Map(
  (Object.keys(FAILURES) as FailureCode[]).map((code): [FailureCode, Answer] => [code, answerTo(code)]),
);

/** The whole answer to a failure. */
export function failureAnswer(code: FailureCode): Answer {
  return ANSWERS.get(code)!;
}

function answerTo(code: FailureCode): Answer {
  const { status, proxyStatus, text, close }: Failure = FAILURES[code];
  const body = `${text}\n`;
  const retryAfter = status === 503 || status === 429 ? `Retry-After: ${RETRY_AFTER}\r\n` : '';
  const fields =
    `Proxy-Status: portico; error=${proxyStatus}; details="${code}"\r\n` +
    `Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: ${body.length}\r\n${retryAfter}`;
  return { status, fields, body, close, ruled: null };
}

/** The same answer with more lines of fields. */
export const withLines = (answer: Answer, lines: string): Answer =>
  lines === '' ? answer : { ...answer, fields: answer.fields + lines };

/** The text of an answer in HTTP/1.1. */
export function answerText(answer: Answer, parts: AnswerParts): string {
  const { ruled } = answer;
  const id =
    parts.requestId === '' || ruled?.has('x-request-id') ? '' : `X-Request-Id: ${parts.requestId}\r\n`;
  const date = ruled?.has('date') ? '' : `Date: ${parts.date}\r\n`;
  const connection = !parts.keepAlive
    ? 'Connection: close\r\n'
    : parts.clientMinor === 0
      ? 'Connection: keep-alive\r\n'
      : '';
  return `${statusLine(answer.status)}${answer.fields}${date}${id}${connection}\r\n${parts.isHead ? '' : answer.body}`;
}
