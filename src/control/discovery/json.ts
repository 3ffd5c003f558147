// Reading JSON that nobody vouches for: bytes to a value, and the few shapes that every Kubernetes answer has.

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Decodes strict UTF-8 and parses it as a JSON object; undefined when it is anything else. */
export function parseJsonObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    // A lenient decoder would put U+FFFD into names and still parse.
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return isJsonObject(value) ? value : undefined;
  } catch {
    // Not UTF-8 or not JSON: the caller counts and reports it by its own reason.
    return undefined;
  }
}

/** What a `Status` object of the API says: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
export interface ApiStatus {
  /** HTTP status code; 0 when it names none. */
  readonly code: number;
  /** `Expired`, `Gone`, `TooManyRequests`, ...; empty when it names none. */
  readonly reason: string;
  /** One line of at most 300 characters. */
  readonly message: string;
  readonly retryAfterSeconds: number | null;
}

/** Reads a `Status` object leniently: every field is optional in the API. */
export function readApiStatus(value: JsonObject): ApiStatus {
  const details = isJsonObject(value['details']) ? value['details'] : {};
  const { code, reason, message } = value;
  const retryAfter = details['retryAfterSeconds'];
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : 0,
    reason: typeof reason === 'string' ? reason.slice(0, 100) : '',
    message: typeof message === 'string' ? oneLine(message).slice(0, 300) : '',
    retryAfterSeconds: typeof retryAfter === 'number' && retryAfter > 0 ? retryAfter : null,
  };
}

/** 410 in any of its spellings: older servers send `Gone`, newer ones `Expired`. */
export function isExpired(status: ApiStatus): boolean {
  return status.code === 410 || status.reason === 'Expired' || status.reason === 'Gone';
}

function oneLine(text: string): string {
  // Control characters of a hostile answer must not reach a terminal through the log.
  return text.replace(/\p{Cc}+/gu, ' ');
}
