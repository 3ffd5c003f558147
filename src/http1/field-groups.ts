// Fields that are treated alike wherever they stand: in heads that are passed on, and in trailers.

import { FieldId } from './field-id.ts';

/** Fields of one connection (RFC 9110, section 7.6.1; RFC 7540, section 3.2.1 for HTTP2-Settings) and of one hop's authentication. */
export const HOP_BY_HOP: readonly FieldId[] = [
  FieldId.Connection,
  FieldId.KeepAlive,
  FieldId.ProxyConnection,
  FieldId.ProxyAuthenticate,
  FieldId.ProxyAuthorization,
  FieldId.Te,
  FieldId.Trailer,
  FieldId.Upgrade,
  FieldId.Http2Settings,
];

/** Who the client is by its certificate: said by us, or by a trusted proxy before us, and by nobody else (RFC 9440, section 3). */
export const CERTIFICATE_FIELDS: readonly FieldId[] = [
  FieldId.XClientCertVerify,
  FieldId.XClientCertSubject,
  FieldId.XClientCertFingerprint,
  FieldId.ClientCert,
  FieldId.ClientCertChain,
];

/** What a proxy says of the client and of the request as it was, and Portico says anew. */
export const FORWARDING_FIELDS: readonly FieldId[] = [
  FieldId.XForwardedFor,
  FieldId.XForwardedProto,
  FieldId.XForwardedHost,
  FieldId.XRequestId,
  // Proxies speak of themselves to clients in it (RFC 9209); in a request nobody has a right to it.
  FieldId.ProxyStatus,
];

/** What a proxy says of these as well, and Portico does not: from trusted proxies alone. */
export const OTHER_FORWARDING_FIELDS: readonly FieldId[] = [
  FieldId.Forwarded,
  FieldId.XForwardedPort,
  FieldId.XForwardedServer,
  FieldId.XForwardedPrefix,
  FieldId.XForwarded,
  FieldId.FrontEndHttps,
  FieldId.XScheme,
  // Frameworks take the path from them, which would lead around a rule.
  FieldId.XOriginalUrl,
  FieldId.XRewriteUrl,
  FieldId.XRealIp,
  FieldId.XClientIp,
  FieldId.XClusterClientIp,
  FieldId.TrueClientIp,
];
