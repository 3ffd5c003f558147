// The snapshot as it may be shown: without the values that configuration can hold as secrets.

import type { Snapshot } from '../../model/snapshot.ts';

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]';

/** Names of headers whose values are credentials. */
const SECRET_NAME = /auth|cookie|token|secret|passw|key|credential|session/i;

/** With the hash keys a client could choose its target; every other Portico has them from its own configuration. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(['seed', 'hashKey']);

/**
 * A copy with the hash keys taken out, and the values of headers: those that targets get, whatever their names, for
 * any of them may come from `${ENV}`, and elsewhere those of credential headers. What clients get is no secret.
 */
export function redactSnapshot(snapshot: Snapshot): unknown {
  return redact(snapshot, false);
}

/** @param forTargets within a filter whose headers only targets see */
function redact(value: unknown, forTargets: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => redact(item, forTargets));
  if (typeof value !== 'object' || value === null) return value;
  const hidden = forTargets || ('kind' in value && value.kind === 'request-headers');
  const name: unknown = 'name' in value ? value.name : undefined;
  const secret = hidden || (typeof name === 'string' && SECRET_NAME.test(name));
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => {
      if (SECRET_FIELDS.has(key)) return [key, REDACTED];
      if (secret && key === 'value' && typeof field === 'string') return [key, REDACTED];
      return [key, redact(field, hidden)];
    }),
  );
}
