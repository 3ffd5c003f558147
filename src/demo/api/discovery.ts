// The documents from which kubectl learns what the stand-in API serves.

import type { JsonObject } from './kube-object.ts';
import type { Resource } from './object-store.ts';

export interface ResourceKind {
  readonly resource: Resource;
  readonly kind: string;
  readonly apiVersion: string;
  /** `/api/v1` or `/apis/<group>/<version>`. */
  readonly root: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
}

const core = { apiVersion: 'v1', root: '/api/v1' } as const;

export const KINDS: readonly ResourceKind[] = [
  { ...core, resource: 'namespaces', kind: 'Namespace', namespaced: false, shortNames: ['ns'] },
  { ...core, resource: 'nodes', kind: 'Node', namespaced: false, shortNames: ['no'] },
  { ...core, resource: 'services', kind: 'Service', namespaced: true, shortNames: ['svc'] },
  {
    resource: 'endpointslices',
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    root: '/apis/discovery.k8s.io/v1',
    namespaced: true,
    shortNames: [],
  },
];

const VERSION = { groupVersion: 'discovery.k8s.io/v1', version: 'v1' };

const resourceList = (root: string, groupVersion: string): JsonObject => ({
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion,
  resources: KINDS.filter((kind) => kind.root === root).map(({ resource, kind, namespaced, shortNames }) => ({
    name: resource,
    singularName: kind.toLowerCase(),
    namespaced,
    kind,
    verbs: ['delete', 'get', 'list', 'patch', 'watch'],
    shortNames,
  })),
});

const GROUP = { name: 'discovery.k8s.io', versions: [VERSION], preferredVersion: VERSION };

/** Document by path. */
export const DISCOVERY: Readonly<Record<string, JsonObject>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [GROUP] },
  '/apis/discovery.k8s.io': { kind: 'APIGroup', apiVersion: 'v1', ...GROUP },
  '/api/v1': resourceList('/api/v1', 'v1'),
  '/apis/discovery.k8s.io/v1': resourceList('/apis/discovery.k8s.io/v1', 'discovery.k8s.io/v1'),
  '/version': {
    major: '1',
    minor: '36',
    gitVersion: 'v1.36.0-portico-demo',
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'none',
    platform: 'demo',
  },
};
