// Small numbers for the field names that Portico treats specially, found from raw bytes without making a string.

import { ALIAS, CLASSES } from './bytes.ts';

/**
 * Ids below 32 also have a bit in `MessageHead.seen`. `Dropped` marks a field that must not be forwarded (a name
 * with an underscore, or one that a backend could fold into a known name).
 */
export const FieldId = {
  Unknown: 0,
  Host: 1,
  Connection: 2,
  ContentLength: 3,
  TransferEncoding: 4,
  Expect: 5,
  Upgrade: 6,
  Te: 7,
  Trailer: 8,
  KeepAlive: 9,
  ProxyConnection: 10,
  ProxyAuthenticate: 11,
  ProxyAuthorization: 12,
  Http2Settings: 13,
  XForwardedFor: 14,
  XForwardedProto: 15,
  XForwardedHost: 16,
  XForwardedPort: 17,
  XRealIp: 18,
  Forwarded: 19,
  XRequestId: 20,
  Via: 21,
  MaxForwards: 22,
  Cookie: 23,
  UserAgent: 24,
  Referer: 25,
  Date: 26,
  Server: 27,
  ProxyStatus: 28,
  ContentType: 29,
  AcceptEncoding: 30,
  Authorization: 31,
  ContentEncoding: 32,
  ContentRange: 33,
  CacheControl: 34,
  Pragma: 35,
  Range: 36,
  IfMatch: 37,
  IfNoneMatch: 38,
  IfModifiedSince: 39,
  IfUnmodifiedSince: 40,
  IfRange: 41,
  SetCookie: 42,
  WwwAuthenticate: 43,
  AuthenticationInfo: 44,
  ProxyAuthenticationInfo: 45,
  Age: 46,
  Expires: 47,
  Location: 48,
  RetryAfter: 49,
  Vary: 50,
  Warning: 51,
  Accept: 52,
  AcceptLanguage: 53,
  ETag: 54,
  LastModified: 55,
  Origin: 56,
  ContentDisposition: 57,
  ContentLanguage: 58,
  ContentLocation: 59,
  XForwardedServer: 60,
  XForwardedPrefix: 61,
  TraceParent: 62,
  TraceState: 63,
  XClientCertVerify: 64,
  XClientCertSubject: 65,
  XClientCertFingerprint: 66,
  ClientCert: 67,
  ClientCertChain: 68,
  /** That name, and each name that begins with `X-Forwarded-` and has no id of its own. */
  XForwarded: 69,
  FrontEndHttps: 70,
  XScheme: 71,
  XOriginalUrl: 72,
  XRewriteUrl: 73,
  XClientIp: 74,
  XClusterClientIp: 75,
  TrueClientIp: 76,
  Dropped: 255,
} as const;
export type FieldId = (typeof FieldId)[keyof typeof FieldId];

/** Lower-case names by id; '' for `Unknown`. */
export const FIELD_NAMES: readonly string[] = Object.freeze([
  '',
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'http2-settings',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'forwarded',
  'x-request-id',
  'via',
  'max-forwards',
  'cookie',
  'user-agent',
  'referer',
  'date',
  'server',
  'proxy-status',
  'content-type',
  'accept-encoding',
  'authorization',
  'content-encoding',
  'content-range',
  'cache-control',
  'pragma',
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'set-cookie',
  'www-authenticate',
  'authentication-info',
  'proxy-authentication-info',
  'age',
  'expires',
  'location',
  'retry-after',
  'vary',
  'warning',
  'accept',
  'accept-language',
  'etag',
  'last-modified',
  'origin',
  'content-disposition',
  'content-language',
  'content-location',
  'x-forwarded-server',
  'x-forwarded-prefix',
  'traceparent',
  'tracestate',
  'x-client-cert-verify',
  'x-client-cert-subject',
  'x-client-cert-fingerprint',
  'client-cert',
  'client-cert-chain',
  'x-forwarded',
  'front-end-https',
  'x-scheme',
  'x-original-url',
  'x-rewrite-url',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
]);

const DASH = 45;
const FORWARDED: Uint8Array = new TextEncoder().encode('x-forwarded-');

const BUCKETS = 256;
/** First id of each bucket, and for each id the next one of its bucket; 0 ends. */
const FIRST = new Uint8Array(BUCKETS);
const NEXT = new Uint8Array(FIELD_NAMES.length);
/** All names one after the other, and where each begins; one more entry ends the last. */
const NAME_BYTES: Uint8Array = new TextEncoder().encode(FIELD_NAMES.join(''));
const NAME_START = new Uint16Array(FIELD_NAMES.length + 1);
for (const [id, name] of FIELD_NAMES.entries()) NAME_START[id + 1] = NAME_START[id]! + name.length;

/** Length and three letters: the case bit is set in each, so that case does not matter. */
function bucketOf(length: number, first: number, middle: number, last: number): number {
  return (length * 13 + (first | 32) * 3 + (middle | 32) * 7 + (last | 32) * 31) & (BUCKETS - 1);
}

for (let id = FIELD_NAMES.length - 1; id > 0; id--) {
  const start = NAME_START[id]!;
  const length = NAME_START[id + 1]! - start;
  const bucket = bucketOf(
    length,
    NAME_BYTES[start]!,
    NAME_BYTES[start + (length >> 1)]!,
    NAME_BYTES[start + length - 1]!,
  );
  NEXT[id] = FIRST[bucket]!;
  FIRST[bucket] = id;
}

/**
 * The id of the name in `bytes[start, end)`, which must not be empty. Only sound for validated tokens: setting the
 * case bit folds letters and leaves every other token byte of a known name as it is.
 */
export function fieldIdOf(bytes: Uint8Array, start: number, end: number): FieldId {
  const length = end - start;
  let id = FIRST[bucketOf(length, bytes[start]!, bytes[start + (length >> 1)]!, bytes[end - 1]!)]!;
  while (id !== 0) {
    let known = NAME_START[id]!;
    if (NAME_START[id + 1]! - known === length) {
      let p = start;
      while (p < end && (bytes[p]! | 32) === NAME_BYTES[known]) {
        p++;
        known++;
      }
      if (p === end) break;
    }
    id = NEXT[id]!;
  }
  if (id === FieldId.Unknown && isForwarded(bytes, start, length)) return FieldId.XForwarded;
  return id as FieldId;
}

/** Whether a name begins with `X-Forwarded-`: there are more of them than a list would know, and targets believe them. */
function isForwarded(bytes: Uint8Array, start: number, length: number): boolean {
  if (length < FORWARDED.length || bytes[start + 1] !== DASH) return false;
  let p = 0;
  while (p < FORWARDED.length && (bytes[start + p]! | 32) === FORWARDED[p]) p++;
  return p === FORWARDED.length;
}

/**
 * Whether the name is a known one with another mark in the place of some `-`: CGI-like backends read `_` and `.` so, some
 * every byte that is neither letter nor digit.
 */
export function isKnownAlias(bytes: Uint8Array, start: number, end: number): boolean {
  const folded = Uint8Array.prototype.slice.call(bytes, start, end);
  for (let i = 0; i < folded.length; i++) if ((CLASSES[folded[i]!]! & ALIAS) !== 0) folded[i] = DASH;
  return fieldIdOf(folded, 0, folded.length) !== FieldId.Unknown;
}
