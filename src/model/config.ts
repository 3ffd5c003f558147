// The validated configuration: what the user wrote, with every default filled in and every duration in milliseconds.

export type Family = 'ipv4' | 'ipv6';
export type AddressType = 'InternalIP' | 'ExternalIP' | 'Hostname';

export interface Config {
  readonly clusters: readonly ClusterConfig[];
  readonly listeners: readonly ListenerConfig[];
  readonly pools: readonly PoolConfig[];
  readonly routes: readonly RouteConfig[];
  readonly admin: AdminConfig;
  readonly defaults: DefaultsConfig;
  /** CIDRs whose `X-Forwarded-*` and `X-Request-Id` are believed. Default: none. */
  readonly trustedProxies: readonly string[];
  readonly log: LogConfig;
  readonly memory: MemoryConfig;
  /** Worker processes; 0 means one for each available core. Default 0. */
  readonly workers: number;
  /** Where the last good inventory is kept; null keeps none. Default `./state` beside the configuration file. */
  readonly stateDirectory: string | null;
}

export interface ClusterConfig {
  readonly name: string;
  /** Null when `inCluster` is true. Paths are absolute after validation. */
  readonly kubeconfig: { readonly path: string; readonly context: string | null } | null;
  readonly inCluster: boolean;
  readonly nodes: NodeSelection;
  readonly kubeProxy: KubeProxyConfig;
  /** Largest share of a pool's targets that one step may remove without the probes' agreement, 0 to 1. Default 0.5. */
  readonly maxRemovedShare: number;
}

export interface NodeSelection {
  /** Kubernetes label selector (equality and set forms); null selects every node. */
  readonly selector: string | null;
  /** Which of a node's addresses is used. Default InternalIP. */
  readonly address: AddressType;
  /** Families wanted, in order of preference. Default [ipv4]. */
  readonly families: readonly Family[];
  /** True lets nodes carrying `node.kubernetes.io/exclude-from-external-load-balancers` take part. Default false. */
  readonly ignoreExcludeLabel: boolean;
}

