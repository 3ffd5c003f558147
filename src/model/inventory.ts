// What discovery has learned from Kubernetes, projected to the few fields that Portico uses.

import type { AddressType } from './config.ts';

export interface Inventory {
  readonly clusters: Readonly<Record<string, ClusterInventory>>;
}

/** `none`: nothing is known yet; `disk`: the last good state of an earlier run; `live`: listed by this process. */
export type InventoryOrigin = 'none' | 'disk' | 'live';

export interface ClusterInventory {
  readonly cluster: string;
  readonly origin: InventoryOrigin;
  /** When this was last known to agree with the API server, epoch milliseconds; 0 is never. */
  readonly syncedAtMs: number;
  readonly nodes: readonly NodeFact[];
  readonly services: readonly ServiceFact[];
  readonly slices: readonly EndpointSliceFact[];
  readonly unlisted: UnlistedObjects;
  /** Without it, everything that is read has been listed. */
  readonly unread?: UnreadNamespaces;
}

/**
 * Namespaces of which nothing is known, since no list has been taken: refused to us, or new in the configuration. That
 * an object of theirs is not there says nothing.
 */
export interface UnreadNamespaces {
  readonly services: readonly string[];
  readonly slices: readonly string[];
}

/**
 * What a list left out although no deletion had been announced by an event: a server that is half back does that, too.
 * Forgotten when the object is listed again, when its deletion is announced, and after 15 minutes.
 */
export interface UnlistedObjects {
  /** By name. */
  readonly nodes: readonly string[];
  /** By `namespace/name`. */
  readonly services: readonly string[];
  /** Services of which an endpoint slice is missing, by `namespace/name`. */
  readonly endpoints: readonly string[];
}

export const NOTHING_UNLISTED: UnlistedObjects = { nodes: [], services: [], endpoints: [] };

export interface ObjectIdentity {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Set once deletion was asked for (metadata.deletionTimestamp); null otherwise. */
  readonly deletionTimestamp: string | null;
}

export interface NodeFact extends ObjectIdentity {
  /** All labels: selectors are applied when targets are derived, so that a reload needs no new list. */
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly { readonly type: AddressType | string; readonly address: string }[];
  /** The Ready condition; a missing condition is `Unknown`. */
  readonly ready: 'True' | 'False' | 'Unknown';
  readonly unschedulable: boolean;
  readonly taints: readonly { readonly key: string; readonly effect: string }[];
}

export interface ServiceFact extends ObjectIdentity {
  readonly namespace: string;
  readonly type: string;
  readonly externalTrafficPolicy: 'Cluster' | 'Local';
  /** 0 when there is none. */
  readonly healthCheckNodePort: number;
  /** `IPv4`, `IPv6`. */
  readonly ipFamilies: readonly string[];
  /** `nodePort` is 0 when none is allocated. */
  readonly ports: readonly ServicePortFact[];
}

export interface ServicePortFact {
  readonly name: string;
  readonly port: number;
  readonly nodePort: number;
  readonly protocol: string;
}

export interface EndpointSliceFact extends ObjectIdentity {
  readonly namespace: string;
  /** From the label `kubernetes.io/service-name`. */
  readonly service: string;
  /** `IPv4`, `IPv6` or `FQDN`. */
  readonly addressType: string;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly EndpointFact[];
}

export interface EndpointFact {
  readonly addresses: readonly string[];
  readonly nodeName: string | null;
  /** A null condition in the API means true for ready and serving, false for terminating: filled in here. */
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/** A Secret of type `kubernetes.io/tls`. Never part of an inventory, so never on disk. */
export interface SecretFact extends ObjectIdentity {
  readonly namespace: string;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}
