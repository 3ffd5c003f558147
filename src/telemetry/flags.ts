// The short termination code of a log line for each failure of the failure table.

import type { FailureCode } from '../model/failures.ts';

/** Two letters: U upstream, D downstream, N none found, R refused, I internal; `-` when nothing failed. */
export const FLAGS = {
  'bad-request': 'DP',
  'header-too-large': 'DP',
  'target-too-long': 'DP',
  'version-unsupported': 'DP',
  'coding-unsupported': 'DP',
  'expectation-unsupported': 'DP',
  'method-unsupported': 'DP',
  misdirected: 'DP',
  'body-too-slow': 'DT',
  'client-too-slow': 'DT',
  'header-timeout': 'DT',
  'body-timeout': 'DT',
  'no-route': 'NR',
  'no-environment': 'NR',
  'no-target': 'UH',
  'connection-limit': 'UO',
  'pending-limit': 'UO',
  'pending-timeout': 'UO',
  'connect-refused': 'UF',
  'connect-timeout': 'UF',
  'name-unresolved': 'UF',
  'local-limit': 'UO',
  'connect-failed': 'UF',
  'tls-handshake-failed': 'UF',
  'certificate-invalid': 'UF',
  'upstream-reset': 'UC',
  'upstream-refused': 'UC',
  'stream-reset': 'UC',
  'target-lost': 'UC',
  'upstream-protocol': 'UP',
  'upstream-header-too-large': 'UP',
  'upstream-incomplete': 'UC',
  'response-timeout': 'UT',
  'stream-idle': 'UT',
  'tunnel-expired': 'UT',
  'answer-too-slow': 'UT',
  'total-timeout': 'UT',
  'upgrade-failed': 'UP',
  'upgrade-unsupported': 'UP',
  'client-aborted': 'DC',
  'client-limit': 'RL',
  'request-limit': 'RL',
  'client-request-limit': 'RL',
  'request-rate': 'RL',
  'client-request-rate': 'RL',
  'memory-limit': 'RL',
  internal: 'IN',
} as const satisfies Record<FailureCode, string>;

export type Flag = (typeof FLAGS)[FailureCode] | '-';

/** The flag of a failure; `-` for an exchange that ended well. */
export function flagOf(code: FailureCode | null): Flag {
  return code === null ? '-' : FLAGS[code];
}
