// The kinds that discovery reads: where the API keeps them, what they are called, how they are projected.

import type { EndpointSliceFact, NodeFact, SecretFact, ServiceFact } from '../../model/inventory.ts';
import type { Resource } from './counts.ts';
import type { JsonObject } from './json.ts';
import {
  type Projection,
  projectEndpointSlice,
  projectNode,
  projectSecret,
  projectService,
} from './project.ts';

/** A fact of any kind: what the reflector needs to know to compare two versions. */
export type AnyFact = NodeFact | ServiceFact | EndpointSliceFact | SecretFact;

export interface Kind<Fact extends AnyFact> {
  readonly resource: Resource;
  /** `kind` of one object; a list's is this with `List` appended. */
  readonly kind: string;
  readonly apiVersion: string;
  readonly root: string;
  readonly project: (raw: JsonObject) => Projection<Fact>;
}

export const nodeKind: Kind<NodeFact> = {
  resource: 'nodes',
  kind: 'Node',
  apiVersion: 'v1',
  root: '/api/v1',
  project: projectNode,
};

export const serviceKind: Kind<ServiceFact> = {
  resource: 'services',
  kind: 'Service',
  apiVersion: 'v1',
  root: '/api/v1',
  project: projectService,
};

export const endpointSliceKind: Kind<EndpointSliceFact> = {
  resource: 'endpointslices',
  kind: 'EndpointSlice',
  apiVersion: 'discovery.k8s.io/v1',
  root: '/apis/discovery.k8s.io/v1',
  project: projectEndpointSlice,
};

export const secretKind: Kind<SecretFact> = {
  resource: 'secrets',
  kind: 'Secret',
  apiVersion: 'v1',
  root: '/api/v1',
  project: projectSecret,
};

/** The collection's path; `namespace` null means the whole cluster. */
export function collectionPath(kind: Kind<AnyFact>, namespace: string | null): string {
  const scope = namespace === null ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${kind.root}${scope}/${kind.resource}`;
}

/** Items of a list may leave out `kind` and `apiVersion`; when they are there they must be the right ones. */
export function isOfKind(kind: Kind<AnyFact>, raw: JsonObject): boolean {
  const { kind: name, apiVersion } = raw;
  return (
    (name === undefined || name === kind.kind) && (apiVersion === undefined || apiVersion === kind.apiVersion)
  );
}
