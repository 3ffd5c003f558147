// Kubernetes objects as the API sends them -> the few fields that Portico uses, strictly checked.

import { isIP } from 'node:net';
import type {
  EndpointFact,
  EndpointSliceFact,
  NodeFact,
  ObjectIdentity,
  SecretFact,
  ServiceFact,
} from '../../model/inventory.ts';
import { canonical } from '../../proxy-protocol/addresses.ts';
import {
  arrayField,
  BadField,
  objectField,
  optionalBoolean,
  optionalPort,
  optionalString,
  stringArrayField,
  stringField,
  stringMapField,
} from './fields.ts';
import { isJsonObject, type JsonObject } from './json.ts';

const serviceNameLabel = 'kubernetes.io/service-name';

/** `skip`: a well-formed object that Portico has no use for. `bad`: a field used has a shape that it cannot have. */
export type Projection<Fact> =
  | { readonly kind: 'fact'; readonly fact: Fact }
  | { readonly kind: 'skip' }
  | { readonly kind: 'bad'; readonly field: string };

/** Core v1 Node: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/ */
export function projectNode(raw: JsonObject): Projection<NodeFact> {
  return project(() => {
    const metadata = objectField(raw, 'metadata', 'metadata');
    const spec = objectField(raw, 'spec', 'spec');
    const status = objectField(raw, 'status', 'status');
    return {
      ...identity(metadata),
      labels: stringMapField(metadata, 'labels', 'metadata.labels'),
      addresses: arrayField(status, 'addresses', 'status.addresses').map(nodeAddress),
      ready: readiness(arrayField(status, 'conditions', 'status.conditions')),
      unschedulable: optionalBoolean(spec, 'unschedulable', 'spec.unschedulable', false),
      taints: arrayField(spec, 'taints', 'spec.taints').map((taint) => ({
        key: stringField(taint, 'key', 'spec.taints.key'),
        effect: stringField(taint, 'effect', 'spec.taints.effect'),
      })),
    };
  });
}

/** Core v1 Service: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/ */
export function projectService(raw: JsonObject): Projection<ServiceFact> {
  return project(() => {
    const metadata = objectField(raw, 'metadata', 'metadata');
    const spec = objectField(raw, 'spec', 'spec');
    const policy = optionalString(spec, 'externalTrafficPolicy', 'spec.externalTrafficPolicy', 'Cluster');
    if (policy !== 'Cluster' && policy !== 'Local') throw new BadField('spec.externalTrafficPolicy');
    return {
      ...identity(metadata),
      namespace: stringField(metadata, 'namespace', 'metadata.namespace'),
      type: optionalString(spec, 'type', 'spec.type', 'ClusterIP'),
      externalTrafficPolicy: policy,
      healthCheckNodePort: optionalPort(spec, 'healthCheckNodePort', 'spec.healthCheckNodePort'),
      ipFamilies: stringArrayField(spec, 'ipFamilies', 'spec.ipFamilies'),
      ports: arrayField(spec, 'ports', 'spec.ports').map((port) => ({
        name: optionalString(port, 'name', 'spec.ports.name', ''),
        port: requiredPort(port, 'port', 'spec.ports.port'),
        nodePort: optionalPort(port, 'nodePort', 'spec.ports.nodePort'),
        protocol: optionalString(port, 'protocol', 'spec.ports.protocol', 'TCP'),
      })),
    };
  });
}

/**
 * discovery.k8s.io/v1 EndpointSlice:
 * https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
 * A slice without the service-name label belongs to no service and is skipped.
 */
export function projectEndpointSlice(raw: JsonObject): Projection<EndpointSliceFact> {
  return project(() => {
    const metadata = objectField(raw, 'metadata', 'metadata');
    const labels = stringMapField(metadata, 'labels', 'metadata.labels');
    const service = labels[serviceNameLabel];
    if (service === undefined || service === '') return null;
    const addressType = stringField(raw, 'addressType', 'addressType');
    if (!['IPv4', 'IPv6', 'FQDN'].includes(addressType)) throw new BadField('addressType');
    return {
      ...identity(metadata),
      namespace: stringField(metadata, 'namespace', 'metadata.namespace'),
      service,
      addressType,
      ports: arrayField(raw, 'ports', 'ports').map((port) => ({
        name: optionalString(port, 'name', 'ports.name', ''),
        port: optionalPort(port, 'port', 'ports.port'),
      })),
      endpoints: arrayField(raw, 'endpoints', 'endpoints').map(endpoint),
    };
  });
}