export interface KubeProxyConfig {
  /** Probe kube-proxy's `/healthz` once for each node. Default true. */
  readonly healthz: boolean;
  /** Default 10256. */
  readonly port: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

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

/** What version 2 tells beside the addresses. */
export const PROXY_FACTS = ['authority', 'alpn', 'unique-id', 'tls'] as const;
export type ProxyFact = (typeof PROXY_FACTS)[number];

/** The PROXY header that begins each connection to a target. */
export interface ProxyProtocolOut {
  readonly version: 1 | 2;
  /** Version 2 only. Default none. */
  readonly facts: readonly ProxyFact[];
  /** Version 2 only: a CRC-32C. Default false. */
  readonly checksum: boolean;
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
  /** Bytes behind a request that are held until it is answered, at most 65536. Default 65536. */
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

export type PolicyName =
  | 'round-robin'
  | 'random'
  | 'least-request'
  | 'peak-ewma'
  | 'rendezvous'
  | 'maglev'
  | 'ring-hash';

export type HashKeyConfig =
  | { readonly kind: 'source-ip'; readonly prefix4: number; readonly prefix6: number }
  | { readonly kind: 'header' | 'cookie' | 'query' | 'capture'; readonly name: string }
  | { readonly kind: 'path' | 'host' };

export interface PolicyConfig {
  readonly name: PolicyName;
  /** Only for the hash policies; they default to source-ip (/32 and /128 here: no bits cut). */
  readonly key: HashKeyConfig | null;
  /** Candidates that least-request and peak-ewma compare. 2 to 16. Default 2. */
  readonly choices: number;
  /** Hash policies: a target may carry at most this many times the mean load; 0 is off. 1.05 to 10. Default 0. */
  readonly boundedLoad: number;
  /** maglev: prime table size. Default 65537. ring-hash: points per unit of weight. Default 160. */
  readonly tableSize: number;
  /** 16 bytes as 32 hex digits; every Portico of a fleet must share them. */
  readonly seed: string;
  readonly hashKey: string;
}

export interface SourceConfig {
  readonly kind: 'service' | 'static';
  /** `service` only. */
  readonly cluster: string | null;
  readonly namespace: string | null;
  readonly service: string | null;
  readonly port: string | number | null;
  /** externalTrafficPolicy Cluster: use nodes that host endpoints, and others only when those fail. Default false. */
  readonly preferNodesWithEndpoints: boolean;
  /** `static` only: `host:port`. */
  readonly addresses: readonly string[];
  /** Lower is used first. Default 0. */
  readonly priority: number;
  /** Share of the source among those of the same priority. Default 1. */
  readonly weight: number;
}

export type ProbeConfig =
  | {
      readonly kind: 'http';
      readonly path: string;
      readonly host: string | null;
      readonly statuses: readonly [number, number][];
    }
  | {
      /** `Check` of `grpc.health.v1`, over HTTP/2 whatever the pool's protocol. */
      readonly kind: 'grpc';
      /** Name that is asked for; '' is the server as a whole. Default ''. */
      readonly service: string;
      readonly host: string | null;
    }
  | { readonly kind: 'tcp' }
  | { readonly kind: 'ssh' };

export interface HealthConfig {
  readonly probe: ProbeConfig;
  /** Default 2 s. */
  readonly intervalMs: number;
  /** Interval while the last result was a failure. Default half of `intervalMs`. */
  readonly failingIntervalMs: number;
  /** Default 1 s. */
  readonly timeoutMs: number;
  /** Consecutive successes that make an unhealthy target healthy. Default 2. */
  readonly rise: number;
  /** Consecutive failures that make a healthy target unhealthy. Default 3. */
  readonly fall: number;
  /** Share of the interval by which each probe is moved at random, 0 to 1. Default 0.1. */
  readonly jitter: number;
}

export interface EjectionConfig {
  /** Consecutive connect failures that eject a target in this worker; 0 is off. Default 3. */
  readonly connectFailures: number;
  /** Consecutive 502, 503, 504 (or nonsense) that eject; 0 is off. Default 5. */
  readonly gatewayErrors: number;
  /** First ejection; doubles each time. Default 5 s. */
  readonly baseMs: number;
  /** Default 5 min. */
  readonly maxMs: number;
  /** Largest ejected share of a pool, 0 to 1. Default 0.5. */
  readonly maxShare: number;
}

export interface PoolConfig {
  readonly name: string;
  readonly sources: readonly SourceConfig[];
  readonly policy: PolicyConfig;
  /** Null: no active probe; passive ejection and node probes still apply. */
  readonly health: HealthConfig | null;
  /** What a target is before its first probe. `serve` takes traffic at once. Default `serve`. */
  readonly unknown: 'serve' | 'hold';
  readonly ejection: EjectionConfig;
  /** Time over which a new target's weight grows from a tenth to all of it; 0 is off. Default 0. */
  readonly slowStartMs: number;
  /** Below this available share health is ignored and everyone is used, 0 to 1. Default 0.5. */
  readonly panicThreshold: number;
  /** A priority group hands on to the next when its healthy share is below this, 0 to 1. Default 0.7. */
  readonly spilloverThreshold: number;
  /** Largest number of nodes of each source that take part; 0 is all. Default 0. */
  readonly subset: number;
  readonly timeouts: PoolTimeouts;
  readonly connections: UpstreamLimits;
  /** What targets are spoken to in: `http2` is known before without TLS, and asked for by ALPN with it. Default http1. */
  readonly protocol: 'http1' | 'http2';
  /** Null sends none. */
  readonly proxyProtocol: ProxyProtocolOut | null;
  /** Null speaks without TLS. */
  readonly tls: PoolTls | null;
}

/** TLS to the targets of a pool. */
export interface PoolTls {
  /** The target's certificate must be good, and for the name or address. Default true. */
  readonly verify: boolean;
  /** PEM file of the authorities whose certificates are good; null takes those that come with Node. Absolute. */
  readonly ca: string | null;
  /** The name asked for (SNI) and verified; null takes the target's own name, or its address without SNI. */
  readonly serverName: string | null;
  /** The host of the request as it is sent takes the place of `serverName`. Default false. */
  readonly serverNameFromHost: boolean;
  /** Shown to targets that ask for a certificate; null shows none. */
  readonly certificate: Extract<CertificateSource, { readonly kind: 'files' }> | null;
}

export interface PoolTimeouts {
  /** Default 1 s. */
  readonly connectMs: number;
  /** From the request's end to the response head. Default 60 s. */
  readonly responseHeaderMs: number;
  /** No byte in either direction during a body. Default 300 s. */
  readonly streamIdleMs: number;
  /** The same for tunnels, server-sent events and gRPC calls, which are silent by nature. Default 1 h. */
  readonly tunnelIdleMs: number;
  /** A tunnel is ended after this; 0 is never. Default 0. */
  readonly tunnelLifetimeMs: number;
  /** The whole exchange; 0 is none. Default 0. */
  readonly totalMs: number;
}

export interface UpstreamLimits {
  /** Idle connections kept for each target and worker. Default 64. */
  readonly idlePerTarget: number;
  /** An idle connection is closed after this. Default 55 s (below the usual 60 s of servers). */
  readonly idleMs: number;
  /** Requests on one connection before it is closed, with 10% jitter; 0 is no bound. Default 100: see docs/balancing.md. */
  readonly requests: number;
  /** Age at which a connection is closed when it becomes idle, with 10% jitter; 0 is no bound. Default 1 min. */
  readonly ageMs: number;
  /** Open connections to one target and worker. Default 4096. */
  readonly perTarget: number;
  /** New connections to one target and worker in a second; 0 is no bound. Default 0. */
  readonly startsPerSecond: number;
  /** How long a tcp connection waits for a target that may take it, when all are at that bound. Default 5 s. */
  readonly startWaitMs: number;
  /** Open connections to all targets of the pool and worker. Default 16384. */
  readonly perPool: number;
  /** Requests of a worker that may wait for a free connection. Default 1024. */
  readonly pending: number;
  /** How long a request waits for one. Default 2 s. */
  readonly pendingTimeoutMs: number;
  /** Bytes a second of an answer, over each `rateGraceMs` of the listener; 0 is none. Default 0. */
  readonly minAnswerRate: number;
}

export interface RouteConfig {
  readonly name: string;
  /** Listener names; empty means every http and https listener. */
  readonly listeners: readonly string[];
  readonly hosts: readonly HostPattern[];
  /** On http listeners its requests are redirected; null routes them. */
  readonly redirectToHttps: HttpsRedirect | null;
  /** Value of Strict-Transport-Security on https listeners; null takes the listener's. */
  readonly hsts: string | null;
  readonly rules: readonly RuleConfig[];
}

/** `*` alone is kind `any`; `*.example.com` is `wildcard` (one or more labels); `{x}.example.com` captures one label. */
export type HostPattern =
  | { readonly kind: 'any'; readonly text: string }
  | { readonly kind: 'exact'; readonly text: string; readonly host: string }
  | { readonly kind: 'wildcard'; readonly text: string; readonly suffix: string }
  | {
      readonly kind: 'capture';
      readonly text: string;
      readonly names: readonly string[];
      readonly regex: string;
    };

export interface RuleConfig {
  readonly name: string | null;
  /** Any one that fits is enough; empty matches everything. */
  readonly matches: readonly MatchConfig[];
  readonly filters: readonly FilterConfig[];
  readonly action: ActionConfig;
  readonly timeouts: RuleTimeouts;
  readonly retry: RetryConfig;
}

export type PathMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly value: string };

export type ValueMatch = {
  readonly name: string;
  readonly kind: 'exact' | 'regex' | 'present';
  readonly value: string;
};

export interface MatchConfig {
  readonly path: PathMatch | null;
  readonly method: string | null;
  readonly headers: readonly ValueMatch[];
  readonly query: readonly ValueMatch[];
}

export type ActionConfig =
  | { readonly kind: 'pools'; readonly pools: readonly { readonly name: string; readonly weight: number }[] }
  /** `service` is `namespace/name` with `{capture}`s; every match in the cluster becomes a pool of its own. */
  | {
      readonly kind: 'service';
      readonly cluster: string;
      readonly service: string;
      readonly port: string | number;
      readonly template: PoolConfig;
    }
  | {
      readonly kind: 'redirect';
      readonly scheme: string | null;
      readonly host: string | null;
      readonly port: number | null;
      readonly path: PathRewrite | null;
      readonly status: 301 | 302 | 303 | 307 | 308;
    }
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly body: string;
      readonly headers: readonly HeaderValue[];
    };

