// The one table from failure code to answer: status, close or keep, retryable, log level and Proxy-Status error (RFC 9209, section 2.3).

export interface Failure {
  /** Status of the answer that Portico makes; 499 is never sent, it marks a client that left. */
  readonly status: number;
  /** Close the downstream connection after the answer. */
  readonly close: boolean;
  /**
   * `always`: no byte of the request can have been acted on; `replayable`: only with a request that may be
   * sent again (RFC 9110, section 9.2.2); `never`.
   */
  readonly retry: 'always' | 'replayable' | 'never';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Error token of RFC 9209, section 2.3. */
  readonly proxyStatus: string;
  /** One sentence, sent as the body. Never names an address. */
  readonly text: string;
}

const refuse = (status: number, text: string, proxyStatus = 'http_request_error'): Failure => ({
  status,
  close: true,
  retry: 'never',
  level: 'info',
  proxyStatus,
  text,
});

const upstream = (status: number, retry: Failure['retry'], proxyStatus: string, text: string): Failure => ({
  status,
  close: false,
  retry,
  level: 'warn',
  proxyStatus,
  text,
});

export const FAILURES = {
  'bad-request': refuse(400, 'The request is not valid HTTP/1.1.'),
  'header-too-large': refuse(431, 'The request header is too large.'),
  'target-too-long': refuse(414, 'The request target is too long.'),
  'version-unsupported': refuse(505, 'Only HTTP/1.0 and HTTP/1.1 are spoken here.'),
  'coding-unsupported': refuse(501, 'The transfer coding is not supported.'),
  'expectation-unsupported': refuse(417, 'The expectation is not supported.'),
  'method-unsupported': refuse(501, 'The method is not supported.'),
  misdirected: {
    ...refuse(421, 'This connection was made for another host.'),
    close: false,
  },
  'body-too-slow': refuse(408, 'The request body came too slowly.'),
  'client-too-slow': refuse(408, 'The answer was read too slowly.'),
  'header-timeout': refuse(408, 'The request header did not arrive in time.'),
  'body-timeout': refuse(408, 'The request body did not arrive in time.'),
  'no-route': { ...refuse(404, 'No route matches this request.', 'destination_not_found'), close: false },
  'no-environment': {
    ...refuse(404, 'There is no such environment.', 'destination_not_found'),
    close: false,
  },
  'no-target': upstream(503, 'never', 'destination_unavailable', 'No target is available.'),
  'connection-limit': upstream(503, 'always', 'connection_limit_reached', 'Too many upstream connections.'),
  'pending-limit': upstream(
    503,
    'never',
    'connection_limit_reached',
    'Too many requests wait for an upstream connection.',
  ),
  'pending-timeout': upstream(
    503,
    'never',
    'connection_limit_reached',
    'No upstream connection came free in time.',
  ),
  'connect-refused': upstream(502, 'always', 'connection_refused', 'The target refused the connection.'),
  'connect-timeout': upstream(
    504,
    'always',
    'connection_timeout',
    'The target did not accept a connection in time.',
  ),
  'name-unresolved': upstream(502, 'always', 'dns_error', 'The name of the target could not be resolved.'),
  'local-limit': upstream(
    503,
    'always',
    'connection_limit_reached',
    'No descriptor or port is left for another connection.',
  ),
  'connect-failed': upstream(502, 'always', 'destination_ip_unroutable', 'The target could not be reached.'),
  'tls-handshake-failed': upstream(
    502,
    'always',
    'tls_protocol_error',
    'The TLS handshake with the target failed.',
  ),
  'certificate-invalid': upstream(
    502,
    'always',
    'tls_certificate_error',
    'The certificate of the target is not acceptable.',
  ),
  'upstream-reset': upstream(
    502,
    'replayable',
    'connection_terminated',
    'The target closed the connection before it answered.',
  ),
  'upstream-refused': upstream(
    502,
    'always',
    'connection_terminated',
    'The target refused the request without looking at it.',
  ),
  'stream-reset': upstream(502, 'never', 'connection_terminated', 'The target gave the request up.'),
  'target-lost': upstream(502, 'replayable', 'connection_terminated', 'The machine of the target is gone.'),
  'upstream-protocol': upstream(
    502,
    'never',
    'http_protocol_error',
    'The target answered with invalid HTTP.',
  ),
  'upstream-header-too-large': upstream(
    502,
    'never',
    'http_response_header_section_size',
    'The header of the answer is too large.',
  ),
  'upstream-incomplete': upstream(502, 'never', 'http_response_incomplete', 'The answer ended too early.'),
  'response-timeout': upstream(504, 'never', 'http_response_timeout', 'The target did not answer in time.'),
  'stream-idle': upstream(504, 'never', 'http_response_timeout', 'No byte arrived for too long.'),
  'tunnel-expired': {
    ...upstream(504, 'never', 'http_response_timeout', 'The tunnel lived for as long as it may.'),
    level: 'info',
  },
  'answer-too-slow': upstream(504, 'never', 'http_response_timeout', 'The answer came too slowly.'),
  'total-timeout': upstream(504, 'never', 'http_response_timeout', 'The exchange took too long.'),
  'upgrade-failed': upstream(502, 'never', 'http_upgrade_failed', 'The target answered the upgrade wrongly.'),
  'upgrade-unsupported': upstream(
    502,
    'always',
    'http_upgrade_failed',
    'The target takes no WebSockets over HTTP/2.',
  ),
  'client-aborted': { ...refuse(499, 'The client left.'), level: 'debug' },
  'client-limit': refuse(503, 'Too many connections.', 'connection_limit_reached'),
  'request-limit': {
    ...refuse(503, 'Too many requests are in progress.', 'http_request_denied'),
    close: false,
  },
  'client-request-limit': {
    ...refuse(503, 'Too many requests of this client are in progress.', 'http_request_denied'),
    close: false,
  },
  'request-rate': { ...refuse(429, 'Too many requests.', 'http_request_denied'), close: false },
  'client-request-rate': {
    ...refuse(429, 'Too many requests of this client.', 'http_request_denied'),
    close: false,
  },
  'memory-limit': refuse(503, 'There is no memory left for this request.', 'http_request_denied'),
  internal: { ...refuse(500, 'Portico failed on this request.', 'proxy_internal_error'), level: 'error' },
} as const satisfies Record<string, Failure>;

export type FailureCode = keyof typeof FAILURES;
