// Projection: what is taken from API objects, what the API leaves out, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  objectKey,
  projectEndpointSlice,
  projectNode,
  projectService,
} from '../../../src/control/discovery/project.ts';
import { fc } from '../../support/properties.ts';
import type { RawObject } from '../../support/stand-in-api.ts';

const identity = { name: 'x', uid: 'u', resourceVersion: '7' };

test('a node gives its labels, addresses, readiness, cordon and taints', () => {
  const projection = projectNode({
    metadata: {
      ...identity,
      labels: { a: 'b' },
      deletionTimestamp: '2030-01-01T00:00:00Z',
      managedFields: [],
    },
    spec: { unschedulable: true, taints: [{ key: 'k', effect: 'NoSchedule', timeAdded: 'x' }] },
    status: {
      addresses: [
        { type: 'InternalIP', address: 'FD00:0::1' },
        { type: 'Hostname', address: 'n1' },
      ],
      conditions: [{ type: 'Ready', status: 'False' }],
      images: [],
    },
  });
  assert.deepEqual(projection, {
    kind: 'fact',
    fact: {
      ...identity,
      deletionTimestamp: '2030-01-01T00:00:00Z',
      labels: { a: 'b' },
      addresses: [
        { type: 'InternalIP', address: 'fd00::1' },
        { type: 'Hostname', address: 'n1' },
      ],
      ready: 'False',
      unschedulable: true,
      taints: [{ key: 'k', effect: 'NoSchedule' }],
    },
  });
});

test('what the API leaves out has its documented meaning', () => {
  assert.deepEqual(projectNode({ metadata: identity }), {
    kind: 'fact',
    fact: {
      ...identity,
      deletionTimestamp: null,
      labels: {},
      addresses: [],
      ready: 'Unknown',
      unschedulable: false,
      taints: [],
    },
  });
  assert.deepEqual(
    projectService({ metadata: { ...identity, namespace: 'a' }, spec: { ports: [{ port: 80 }] } }),
    {
      kind: 'fact',
      fact: {
        ...identity,
        deletionTimestamp: null,
        namespace: 'a',
        type: 'ClusterIP',
        externalTrafficPolicy: 'Cluster',
        healthCheckNodePort: 0,
        ipFamilies: [],
        ports: [{ name: '', port: 80, nodePort: 0, protocol: 'TCP' }],
      },
    },
  );
});

test('endpoint conditions that are absent or null are filled in, and null lists are empty', () => {
  const metadata = { ...identity, namespace: 'a', labels: { 'kubernetes.io/service-name': 's' } };
  const projection = projectEndpointSlice({
    metadata,
    addressType: 'IPv4',
    ports: [{ name: null, port: null }],
    endpoints: [
      { addresses: ['10.0.0.1'] },
      {
        addresses: ['10.0.0.2'],
        nodeName: 'n1',
        conditions: { ready: null, serving: null, terminating: null },
      },
      { addresses: ['10.0.0.3'], conditions: { ready: false, serving: true, terminating: true } },
    ],
  });
  assert.equal(projection.kind, 'fact');
  assert.deepEqual(projection.kind === 'fact' && projection.fact.ports, [{ name: '', port: 0 }]);
  assert.deepEqual(projection.kind === 'fact' && projection.fact.endpoints, [
    { addresses: ['10.0.0.1'], nodeName: null, ready: true, serving: true, terminating: false },
    { addresses: ['10.0.0.2'], nodeName: 'n1', ready: true, serving: true, terminating: false },
    { addresses: ['10.0.0.3'], nodeName: null, ready: false, serving: true, terminating: true },
  ]);
  const empty = projectEndpointSlice({ metadata, addressType: 'IPv4', ports: null, endpoints: null });
  assert.deepEqual(empty.kind === 'fact' && [empty.fact.ports, empty.fact.endpoints], [[], []]);
});

test('a slice without a service label is skipped', () => {
  const metadata = { ...identity, namespace: 'a' };
  assert.deepEqual(projectEndpointSlice({ metadata, addressType: 'IPv4' }), { kind: 'skip' });
});

