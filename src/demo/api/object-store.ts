// The stand-in cluster's objects, with one resourceVersion for all and a bounded history for watches.

import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from './kube-object.ts';

export const RESOURCES = ['namespaces', 'nodes', 'services', 'endpointslices'] as const;
export type Resource = (typeof RESOURCES)[number];

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: Resource;
  readonly version: number;
  readonly object: KubeObject;
}

export interface StoreOptions {
  /** A fresh uid for each object. */
  readonly uid: () => string;
  /** The time, epoch milliseconds. */
  readonly now: () => number;
  /** Events kept for watches that begin in the past; an older beginning is answered 410. Default 1000. */
  readonly history?: number;
}

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

export class ObjectStore {
  readonly #options: StoreOptions;
  readonly #objects = new Map<Resource, Map<string, KubeObject>>();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  #events: StoreEvent[] = [];
  #version = 1;
  /** Watches from before this version have lost events. */
  #oldest = 1;

  constructor(options: StoreOptions) {
    this.#options = options;
    for (const resource of RESOURCES) this.#objects.set(resource, new Map());
  }

  /** The version of the last change. */
  get version(): number {
    return this.#version;
  }

  get(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#of(resource).get(keyOf(namespace, name));
  }

  /** In the order of `namespace/name`, as etcd lists them. */
  list(resource: Resource, namespace?: string): readonly KubeObject[] {
    return [...this.#of(resource)]
      .filter(([, object]) => namespace === undefined || object.metadata.namespace === namespace)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  /** Creates or replaces; a replacement that changes nothing is no event. */
  put(resource: Resource, object: KubeObject): KubeObject {
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const old = this.#of(resource).get(key);
    const stamped = {
      ...object,
      metadata: {
        ...object.metadata,
        uid: old?.metadata.uid ?? this.#options.uid(),
        creationTimestamp:
          old?.metadata.creationTimestamp ??
          new Date(this.#options.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
        resourceVersion: old?.metadata.resourceVersion ?? '',
      },
    };
    if (old !== undefined && isDeepStrictEqual(old, stamped)) return old;
    return this.#commit(old === undefined ? 'ADDED' : 'MODIFIED', resource, key, stamped);
  }

  remove(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined {
    const key = keyOf(namespace, name);
    const old = this.#of(resource).get(key);
    return old === undefined ? undefined : this.#commit('DELETED', resource, key, old);
  }

  /** What happened to a kind of object after a version; null when that reaches back too far. */
  since(resource: Resource, version: number): readonly StoreEvent[] | null {
    if (version < this.#oldest) return null;
    return this.#events.filter((event) => event.resource === resource && event.version > version);
  }

  /** Forgets the history, as compaction does: every watch from the past is answered 410 then. */
  compact(): void {
    this.#events = [];
    this.#oldest = this.#version;
  }

  /** Called with every later event, in order; returns the way to stop. */
  subscribe(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #of(resource: Resource): Map<string, KubeObject> {
    return this.#objects.get(resource) as Map<string, KubeObject>;
  }

  #commit(type: StoreEvent['type'], resource: Resource, key: string, object: KubeObject): KubeObject {
    const version = ++this.#version;
    const committed = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    if (type === 'DELETED') this.#of(resource).delete(key);
    else this.#of(resource).set(key, committed);
    const event = { type, resource, version, object: committed };
    this.#events.push(event);
    while (this.#events.length > (this.#options.history ?? 1000)) {
      this.#oldest = (this.#events.shift() as StoreEvent).version;
    }
    for (const listener of this.#listeners) listener(event);
    return committed;
  }
}
