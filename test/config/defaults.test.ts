// The least configuration carries every default, the written forms of one value agree, and the result is frozen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../src/model/config.ts';
import { MINIMAL, valid } from './support.ts';

const POOL_TIMEOUTS = {
  connectMs: 1000,
  responseHeaderMs: 60_000,
  streamIdleMs: 300_000,
  tunnelIdleMs: 3_600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
const LIMITS = {
  connections: 20_000,
  connectionsPerClient: 1000,
  connectionRate: 0,
  connectionBurst: 0,
  connectionRatePerClient: 0,
  connectionBurstPerClient: 0,
  requests: 20_000,
  requestsPerClient: 2000,
  requestRate: 0,
  requestBurst: 0,
  requestRatePerClient: 0,
  requestBurstPerClient: 0,
  clientPrefix4: 32,
  clientPrefix6: 64,
  headerCount: 100,
  headerBytes: 32_768,
  headerLineBytes: 16_384,
  minBodyRate: 240,
  minReadRate: 240,
  pipelinedRequests: 256,
  pipelinedBytes: 262_144,
  requestsPerConnection: 100_000,
};
const RETRY = { attempts: 2, statuses: [], budget: 0.2 };

test('the least configuration carries every default', () => {
  const expected: Config = {
    clusters: [],
    listeners: [
      {
        name: 'web',
        host: '0.0.0.0',
        port: 8080,
        protocol: 'http',
        tls: null,
        pool: null,
        tlsRoutes: [],
        mux: null,
        proxyProtocol: null,
        limits: LIMITS,
        timeouts: { headerMs: 10_000, idleMs: 60_000, rateGraceMs: 30_000 },
        paths: {
          mergeSlashes: false,
          encodedSlash: 'keep',
          backslash: 'refuse',
          parameters: 'keep',
          forward: 'normalised',
        },
        underscores: 'drop',
        http2: {
          enabled: true,
          only: false,
          streams: 100,
          streamWindow: 262_144,
          connectionWindow: 1_048_576,
        },
        forwarded: false,
        redirectToHttps: null,
        hsts: null,
      },
    ],
    pools: [
      {
        name: 'app',
        sources: [
          {
            kind: 'static',
            cluster: null,
            namespace: null,
            service: null,
            port: null,
            preferNodesWithEndpoints: false,
            addresses: ['127.0.0.1:9001'],
            priority: 0,
            weight: 1,
          },
        ],
        policy: {
          name: 'least-request',
          key: null,
          choices: 2,
          boundedLoad: 0,
          tableSize: 0,
          seed: Buffer.from('portico-seed-v1\0').toString('hex'),
          hashKey: Buffer.from('portico-hash-v1\0').toString('hex'),
        },
        health: null,
        unknown: 'serve',
        ejection: { connectFailures: 3, gatewayErrors: 5, baseMs: 5000, maxMs: 300_000, maxShare: 0.5 },
        slowStartMs: 0,
        panicThreshold: 0.5,
        spilloverThreshold: 0.7,
        subset: 0,
        timeouts: POOL_TIMEOUTS,
        connections: {
          idlePerTarget: 256,
          idleMs: 55_000,
          requests: 100,
          leastAgeMs: 500,
          ageMs: 60_000,
          perTarget: 4096,
          startsPerSecond: 0,
          startWaitMs: 5000,
          perPool: 16_384,
          pending: 1024,
          pendingTimeoutMs: 2000,
          minAnswerRate: 0,
        },
        protocol: 'http1',
        proxyProtocol: null,
        tls: null,
      },
    ],
    routes: [
      {
        name: 'all',
        listeners: [],
        hosts: [{ kind: 'any', text: '*' }],
        redirectToHttps: null,
        hsts: null,
        rules: [
          {
            name: null,
            matches: [],
            filters: [],
            action: { kind: 'pools', pools: [{ name: 'app', weight: 1 }] },
            timeouts: {
              responseHeaderMs: null,
              streamIdleMs: null,
              tunnelIdleMs: null,
              tunnelLifetimeMs: null,
              totalMs: null,
            },
            retry: RETRY,
          },
        ],
      },
    ],
    admin: { host: '127.0.0.1', port: 9901, unixPath: null, tokenFile: null, hosts: [] },
    defaults: {
      timeouts: POOL_TIMEOUTS,
      listenerTimeouts: { headerMs: 10_000, idleMs: 60_000, rateGraceMs: 30_000 },
      retry: RETRY,
      limits: LIMITS,
    },
    trustedProxies: [],
    log: { level: 'info', access: { path: 'stdout', bufferBytes: 4 * 1024 * 1024 } },
    memory: { perWorkerBytes: 1024 ** 3 },
    workers: 0,
    stateDirectory: '/etc/portico/state',
  };
  assert.deepEqual(valid(MINIMAL), expected);
});

test('a cluster and a health check carry their defaults', () => {
  const config = valid(
    `${MINIMAL}clusters: [{ name: iad, inCluster: true }]\n`.replace(
      'sources:',
      'health: { http: {}, interval: 3s }, sources:',
    ),
  );
  assert.deepEqual(config.clusters[0], {
    name: 'iad',
    kubeconfig: null,
    inCluster: true,
    nodes: { selector: null, address: 'InternalIP', families: ['ipv4'], ignoreExcludeLabel: false },
    kubeProxy: { healthz: true, port: 10_256, intervalMs: 2000, timeoutMs: 1000 },
    maxRemovedShare: 0.5,
  });
  assert.deepEqual(config.pools[0]?.health, {
    probe: { kind: 'http', path: '/', host: null, statuses: [[200, 399]] },
    intervalMs: 3000,
    failingIntervalMs: 1500,
    timeoutMs: 1000,
    rise: 2,
    fall: 3,
    jitter: 0.1,
  });
});

test('defaults are merged field by field, and a tcp listener keeps its hour', () => {
  const config = valid(`
defaults:
  timeouts: { connect: 200ms, total: 5m }
  listenerTimeouts: { header: 3s, idle: 20s }
  limits: { headerCount: 50 }
  retry: { attempts: 1, statuses: [503] }
listeners:
  - { name: web, bind: ":8080", protocol: http, timeouts: { header: 4s }, limits: { headerBytes: 8KiB } }
  - { name: ssh, bind: ":2222", protocol: tcp, pool: app }
pools:
  - { name: app, sources: [{ static: ["127.0.0.1:9001"] }], timeouts: { connect: 2s } }
clusters: [{ name: iad, inCluster: true }]
routes:
  - name: all
    hosts: ["*"]
    rules:
      - { matches: [{ method: GET }], pools: [{ name: app }], retry: { attempts: 0 }, timeouts: { total: 1s } }
      - { service: { cluster: iad, name: a/b, port: "80", timeouts: { responseHeader: 1s } } }
`);
  assert.deepEqual(config.listeners[0]?.timeouts, { headerMs: 4000, idleMs: 20_000, rateGraceMs: 30_000 });
  assert.deepEqual(config.listeners[0]?.limits, { ...LIMITS, headerCount: 50, headerBytes: 8192 });
  assert.deepEqual(config.listeners[1]?.timeouts, { headerMs: 3000, idleMs: 3_600_000, rateGraceMs: 30_000 });
  assert.deepEqual(config.pools[0]?.timeouts, { ...POOL_TIMEOUTS, connectMs: 2000, totalMs: 300_000 });
  const [first, second] = config.routes[0]?.rules ?? [];
  assert.deepEqual(first?.retry, { attempts: 0, statuses: [503], budget: 0.2 });
  assert.deepEqual(first?.timeouts, {
    responseHeaderMs: null,
    streamIdleMs: null,
    tunnelIdleMs: null,
    tunnelLifetimeMs: null,
    totalMs: 1000,
  });
  assert.ok(second?.action.kind === 'service');
  assert.equal(second.action.port, 80);
  assert.equal(second.action.template.name, 'all/1');
  assert.deepEqual(second.action.template.timeouts, {
    connectMs: 200,
    responseHeaderMs: 1000,
    streamIdleMs: 300_000,
    tunnelIdleMs: 3_600_000,
    tunnelLifetimeMs: 0,
    totalMs: 300_000,
  });
});

test('paths start from the directory of the file, and null keeps no state', () => {
  const config = valid(
    `${MINIMAL}admin: { bind: "unix:run/a.sock", tokenFile: ../token }\nlog: { access: { path: /var/log/a.log } }\nstateDirectory: null\n`,
  );
  assert.deepEqual(config.admin, {
    host: '',
    port: 0,
    unixPath: '/etc/portico/run/a.sock',
    tokenFile: '/etc/token',
    hosts: [],
  });
  assert.equal(config.log.access.path, '/var/log/a.log');
  assert.equal(config.stateDirectory, null);
});

test('variables fill text, numbers and truth values, and two dollar signs are one', () => {
  const text = `
listeners: [{ name: "\${NAME}", bind: "127.0.0.1:\${PORT:-8080}", protocol: http, limits: { headerCount: "\${COUNT}" } }]
pools: [{ name: app, sources: [{ static: ["\${HOST}:\${PORT:-9001}"] }] }]
clusters: [{ name: iad, inCluster: "\${IN}" }]
routes: [{ name: all, hosts: ["*"], rules: [{ respond: { status: 200, body: "a$$b $c \${EMPTY:-d}\${EMPTY}$$\{x}" } }] }]
workers: \${COUNT}
`;
  const config = valid(text, { NAME: 'n', COUNT: '7', HOST: 'db.example.com', IN: 'true', EMPTY: '' });
  assert.equal(config.listeners[0]?.name, 'n');
  assert.equal(config.listeners[0]?.port, 8080);
  assert.equal(config.listeners[0]?.limits.headerCount, 7);
  assert.deepEqual(config.pools[0]?.sources[0]?.addresses, ['db.example.com:9001']);
  assert.equal(config.clusters[0]?.inCluster, true);
  assert.equal(config.workers, 7);
  const action = config.routes[0]?.rules[0]?.action;
  assert.equal(action?.kind === 'respond' && action.body, 'a$b $c d$' + '{x}');
});

test('the configuration is frozen through and through', () => {
  const visit = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null) {
      assert.ok(Object.isFrozen(value), path);
      for (const [key, inner] of Object.entries(value)) {
        visit(inner, `${path}.${key}`);
      }
    }
  };
  visit(valid(MINIMAL), 'config');
});
