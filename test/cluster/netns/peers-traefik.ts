// Traefik outside the cluster with `nodePortLB`, the only peer that learns nodes from the API: as its documentation has it.

import { chown, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ServiceName } from '../objects.ts';
import type { Peer } from './peers.ts';
import { HTTP_PORT, SSH_PORT } from './ports.ts';

export interface Credentials {
  readonly server: string;
  /** PEM. */
  readonly authority: string;
  readonly token: string;
}

/** What makes Traefik balance over the nodes of a service; an annotation of the Service. */
export const NODE_PORT_ANNOTATION = 'traefik.ingress.kubernetes.io/service.nodeportlb=true';

/** Ingress objects with the routes that the others have, in the namespace of both services. */
export function ingressObject(unicorn: ServiceName, api: ServiceName): object {
  const backend = (service: ServiceName): object => ({
    service: { name: service.name, port: { name: HTTP_PORT.name } },
  });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      name: 'peers',
      namespace: unicorn.namespace,
      annotations: { 'traefik.ingress.kubernetes.io/router.middlewares': 'balancer@file' },
    },
    spec: {
      rules: [
        {
          http: {
            paths: [
              { path: '/api', pathType: 'Prefix', backend: backend(api) },
              { path: '/', pathType: 'Prefix', backend: backend(unicorn) },
            ],
          },
        },
      ],
    },
  };
}

/** Kinds that its provider for custom resources waits for, whether or not there is an object of them. */
const KINDS = [
  'IngressRoute',
  'IngressRouteTCP',
  'IngressRouteUDP',
  'Middleware',
  'MiddlewareTCP',
  'ServersTransport',
  'ServersTransportTCP',
  'TLSOption',
  'TLSStore',
  'TraefikService',
];
const GROUP = 'traefik.io';
const VERSION = 'v1alpha1';

/** TCP through `nodePortLB` has no Ingress: its own kind of object says it, and the API server must know that kind. */
export function customResourceDefinitions(): readonly object[] {
  return KINDS.map((kind) => {
    const singular = kind.toLowerCase();
    const plural = `${singular}s`;
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    return {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.${GROUP}` },
      spec: {
        group: GROUP,
        scope: 'Namespaced',
        names: { kind, listKind: `${kind}List`, plural, singular },
        versions: [{ name: VERSION, served: true, storage: true, schema, subresources: { status: {} } }],
      },
    };
  });
}

/** Where the API server serves them once it does. */
export function customResourcePaths(): readonly string[] {
  return KINDS.map((kind) => `/apis/${GROUP}/${VERSION}/${kind.toLowerCase()}s`);
}

/** Everything that comes to the entry point for ssh goes to the nodes of the service. */
export function sshRouteObject(ssh: ServiceName): object {
  return {
    apiVersion: `${GROUP}/${VERSION}`,
    kind: 'IngressRouteTCP',
    metadata: { name: 'peers-ssh', namespace: ssh.namespace },
    spec: {
      entryPoints: ['ssh'],
      routes: [
        {
          match: 'HostSNI(`*`)',
          services: [{ name: ssh.name, port: SSH_PORT.number, nodePortLB: true }],
        },
      ],
    },
  };
}

/** Writes what Traefik reads, and answers with its command line. */
export async function traefikCommand(
  traefik: string,
  { name, port, sshPort, uid }: Peer,
  directory: string,
  { server, authority, token }: Credentials,
): Promise<readonly string[]> {
  const files = {
    authority: path.join(directory, 'traefik-ca.pem'),
    dynamic: path.join(directory, 'traefik-dynamic.yaml'),
    static: path.join(directory, 'traefik.yaml'),
  };
  await writeFile(files.authority, authority);
  const headers = { customRequestHeaders: { 'X-Balancer': name } };
  // JSON is YAML as well.
  await writeFile(files.dynamic, JSON.stringify({ http: { middlewares: { balancer: { headers } } } }));
  const provider = { endpoint: server, token, certAuthFilePath: files.authority };
  const settings = {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: 'WARN' },
    entryPoints: { web: { address: `127.0.0.1:${port}` }, ssh: { address: `127.0.0.1:${sshPort}` } },
    providers: { kubernetesIngress: provider, kubernetesCRD: provider, file: { filename: files.dynamic } },
  };
  await writeFile(files.static, JSON.stringify(settings), { mode: 0o600 });
  await chown(files.static, uid, uid);
  return [traefik, `--configFile=${files.static}`];
}
