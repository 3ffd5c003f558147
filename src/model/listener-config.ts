// The configuration of listeners after defaults: addresses, TLS, limits and times.

import type { HostPattern } from './route-config.ts';

export type ListenerProtocol = 'http' | 'https' | 'tcp' | 'tls-passthrough' | 'mux';

export interface ListenerConfig {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly tls: ListenerTls | null;
  /** The pool of a `tcp` listener; null for the others. */
  readonly pool: string | null;
  /** Of a `tls-passthrough` listener; empty for the others. */
  readonly tlsRoutes: readonly TlsRouteConfig[];
  /** Of a `mux` listener; null for the others. */
  readonly mux: MuxConfig | null;
  /** Null where no client speaks through a sender of PROXY headers. */
  readonly proxyProtocol: ProxyProtocolIn | null;
  readonly limits: ListenerLimits;
  readonly timeouts: ListenerTimeouts;
  readonly paths: PathPolicy;
  /** What becomes of request fields whose name has an underscore. Default drop. */
  readonly underscores: 'drop' | 'refuse' | 'pass';
  readonly http2: Http2Config;
  /** Add a `Forwarded` field (RFC 7239) beside `X-Forwarded-*`. Default false. */
  readonly forwarded: boolean;
  /** `http` only: every request is redirected; null routes them. */
  readonly redirectToHttps: HttpsRedirect | null;
  /** `https` only: value of Strict-Transport-Security on answers of its routes; null sends none. */
  readonly hsts: string | null;
}

/** HTTP/2 on a listener: by ALPN over TLS, by its preface without. */
export interface Http2Config {
  /** Default true. */
  readonly enabled: boolean;
  /** Nothing else is spoken, as ports of gRPC may want it. Default false. */
  readonly only: boolean;
  /** Requests that a client may have open on one connection. 1 to 10000. Default 100 (RFC 9113, section 6.5.2). */
  readonly streams: number;
  /** Bytes of one request's body on their way and not taken by a target. 64 KiB to 16 MiB. Default 256 KiB. */
  readonly streamWindow: number;
  /** The same for all requests of a connection. 64 KiB to 64 MiB. Default 1 MiB. */
  readonly connectionWindow: number;
}

/** Choices where RFC 3986 leaves room; the defaults are those that no rule can be walked around with. */
export interface PathPolicy {
  /** Treat `//` as `/`. Default false: empty segments mean something to some applications. */
  readonly mergeSlashes: boolean;
  /** `%2F`: `keep` leaves it (it is data, not a separator), `refuse` answers 400, `decode` takes it for `/`. Default keep. */
  readonly encodedSlash: 'keep' | 'refuse' | 'decode';
  /** A backslash, raw or `%5C`, which some servers take for a separator: `slash` does so too. Default refuse. */
  readonly backslash: 'refuse' | 'keep' | 'slash';
  /** `;` and what follows it in a segment, which some servers cut off before they match: `refuse` answers 400. Default keep. */
  readonly parameters: 'keep' | 'refuse';
  /** What targets are sent: the path that rules were matched against, or the one that came. Default normalised. */
  readonly forward: 'normalised' | 'received';
}

/** TLS connections that go to a pool unopened (Gateway API, TLSRoute). */
export interface TlsRouteConfig {
  readonly hosts: readonly Exclude<HostPattern, { readonly kind: 'capture' }>[];
  /** Protocols of which the client must offer one; empty takes every client. */
  readonly alpn: readonly string[];
  readonly pools: readonly { readonly name: string; readonly weight: number }[];
}

/** Names of the listeners that take over what the first bytes of a connection show; null has none. */
export interface MuxConfig {
  readonly tls: string | null;
  readonly http: string | null;
  readonly ssh: string | null;
  /** Whatever is none of these, or has no listener of its own. */
  readonly default: string | null;
  /** A client that has said nothing for this long waits for an SSH server's banner. Default 300 ms. */
  readonly silenceMs: number;
}

export interface HttpsRedirect {
  /** Null is 443. */
  readonly port: number | null;
  readonly status: 301 | 302 | 307 | 308;
}

