// One situation of the growth benchmark, and the configuration that makes it.

export const POLICIES = [
  'round-robin',
  'random',
  'least-request',
  'peak-ewma',
  'rendezvous',
  'maglev',
  'ring-hash',
] as const;
export type Policy = (typeof POLICIES)[number];

export interface Setup {
  /** Client connections, one request in progress on each. */
  readonly connections: number;
  /** Routes, each with a host of its own. */
  readonly routes: number;
  /** Hosts that the requests name in turn. */
  readonly hosts: number;
  readonly targets: number;
  readonly policy: Policy;
  /** Fields that each request carries beside the four of the load. */
  readonly headers: number;
  readonly bodyBytes: number;
  readonly workers: number;
  readonly log: boolean;
  /** Whether metrics are read each second. */
  readonly scraped: boolean;
  /** Share of the client connections that speak TLS, 0 to 1. */
  readonly tlsShare: number;
}

export const BASE: Setup = {
  connections: 64,
  routes: 1,
  hosts: 1,
  targets: 3,
  policy: 'least-request',
  headers: 0,
  bodyBytes: 66,
  workers: 1,
  log: true,
  scraped: false,
  tlsShare: 0,
};

export interface Place {
  /** Holds tls.crt and tls.key, and gets the log. */
  readonly directory: string;
  readonly http: number;
  readonly https: number;
  /** Of the backend, on every loopback address. */
  readonly backend: number;
}

/** As the load names them. */
const hostOf = (index: number): string => `h${index}.bench.example`;

/** Every target is an address of its own, from 127.1.0.1 on; one backend answers on all of them. */
export const targetOf = (index: number, port: number): string =>
  `127.1.${(index >> 8) & 255}.${index & 255}:${port}`;

/** One source takes so many. */
const LONGEST_SOURCE = 10_000;

function sourcesOf(targets: number, backend: number): readonly { readonly static: readonly string[] }[] {
  return Array.from({ length: Math.ceil(targets / LONGEST_SOURCE) }, (_, at) => {
    const first = at * LONGEST_SOURCE;
    const length = Math.min(LONGEST_SOURCE, targets - first);
    return { static: Array.from({ length }, (_target, index) => targetOf(first + index + 1, backend)) };
  });
}

/** Bounds out of the way of the largest situation; checks seldom enough not to count beside requests. */
const LIMITS = {
  connectionsPerClient: 20_000,
  requestsPerClient: 20_000,
  requestsPerConnection: 1_000_000_000,
};
const CHECK_INTERVAL = '30s';
/** At a fixed rate, thousands of clients take some seconds until each has had its first turn. */
const TIMEOUTS = { header: '60s' };

/** Portico's configuration as YAML, which JSON is a part of. */
export function configurationOf(setup: Setup, { directory, http, https, backend }: Place): string {
  const hashes = setup.policy === 'rendezvous' || setup.policy === 'maglev' || setup.policy === 'ring-hash';
  const certificates = [{ cert: `${directory}/tls.crt`, key: `${directory}/tls.key` }];
  return JSON.stringify({
    workers: setup.workers,
    stateDirectory: null,
    admin: { bind: adminOf(directory) },
    log: { level: 'error', access: { path: setup.log ? `${directory}/access.log` : 'off' } },
    listeners: [
      { name: 'web', bind: `127.0.0.1:${http}`, protocol: 'http', limits: LIMITS, timeouts: TIMEOUTS },
      {
        name: 'websecure',
        bind: `127.0.0.1:${https}`,
        protocol: 'https',
        tls: { certificates },
        limits: LIMITS,
        timeouts: TIMEOUTS,
      },
    ],
    pools: [
      {
        name: 'app',
        sources: sourcesOf(setup.targets, backend),
        // All clients of the benchmark have one address: hosts tell requests apart.
        policy: hashes ? { name: setup.policy, key: 'host' } : setup.policy,
        health: { tcp: {}, interval: CHECK_INTERVAL },
      },
    ],
    routes: Array.from({ length: setup.routes }, (_, index) => ({
      name: `route-${index}`,
      hosts: [setup.routes === 1 ? '*' : hostOf(index)],
      rules: [{ pools: [{ name: 'app' }] }],
    })),
  });
}

export const adminOf = (directory: string): string => `unix:${directory}/admin.sock`;
