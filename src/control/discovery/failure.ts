// The one error class of discovery: why a list, a watch or a read of credentials did not work.

import type { RestartReason } from './counts.ts';

/** The message is safe to log: it never holds a token, a key or bytes of a credential file. */
export class DiscoveryFailure extends Error {
  readonly reason: RestartReason;
  /** How long the server asked us to wait, milliseconds; null when it did not. */
  readonly retryAfterMs: number | null;

  constructor(reason: RestartReason, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = 'DiscoveryFailure';
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The code of a foreign error (`ECONNREFUSED`, `CERT_HAS_EXPIRED`), or its class name. Messages of foreign errors are
 * never passed on: a YAML parser quotes the line it stumbles over, and in a kubeconfig that line may be a token.
 */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error.cause instanceof Error) return errorCode(error.cause);
  return error.name;
}
