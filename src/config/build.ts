// What was written becomes the model's configuration: defaults merged, paths absolute, absent values null.

import { resolve } from 'node:path';
import type { AdminConfig, ClusterConfig, Config, DefaultsConfig } from '../model/config.ts';
import type { ListenerConfig, ListenerLimits, ListenerTls } from '../model/listener-config.ts';
import { buildPool } from './build-pool.ts';
import { buildRoute } from './build-route.ts';
import type { Written } from './schema/root.ts';

/** A tcp connection may be silent for long: a server that packs a large clone says nothing for minutes. */
const TCP_IDLE_MS = 3_600_000;

/** @param baseDirectory absolute directory that relative paths start from. */
export function buildConfig(written: Written, baseDirectory: string): Config {
  const absolute = (path: string): string => resolve(baseDirectory, path);
  const defaults = buildDefaults(written.defaults);
  const accessPath = written.log.access.path;
  return {
    clusters: written.clusters.map((cluster) => buildCluster(cluster, absolute)),
    listeners: written.listeners.map((listener) => buildListener(listener, defaults, absolute)),
    pools: written.pools.map((pool) => buildPool(pool, defaults, absolute)),
    routes: written.routes.map((route) => buildRoute(route, defaults, absolute)),
    admin: buildAdmin(written.admin, absolute),
    defaults,
    trustedProxies: written.trustedProxies,
    log: {
      level: written.log.level,
      access: {
        path: accessPath === 'stdout' || accessPath === 'off' ? accessPath : absolute(accessPath),
        bufferBytes: written.log.access.bufferBytes,
      },
    },
    memory: { perWorkerBytes: written.memory.perWorker },
    workers: written.workers,
    stateDirectory: written.stateDirectory === null ? null : absolute(written.stateDirectory),
  };
}

function buildDefaults({ timeouts, listenerTimeouts, retry, limits }: Written['defaults']): DefaultsConfig {
  return {
    timeouts: {
      connectMs: timeouts.connect,
      responseHeaderMs: timeouts.responseHeader,
      streamIdleMs: timeouts.streamIdle,
      tunnelIdleMs: timeouts.tunnelIdle,
      tunnelLifetimeMs: timeouts.tunnelLifetime,
      totalMs: timeouts.total,
    },
    listenerTimeouts: {
      headerMs: listenerTimeouts.header,
      idleMs: listenerTimeouts.idle,
      rateGraceMs: listenerTimeouts.rateGrace,
    },
    retry,
    limits,
  };
}

function buildCluster(
  cluster: Written['clusters'][number],
  absolute: (path: string) => string,
): ClusterConfig {
  const { kubeconfig, kubeProxy } = cluster;
  return {
    name: cluster.name,
    kubeconfig:
      kubeconfig === undefined
        ? null
        : { path: absolute(kubeconfig.path), context: kubeconfig.context ?? null },
    inCluster: cluster.inCluster,
    nodes: { ...cluster.nodes, selector: cluster.nodes.selector ?? null },
    kubeProxy: {
      healthz: kubeProxy.healthz,
      port: kubeProxy.port,
      intervalMs: kubeProxy.interval,
      timeoutMs: kubeProxy.timeout,
    },
    maxRemovedShare: cluster.maxRemovedShare,
  };
}

function buildListener(
  listener: Written['listeners'][number],
  defaults: DefaultsConfig,
  absolute: (path: string) => string,
): ListenerConfig {
  const { limits, timeouts } = listener;
  const isOpaque = listener.protocol === 'tcp' || listener.protocol === 'tls-passthrough';
  const idleMs = isOpaque ? TCP_IDLE_MS : defaults.listenerTimeouts.idleMs;
  return {
    name: listener.name,
    host: listener.bind.host,
    port: listener.bind.port,
    protocol: listener.protocol,
    tls: listener.tls === undefined ? null : buildTls(listener.tls, absolute),
    pool: listener.pool ?? null,
    tlsRoutes: listener.tlsRoutes ?? [],
    mux:
      listener.mux === undefined
        ? null
        : {
            tls: listener.mux.tls ?? null,
            http: listener.mux.http ?? null,
            ssh: listener.mux.ssh ?? null,
            default: listener.mux.default ?? null,
            silenceMs: listener.mux.silence,
          },
    proxyProtocol:
      listener.proxyProtocol === undefined
        ? null
        : {
            from: listener.proxyProtocol.from,
            mode: listener.proxyProtocol.mode,
            timeoutMs: listener.proxyProtocol.timeout,
          },
    limits: withDefaults(limits, defaults.limits),
    timeouts: {
      headerMs: timeouts.header ?? defaults.listenerTimeouts.headerMs,
      idleMs: timeouts.idle ?? idleMs,
      rateGraceMs: timeouts.rateGrace ?? defaults.listenerTimeouts.rateGraceMs,
    },
    paths: listener.paths,
    underscores: listener.underscores,
    http2: listener.http2,
    forwarded: listener.forwarded,
    redirectToHttps: listener.redirectToHttps ?? null,
    hsts: listener.hsts ?? null,
  };
}

function buildTls(
  tls: NonNullable<Written['listeners'][number]['tls']>,
  absolute: (path: string) => string,
): ListenerTls {
  const { certificates, unknownNames, profile, tickets, clientAuth } = tls;
  const orNull = (path: string | undefined): string | null => (path === undefined ? null : absolute(path));
  return {
    certificates: certificates.map(({ cert = '', key = '', ocsp, secret }) => {
      if (secret === undefined) {
        return { kind: 'files', cert: absolute(cert), key: absolute(key), ocsp: orNull(ocsp) };
      }
      const [namespace = '', name = ''] = secret.name.split('/');
      return { kind: 'secret', cluster: secret.cluster, namespace, name };
    }),
    unknownNames,
    profile,
    tickets,
    clientAuth:
      clientAuth === undefined
        ? null
        : { mode: clientAuth.mode, ca: absolute(clientAuth.ca), crl: orNull(clientAuth.crl) },
  };
}

/** What is written, and the defaults for the rest. */
function withDefaults(
  written: Written['listeners'][number]['limits'],
  common: ListenerLimits,
): ListenerLimits {
  const given = Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined));
  return { ...common, ...given };
}

function buildAdmin(admin: Written['admin'], absolute: (path: string) => string): AdminConfig {
  return {
    host: admin.bind.host,
    port: admin.bind.port,
    unixPath: admin.bind.unixPath === null ? null : absolute(admin.bind.unixPath),
    tokenFile: admin.tokenFile === undefined ? null : absolute(admin.tokenFile),
    hosts: admin.hosts,
  };
}