/** Who may say in a PROXY header (HAProxy's proxy-protocol.txt) which client a connection is from. */
export interface ProxyProtocolIn {
  /** CIDRs of the senders. */
  readonly from: readonly string[];
  /** `required`: connections without a header, or from elsewhere, are closed. Default `required`. */
  readonly mode: 'required' | 'optional';
  /** From the accept to the end of the header. Default 5 s. */
  readonly timeoutMs: number;
}

export interface ListenerTls {
  /** Chosen by SNI. Several for one name when their key types differ. */
  readonly certificates: readonly CertificateSource[];
  /** Clients that ask for a name that no certificate has, or for none. Default `default`: the first certificate. */
  readonly unknownNames: 'default' | 'refuse';
  /** Mozilla's profiles: `intermediate` is TLS 1.2 and 1.3, `modern` TLS 1.3 alone. Default `intermediate`. */
  readonly profile: TlsProfile;
  /** Session tickets (RFC 5077; RFC 8446, section 4.6.1). Default true. */
  readonly tickets: boolean;
  /** Null asks no client for a certificate. */
  readonly clientAuth: ClientAuthConfig | null;
}

export type TlsProfile = 'intermediate' | 'modern';

export type CertificateSource =
  | {
      readonly kind: 'files';
      /** Paths are absolute. */
      readonly cert: string;
      readonly key: string;
      /** File with the OCSP response to staple, DER; null staples none. */
      readonly ocsp: string | null;
    }
  /** A Secret of type `kubernetes.io/tls`. */
  | {
      readonly kind: 'secret';
      readonly cluster: string;
      readonly namespace: string;
      readonly name: string;
    };

export interface ClientAuthConfig {
  /** `optional` serves clients without a certificate, or with one that does not verify, too. */
  readonly mode: 'required' | 'optional';
  /** PEM file of the authorities whose client certificates are good. Absolute. */
  readonly ca: string;
  /** PEM file of revocation lists, one for each authority; null checks no revocation. Absolute. */
  readonly crl: string | null;
}

/** All per worker. Rates are per second, 0 is none; a burst of 0 is one second of its rate. */
export interface ListenerLimits {
  /** Open downstream connections. Default 20000. */
  readonly connections: number;
  /** Open downstream connections of one client address. Default 1000. */
  readonly connectionsPerClient: number;
  /** New connections. Default 0. */
  readonly connectionRate: number;
  readonly connectionBurst: number;
  /** New connections of one client address. Default 0. */
  readonly connectionRatePerClient: number;
  readonly connectionBurstPerClient: number;
  /** Requests in flight. Default 20000. */
  readonly requests: number;
  /** Requests in flight of one client address. Default 2000. */
  readonly requestsPerClient: number;
  /** Requests begun. Default 0. */
  readonly requestRate: number;
  readonly requestBurst: number;
  /** Requests begun by one client address. Default 0. */
  readonly requestRatePerClient: number;
  readonly requestBurstPerClient: number;
  /** Leading bits of an IPv4 address that make one client, 8 to 32. Default 32. */
  readonly clientPrefix4: number;
  /** Leading bits of an IPv6 address that make one client, 16 to 128. Default 64. */
  readonly clientPrefix6: number;
  /** Header fields in one message. Default 100. */
  readonly headerCount: number;
  /** Bytes of a message head, request line included. Default 32768. */
  readonly headerBytes: number;
  /** Bytes of the request line or of one header line. Default 16384. */
  readonly headerLineBytes: number;
  /** Bytes a second of a request body while it is waited for, over each `rateGraceMs`; 0 is none. Default 240. */
  readonly minBodyRate: number;
  /** Bytes a second of an answer that a client takes while it is waited for, over each `rateGraceMs`. Default 240. */
  readonly minReadRate: number;
  /** Requests that may be sent ahead of their answers. Default 256. */
  readonly pipelinedRequests: number;
  /** Bytes behind a request that are held until it is answered, at most 262144. Default 262144. */
  readonly pipelinedBytes: number;
  /** Requests answered on one downstream connection before it is closed. Default 100000. */
  readonly requestsPerConnection: number;
}

export interface ListenerTimeouts {
  /** From the first byte of a head (or the accept) to its end. Default 10 s. */
  readonly headerMs: number;
  /** Between two requests of a connection; for tcp, no byte in either direction. Defaults 60 s; tcp 1 h. */
  readonly idleMs: number;
  /** Time over which the least rates must be reached. Default 30 s. */
  readonly rateGraceMs: number;
}