/** Core v1 Secret: https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets */
export function projectSecret(raw: JsonObject): Projection<SecretFact> {
  return project(() => {
    const metadata = objectField(raw, 'metadata', 'metadata');
    if (raw['type'] !== 'kubernetes.io/tls') throw new BadField('type');
    const data = objectField(raw, 'data', 'data');
    return {
      ...identity(metadata),
      namespace: stringField(metadata, 'namespace', 'metadata.namespace'),
      cert: Buffer.from(stringField(data, 'tls.crt', 'data.tls.crt'), 'base64').toString('utf8'),
      key: Buffer.from(stringField(data, 'tls.key', 'data.tls.key'), 'base64').toString('utf8'),
    };
  });
}

/**
 * The key of an object within its kind (`namespace/name`, or `name`), or undefined when it has no usable identity.
 * With `namespace` given, an object of another namespace has no business in the answer and counts as unusable.
 */
export function objectKey(raw: unknown, namespace: string | null): string | undefined {
  if (!isJsonObject(raw) || !isJsonObject(raw['metadata'])) return undefined;
  const { name, uid, namespace: own } = raw['metadata'];
  if (typeof name !== 'string' || name === '' || typeof uid !== 'string' || uid === '') return undefined;
  if (own !== undefined && typeof own !== 'string') return undefined;
  if (namespace !== null && own !== namespace) return undefined;
  return own === undefined || own === '' ? name : `${own}/${name}`;
}

function project<Fact>(read: () => Fact | null): Projection<Fact> {
  try {
    const fact = read();
    return fact === null ? { kind: 'skip' } : { kind: 'fact', fact };
  } catch (error) {
    if (error instanceof BadField) return { kind: 'bad', field: error.field };
    throw error;
  }
}

function identity(metadata: JsonObject): ObjectIdentity {
  return {
    name: stringField(metadata, 'name', 'metadata.name'),
    uid: stringField(metadata, 'uid', 'metadata.uid'),
    resourceVersion: stringField(metadata, 'resourceVersion', 'metadata.resourceVersion'),
    deletionTimestamp: optionalString(metadata, 'deletionTimestamp', 'metadata.deletionTimestamp', null),
  };
}

function nodeAddress(raw: JsonObject): { type: string; address: string } {
  const type = stringField(raw, 'type', 'status.addresses.type');
  const address = stringField(raw, 'address', 'status.addresses.address');
  // Traffic is sent to these: a text that is no address must never come as far as a socket.
  if ((type === 'InternalIP' || type === 'ExternalIP') && isIP(address) === 0) {
    throw new BadField('status.addresses.address');
  }
  if (address.length > 253) throw new BadField('status.addresses.address');
  // One address has one text: nodes that claim the same one, and configurations, are compared by it.
  return { type, address: isIP(address) === 6 && !address.includes('%') ? canonical(address) : address };
}

function readiness(conditions: readonly JsonObject[]): NodeFact['ready'] {
  const status = conditions.find((condition) => condition['type'] === 'Ready')?.['status'];
  if (status === undefined) return 'Unknown';
  if (status !== 'True' && status !== 'False' && status !== 'Unknown') {
    throw new BadField('status.conditions.status');
  }
  return status;
}

function requiredPort(parent: JsonObject, key: string, path: string): number {
  const port = optionalPort(parent, key, path);
  if (port === 0) throw new BadField(path);
  return port;
}

function endpoint(raw: JsonObject): EndpointFact {
  const conditions = objectField(raw, 'conditions', 'endpoints.conditions');
  const addresses = stringArrayField(raw, 'addresses', 'endpoints.addresses');
  if (addresses.length === 0) throw new BadField('endpoints.addresses');
  return {
    addresses,
    nodeName: optionalString(raw, 'nodeName', 'endpoints.nodeName', null),
    ready: optionalBoolean(conditions, 'ready', 'endpoints.conditions.ready', true),
    serving: optionalBoolean(conditions, 'serving', 'endpoints.conditions.serving', true),
    terminating: optionalBoolean(conditions, 'terminating', 'endpoints.conditions.terminating', false),
  };
}
