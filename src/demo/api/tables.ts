// The tables that `kubectl get` prints, rendered on the server's side as the real API does.

import { at, type Json, type JsonObject, type KubeObject } from './kube-object.ts';
import type { Resource } from './object-store.ts';

interface Column {
  readonly name: string;
  /** 0 is always printed, 1 with `-o wide`. */
  readonly priority: 0 | 1;
  cell(object: KubeObject, nowMs: number): string;
}

const items = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);
const text = (value: Json | undefined): string =>
  value === undefined || value === null ? '<none>' : String(value);
const joined = (values: readonly string[]): string => (values.length === 0 ? '<none>' : values.join(','));
const column = (name: string, cell: Column['cell'], priority: 0 | 1 = 0): Column => ({
  name,
  cell,
  priority,
});

const NAME = column('Name', (object) => object.metadata.name);
const AGE = column('Age', (object, nowMs) =>
  age(nowMs - Date.parse(object.metadata.creationTimestamp ?? '')),
);

const COLUMNS: Readonly<Record<Resource, readonly Column[]>> = {
  namespaces: [NAME, column('Status', (object) => text(at(object, 'status', 'phase'))), AGE],
  nodes: [
    NAME,
    column('Status', nodeStatus),
    column('Roles', () => '<none>'),
    AGE,
    column('Version', (object) => text(at(object, 'status', 'nodeInfo', 'kubeletVersion'))),
    column('Internal-IP', (object) => text(at(items(at(object, 'status', 'addresses'))[0], 'address')), 1),
  ],
  services: [
    NAME,
    column('Type', (object) => text(at(object, 'spec', 'type'))),
    column('Cluster-IP', (object) => text(at(object, 'spec', 'clusterIP'))),
    column('External-IP', () => '<none>'),
    column('Port(s)', (object) =>
      joined(
        items(at(object, 'spec', 'ports')).map(
          (port) => `${text(at(port, 'port'))}:${text(at(port, 'nodePort'))}/TCP`,
        ),
      ),
    ),
    AGE,
    column('Policy', (object) => text(at(object, 'spec', 'externalTrafficPolicy')), 1),
  ],
  endpointslices: [
    NAME,
    column('AddressType', (object) => text(at(object, 'addressType'))),
    column('Ports', (object) => joined(items(at(object, 'ports')).map((port) => text(at(port, 'port'))))),
    column('Endpoints', (object) =>
      joined(items(at(object, 'endpoints')).map((endpoint) => text(items(at(endpoint, 'addresses'))[0]))),
    ),
    AGE,
  ],
};

/** A `meta.k8s.io/v1` Table of the objects. */
export function tableOf(
  resource: Resource,
  objects: readonly KubeObject[],
  metadata: JsonObject,
  nowMs: number,
): JsonObject {
  const columns = COLUMNS[resource];
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: columns.map(({ name, priority }) => ({
      name,
      type: 'string',
      format: name === 'Name' ? 'name' : '',
      description: name,
      priority,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, nowMs)),
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
    })),
  };
}

function nodeStatus(node: KubeObject): string {
  const ready = items(at(node, 'status', 'conditions')).find(
    (condition) => at(condition, 'type') === 'Ready',
  );
  const words = [at(ready, 'status') === 'True' ? 'Ready' : 'NotReady'];
  if (at(node, 'spec', 'unschedulable') === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return `${Math.floor(seconds / 3600)}h`;
}