export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

export type PathRewrite =
  | { readonly kind: 'full'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string };

export type FilterConfig =
  | {
      readonly kind: 'request-headers' | 'response-headers';
      readonly set: readonly HeaderValue[];
      readonly add: readonly HeaderValue[];
      readonly remove: readonly string[];
    }
  | { readonly kind: 'rewrite'; readonly host: string | null; readonly path: PathRewrite | null };

/** Null leaves the pool's value in force. */
export interface RuleTimeouts {
  readonly responseHeaderMs: number | null;
  readonly streamIdleMs: number | null;
  readonly tunnelIdleMs: number | null;
  readonly tunnelLifetimeMs: number | null;
  readonly totalMs: number | null;
}

export interface RetryConfig {
  /** Attempts after the first. 0 to 10. Default 2. */
  readonly attempts: number;
  /** Answers that are retried when the request is idempotent and no byte went downstream. Default none. */
  readonly statuses: readonly number[];
  /** Retries per request allowed by the budget, as a share of recent requests, 0 to 1. Default 0.2. */
  readonly budget: number;
}

export interface DefaultsConfig {
  readonly timeouts: PoolTimeouts;
  readonly listenerTimeouts: ListenerTimeouts;
  readonly retry: RetryConfig;
  readonly limits: ListenerLimits;
}

export interface AdminConfig {
  /** A loopback address, another address, or `unix:/path`. Default 127.0.0.1:9901. */
  readonly host: string;
  readonly port: number;
  readonly unixPath: string | null;
  /** File holding the bearer token that changing calls need from other than loopback; null refuses them. */
  readonly tokenFile: string | null;
  /** Host names, beside the bind address and localhost, that requests may name. */
  readonly hosts: readonly string[];
}

export interface MemoryConfig {
  /** Resident memory of a worker above which it takes no new work; 0 is no limit. Default 1 GiB. */
  readonly perWorkerBytes: number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogConfig {
  readonly level: LogLevel;
  readonly access: AccessLogConfig;
}

export interface AccessLogConfig {
  /** `stdout`, `off` or an absolute path. Default stdout. */
  readonly path: string;
  /** Bytes a worker may hold back for a slow disk or pipe before it drops lines. Default 4 MiB. */
  readonly bufferBytes: number;
}
