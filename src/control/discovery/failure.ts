// The one error class of discovery: why a list, a watch or a read of credentials did not work.

import type { RestartReason } from './counts.ts';

/** However long the server asks us to wait: what it says wrongly must not stop discovery for a day. */
const RETRY_AFTER_CAP_MS = 120_000;

/** The message is safe to log: it never holds a token, a key or bytes of a credential file. */
export class DiscoveryFailure extends Error {
  readonly reason: RestartReason;
  /** How long the server asked us to wait, milliseconds, 0 to 120,000; null when it did not. */
  readonly retryAfterMs: number | null;

  constructor(reason: RestartReason, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = 'DiscoveryFailure';
    this.reason = reason;
    this.retryAfterMs =
      retryAfterMs === null ? null : Math.min(RETRY_AFTER_CAP_MS, Math.max(0, retryAfterMs));
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
