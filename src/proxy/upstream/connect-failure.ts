// What it is called when a connection to a target does not come to stand, and what that says of the target.

import type { FailureCode } from '../../model/failures.ts';

/** By the code of the error; everything else is `connect-failed`. */
const CONNECT_FAILURES: ReadonlyMap<string, FailureCode> = new Map([
  ['ECONNREFUSED', 'connect-refused'],
  ['ETIMEDOUT', 'connect-timeout'],
  // Descriptors of the process and of the system, local ports, memory of the kernel.
  ['EMFILE', 'local-limit'],
  ['ENFILE', 'local-limit'],
  ['EADDRNOTAVAIL', 'local-limit'],
  ['ENOBUFS', 'local-limit'],
  ['ENOMEM', 'local-limit'],
]);

/** The target itself has spoken: nobody in between is to blame. */
const ANSWERED: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'connect-refused',
  'tls-handshake-failed',
  'certificate-invalid',
]);

/**
 * Once the TCP connection stands, it is TLS that fails, also where the target just hangs up.
 * @param error null where the socket has closed without one
 * @param reached the target has accepted the TCP connection
 */
export function connectFailureOf(error: NodeJS.ErrnoException | null, reached: boolean): FailureCode {
  if (reached) return error === null ? 'tls-handshake-failed' : handshakeFailure(error);
  if (error === null) return 'connect-failed';
  if (error.syscall === 'getaddrinfo') return 'name-unresolved';
  return CONNECT_FAILURES.get(error.code ?? '') ?? 'connect-failed';
}

function handshakeFailure({ code = '' }: NodeJS.ErrnoException): FailureCode {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'certificate-invalid';
  // OpenSSL's verification codes have names of their own; everything else is the protocol's or the socket's.
  return code.startsWith('ERR_') || /^E[A-Z]+$/.test(code) || code === ''
    ? 'tls-handshake-failed'
    : 'certificate-invalid';
}

/** How the target has failed, for its record (`Target.onConnectFailed`). */
export function outcomeOf(code: FailureCode): 'refused' | 'silent' {
  return ANSWERED.has(code) ? 'refused' : 'silent';
}
