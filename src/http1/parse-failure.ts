// Every reason for which the codec refuses bytes, and the failure that a refused request is answered with.

import type { FailureCode } from '../model/failures.ts';

/** Reason codes, stable because they are logged; the value is the failure of a request (a response has `responseFailure`). */
const REASONS = {
  // Line ends (RFC 9112, section 2.2)
  'bare-lf': 'bad-request',
  'bare-cr': 'bad-request',
  'empty-line-repeated': 'bad-request',
  // Start line (RFC 9112, sections 3 and 4)
  'method-invalid': 'bad-request',
  'target-invalid': 'bad-request',
  'target-form-invalid': 'bad-request',
  'target-too-long': 'target-too-long',
  'version-invalid': 'bad-request',
  'version-missing': 'version-unsupported',
  'version-unsupported': 'version-unsupported',
  'status-invalid': 'bad-request',
  'reason-invalid': 'bad-request',
  // Field lines (RFC 9110, section 5; RFC 9112, section 5)
  'field-name-empty': 'bad-request',
  'field-name-invalid': 'bad-request',
  'field-name-space': 'bad-request',
  'field-name-underscore': 'bad-request',
  'field-without-colon': 'bad-request',
  'field-value-invalid': 'bad-request',
  'obsolete-folding': 'bad-request',
  'space-before-fields': 'bad-request',
  'header-too-large': 'header-too-large',
  'header-count': 'header-too-large',
  'header-line-too-long': 'header-too-large',
  'connection-options': 'bad-request',
  // Host (RFC 9110, section 7.2; RFC 9112, section 3.2)
  'host-missing': 'bad-request',
  'host-duplicate': 'bad-request',
  'host-invalid': 'bad-request',
  'host-mismatch': 'bad-request',
  // Framing (RFC 9112, section 6)
  'content-length-duplicate': 'bad-request',
  'content-length-invalid': 'bad-request',
  'content-length-too-large': 'bad-request',
  'transfer-encoding-with-content-length': 'bad-request',
  'transfer-encoding-duplicate': 'bad-request',
  'transfer-encoding-invalid': 'bad-request',
  'transfer-encoding-unsupported': 'coding-unsupported',
  'transfer-encoding-version': 'bad-request',
  'body-not-allowed': 'bad-request',
  'expectation-unsupported': 'expectation-unsupported',
  // Chunked coding (RFC 9112, section 7.1)
  'chunk-size-invalid': 'bad-request',
  'chunk-size-too-large': 'bad-request',
  'chunk-extension-invalid': 'bad-request',
  'chunk-extension-too-large': 'bad-request',
  'chunk-data-end': 'bad-request',
  'trailer-too-large': 'header-too-large',
  'trailer-forbidden': 'bad-request',
  // Responses only
  'response-unexpected': 'bad-request',
  'interim-flood': 'bad-request',
  'closed-before-response': 'bad-request',
  'incomplete-head': 'bad-request',
  'incomplete-body': 'bad-request',
} as const satisfies Record<string, FailureCode>;

/** Why the codec refused a message. */
export type ParseFailure = keyof typeof REASONS;

/** All reasons: what a log line may hold. */
export const PARSE_FAILURES = Object.freeze(Object.keys(REASONS)) as readonly ParseFailure[];

/** The failure of a refused request. */
export function requestFailure(reason: ParseFailure): FailureCode {
  return REASONS[reason];
}

/** The failure of a refused or incomplete response. */
export function responseFailure(reason: ParseFailure): FailureCode {
  switch (reason) {
    case 'header-too-large':
    case 'header-count':
    case 'trailer-too-large':
      return 'upstream-header-too-large';
    case 'closed-before-response':
      return 'upstream-reset';
    case 'incomplete-head':
    case 'incomplete-body':
      return 'upstream-incomplete';
    default:
      return 'upstream-protocol';
  }
}