const badObjects: [string, () => { kind: string; field?: string }][] = [
  ['metadata.uid', () => projectNode({ metadata: { ...identity, uid: 7 } })],
  ['metadata.labels', () => projectNode({ metadata: { ...identity, labels: { a: 1 } } })],
  ['metadata.labels', () => projectNode({ metadata: { ...identity, labels: ['a'] } })],
  ['metadata.deletionTimestamp', () => projectNode({ metadata: { ...identity, deletionTimestamp: 5 } })],
  ['spec', () => projectNode({ metadata: identity, spec: 'x' })],
  ['spec.unschedulable', () => projectNode({ metadata: identity, spec: { unschedulable: 'yes' } })],
  ['spec.taints', () => projectNode({ metadata: identity, spec: { taints: [null] } })],
  ['spec.taints.key', () => projectNode({ metadata: identity, spec: { taints: [{ effect: 'x' }] } })],
  ['status.addresses', () => projectNode({ metadata: identity, status: { addresses: {} } })],
  ['status.addresses.address', () => projectNode(withAddress('InternalIP', '10.0.0.256'))],
  ['status.addresses.address', () => projectNode(withAddress('ExternalIP', 'http://10.0.0.1'))],
  ['status.addresses.address', () => projectNode(withAddress('Hostname', 'x'.repeat(254)))],
  [
    'status.conditions.status',
    () => projectNode({ metadata: identity, status: { conditions: [{ type: 'Ready', status: true }] } }),
  ],
  ['metadata.namespace', () => projectService({ metadata: identity })],
  ['spec.externalTrafficPolicy', () => projectService(withSpec({ externalTrafficPolicy: 'local' }))],
  ['spec.healthCheckNodePort', () => projectService(withSpec({ healthCheckNodePort: 65_536 }))],
  ['spec.ipFamilies', () => projectService(withSpec({ ipFamilies: [4] }))],
  ['spec.ports.port', () => projectService(withSpec({ ports: [{ port: 0 }] }))],
  ['spec.ports.nodePort', () => projectService(withSpec({ ports: [{ port: 80, nodePort: 1.5 }] }))],
  ['spec.ports.nodePort', () => projectService(withSpec({ ports: [{ port: 80, nodePort: '30080' }] }))],
  ['addressType', () => projectEndpointSlice(withSlice({ addressType: 'IPv5' }))],
  ['endpoints.addresses', () => projectEndpointSlice(withSlice({ endpoints: [{ addresses: [] }] }))],
  [
    'endpoints.nodeName',
    () => projectEndpointSlice(withSlice({ endpoints: [{ addresses: ['a'], nodeName: 1 }] })),
  ],
  [
    'endpoints.conditions.ready',
    () => projectEndpointSlice(withSlice({ endpoints: [{ addresses: ['a'], conditions: { ready: 'no' } }] })),
  ],
];
for (const [index, [field, read]] of badObjects.entries()) {
  test(`an object with a bad ${field} is refused by the field's name (${index})`, () => {
    assert.deepEqual(read(), { kind: 'bad', field });
  });
}

test('no JSON value makes a projection throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (first, second, third) => {
      const raw = {
        metadata: { ...identity, namespace: 'a', labels: { 'kubernetes.io/service-name': 's' } },
        spec: first,
        status: second,
        addressType: 'IPv4',
        endpoints: third,
        ports: first,
      } as RawObject;
      for (const read of [projectNode, projectService, projectEndpointSlice]) read(raw);
      objectKey(first, null);
      objectKey({ metadata: second }, 'a');
    }),
  );
});

test('an object is known by namespace and name, and one of another namespace by nothing', () => {
  assert.equal(objectKey({ metadata: { name: 'x', uid: 'u' } }, null), 'x');
  assert.equal(objectKey({ metadata: { name: 'x', uid: 'u', namespace: 'a' } }, 'a'), 'a/x');
  assert.equal(objectKey({ metadata: { name: 'x', uid: 'u', namespace: 'a' } }, 'b'), undefined);
  for (const bad of [
    null,
    1,
    {},
    { metadata: {} },
    { metadata: { name: 'x' } },
    { metadata: { uid: 'u' } },
  ]) {
    assert.equal(objectKey(bad, null), undefined);
  }
});

function withAddress(type: string, address: string): RawObject {
  return { metadata: identity, status: { addresses: [{ type, address }] } };
}

function withSpec(spec: RawObject): RawObject {
  return { metadata: { ...identity, namespace: 'a' }, spec };
}

function withSlice(more: RawObject): RawObject {
  const metadata = { ...identity, namespace: 'a', labels: { 'kubernetes.io/service-name': 's' } };
  return { metadata, addressType: 'IPv4', ...more };
}
