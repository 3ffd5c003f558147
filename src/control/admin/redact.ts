// The snapshot as it may be shown: without the values that configuration can hold as secrets.

import type { Snapshot } from '../../model/snapshot.ts';

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]';

/** Names of headers whose values are credentials. */
const SECRET_NAME = /auth|cookie|token|secret|passw|key|credential|session/i;

/** With the hash keys a client could choose its target; every other Portico has them from its own configuration. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(['seed', 'hashKey']);

/** A copy with the hash keys and the values of credential headers taken out. Private keys never are in a snapshot. */
export function redactSnapshot(snapshot: Snapshot): unknown {
  return redact(snapshot);
}

function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value);
  const name: unknown = 'name' in value ? value.name : undefined;
  const secret = typeof name === 'string' && SECRET_NAME.test(name);
  return Object.fromEntries(
    fields.map(([key, field]) => {
      if (SECRET_FIELDS.has(key)) return [key, REDACTED];
      if (secret && key === 'value' && typeof field === 'string') return [key, REDACTED];
      return [key, redact(field)];
    }),
  );
}
