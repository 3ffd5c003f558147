// The configuration of the scale benchmark: a pool and a route for every service of every cluster.

import { CLUSTERS, isLocal, nodePortOf, type Size, serviceName, servicesOf } from './objects.ts';

export interface Pool {
  readonly name: string;
  readonly host: string;
  readonly cluster: number;
  readonly service: number;
}

/** Services of each cluster that take traffic: three under policy `Cluster` and one under `Local`. */
const TRAFFIC_SERVICES = [0, 1, 2, 4];

export function poolsOf(size: Size): readonly Pool[] {
  return CLUSTERS.flatMap((name, cluster) =>
    Array.from({ length: servicesOf(size, cluster) }, (_, service) => ({
      name: `${name}-${serviceName(service)}`,
      host: `${serviceName(service)}.${name}.example.com`,
      cluster,
      service,
    })),
  );
}

export function trafficPools(size: Size): readonly Pool[] {
  return poolsOf(size).filter(({ service }) => TRAFFIC_SERVICES.includes(service));
}

/** Node ports that answer: those that take traffic, and those of `Local` services, whose new targets have to prove themselves. */
export function answeringPorts(size: Size): readonly number[] {
  const services = Array.from({ length: servicesOf(size, CLUSTERS.length - 1) }, (_, service) => service);
  return services.filter((service) => isLocal(service) || TRAFFIC_SERVICES.includes(service)).map(nodePortOf);
}

export interface Place {
  readonly directory: string;
  readonly port: number;
  readonly admin: string;
  readonly workers: number;
  readonly kubeProxyPort: number;
  readonly kubeProxyInterval: string;
}

/** JSON is YAML. */
export function configuration(size: Size, place: Place): string {
  const pools = poolsOf(size);
  return JSON.stringify({
    ...frame(place),
    clusters: CLUSTERS.map((name) => ({
      name,
      kubeconfig: { path: `./${name}.kubeconfig` },
      kubeProxy: { port: place.kubeProxyPort, interval: place.kubeProxyInterval },
    })),
    pools: pools.map(({ name, cluster, service }) => ({
      name,
      sources: [{ cluster: CLUSTERS[cluster], service: `shop/${serviceName(service)}`, port: 'http' }],
      // Nodes come and go by the dozen here, which is no reason to doubt the API.
      ...(isLocal(service) ? { slowStart: '0s' } : {}),
    })),
    routes: pools.map(({ name, host }) => ({ name, hosts: [host], rules: [{ pools: [{ name }] }] })),
  });
}

/** With one static pool: what workers need when there is nothing to know. */
export function idleConfiguration(place: Place): string {
  return JSON.stringify({
    ...frame(place),
    pools: [{ name: 'app', sources: [{ static: ['127.0.0.1:9'] }] }],
    routes: [{ name: 'app', hosts: ['*'], rules: [{ pools: [{ name: 'app' }] }] }],
  });
}

function frame({ directory, port, admin, workers }: Place): object {
  return {
    workers,
    stateDirectory: `${directory}/state`,
    admin: { bind: admin },
    log: { level: 'debug', access: { path: 'off' } },
    listeners: [{ name: 'web', bind: `127.0.0.1:${port}`, protocol: 'http' }],
  };
}

export function kubeconfig(port: number): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    clusters: [{ name: 'bench', cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: 'bench', user: {} }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
  });
}
