// Owns what a service is worth to every node: its port, policy, families and where its endpoints run.

import type { Family } from '../../model/config.ts';
import type { EndpointFact, EndpointSliceFact, ServiceFact, ServicePortFact } from '../../model/inventory.ts';
import type { SourceConfig } from '../../model/pool-config.ts';
import type { Reason } from '../../model/targets.ts';
import { reason } from './reasons.ts';

/** Endpoints of one family on one node. */
export interface LocalEndpoints {
  readonly ready: number;
  /** Terminating, yet serving (KEP-1669): used by kube-proxy when no ready one is left. */
  readonly terminating: number;
}

/** One port of one service, with its endpoints; immutable. */
export interface ServiceView {
  /** `namespace/name`. */
  readonly name: string;
  /** Null when the API lists no such service. */
  readonly service: ServiceFact | null;
  /** 0 when there is none. */
  readonly nodePort: number;
  readonly policy: 'Cluster' | 'Local';
  /** Usable families in configured order, those with endpoints first. */
  readonly families: readonly Family[];
  readonly reasons: readonly Reason[];
  /** The slices that it was made from. */
  readonly slices: readonly EndpointSliceFact[];
  /** Node name -> endpoints; endpoints without a node name count for no node. */
  readonly local: Readonly<Record<Family, ReadonlyMap<string, LocalEndpoints>>>;
  /** Names of the nodes in `local`, sorted. */
  readonly hosts: readonly string[];
}

/** What of a namespace has not been listed: that it shows none is then no proof that there is none. */
export type UnreadKind = 'services' | 'endpoint slices';

const FAMILIES: Readonly<Record<string, Family>> = { IPv4: 'ipv4', IPv6: 'ipv6' };

/**
 * Judges one service port, whatever the node. Pure.
 * @param service null when the API lists no such service
 * @param slices the slices of this service, in any order
 * @param unread of its namespace; null when everything has been listed
 */
export function viewService(
  name: string,
  source: SourceConfig,
  service: ServiceFact | null,
  slices: readonly EndpointSliceFact[],
  wanted: readonly Family[],
  unread: UnreadKind | null = null,
): ServiceView {
  if (service === null) {
    const reasons = [unread === null ? reason('service-not-found') : unreadReason(unread, source)];
    return {
      name,
      service,
      nodePort: 0,
      policy: 'Cluster',
      families: wanted,
      reasons,
      slices,
      local: NONE,
      hosts: [],
    };
  }
  const reasons: Reason[] = [];
  if (service.deletionTimestamp !== null) reasons.push(reason('service-deleting'));
  const exposes = service.type === 'NodePort' || service.type === 'LoadBalancer';
  if (!exposes) reasons.push(reason('service-type', `its type is ${service.type}`));

  const port = findPort(service, source.port, reasons);
  if (port !== null && port.protocol !== 'TCP') {
    reasons.push(reason('protocol-mismatch', `its protocol is ${port.protocol}`));
  } else if (port !== null && exposes && port.nodePort === 0) {
    reasons.push(reason('nodeport-unallocated'));
  }

  // A service without ipFamilies comes from an API older than dual stack: its slices tell.
  const own = service.ipFamilies.map((family) => FAMILIES[family]);
  const shared = wanted.filter((family) => own.length === 0 || own.includes(family));
  if (shared.length === 0) {
    reasons.push(reason('family-mismatch', `the service has ${service.ipFamilies.join(' and ')} only`));
  }

  const served = shared.filter((family) => serves(slices, port, family));
  // Judged only where a port is known: a missing port says it all.
  if (port !== null && shared.length > 0 && served.length === 0) {
    reasons.push(unread === null ? reason('no-endpoints') : unreadReason(unread, source));
  }
  return new ListedService({
    name,
    service,
    nodePort: exposes ? (port?.nodePort ?? 0) : 0,
    policy: service.externalTrafficPolicy,
    families: [...served, ...shared.filter((family) => !served.includes(family))],
    reasons,
    slices,
    portName: port === null ? null : port.name,
  });
}

const NONE: ServiceView['local'] = { ipv4: new Map(), ipv6: new Map() };

/** Endpoints are counted when somebody asks: under policy `Cluster` hardly anybody does, whatever moves. */
class ListedService implements ServiceView {
  readonly name: string;
  readonly service: ServiceFact;
  readonly nodePort: number;
  readonly policy: 'Cluster' | 'Local';
  readonly families: readonly Family[];
  readonly reasons: readonly Reason[];
  readonly slices: readonly EndpointSliceFact[];
  /** Null where the source's port is not known. */
  readonly #portName: string | null;
  #local: ServiceView['local'] | null = null;
  #hosts: readonly string[] | null = null;

  constructor(view: Omit<ListedService, 'local' | 'hosts'> & { readonly portName: string | null }) {
    this.name = view.name;
    this.service = view.service;
    this.nodePort = view.nodePort;
    this.policy = view.policy;
    this.families = view.families;
    this.reasons = view.reasons;
    this.slices = view.slices;
    this.#portName = view.portName;
  }

  get local(): ServiceView['local'] {
    this.#local ??= this.#portName === null ? NONE : countEndpoints(this.slices, this.#portName);
    return this.#local;
  }

  get hosts(): readonly string[] {
    const { ipv4, ipv6 } = this.local;
    this.#hosts ??= [...new Set([...ipv4.keys(), ...ipv6.keys()])].sort();
    return this.#hosts;
  }
}

function unreadReason(unread: UnreadKind, { namespace }: SourceConfig): Reason {
  return reason('inventory-missing', `the ${unread} of the namespace ${namespace} have not been listed`);
}

function findPort(
  service: ServiceFact,
  wanted: string | number | null,
  reasons: Reason[],
): ServicePortFact | null {
  const candidates =
    wanted === null
      ? service.ports
      : service.ports.filter((port) =>
          typeof wanted === 'number' ? port.port === wanted : port.name === wanted,
        );
  const tcp = candidates.filter((port) => port.protocol === 'TCP');
  // A number may name a TCP and a UDP port at once (DNS).
  const found = tcp.length > 0 ? tcp : candidates;
  const first = found[0];
  if (first !== undefined && (wanted !== null || found.length === 1)) return first;
  const known = service.ports.map((port) =>
    port.name === '' ? `${port.port}` : `${port.name} (${port.port})`,
  );
  const list = known.length === 0 ? 'it has no port' : `it has ${known.join(', ')}`;
  const isNodePort = service.ports.some((port) => port.nodePort === wanted);
  const what =
    wanted === null
      ? 'no port is named and there are several'
      : isNodePort
        ? `${wanted} is a nodePort`
        : `${wanted} is missing`;
  reasons.push(reason('port-not-found', `${what}; ${list}`));
  return null;
}

function servesPort(slice: EndpointSliceFact, portName: string): boolean {
  return slice.ports.some(({ name }) => name === portName);
}

function isServing(endpoint: EndpointFact): boolean {
  return endpoint.ready || (endpoint.serving && endpoint.terminating);
}

function serves(slices: readonly EndpointSliceFact[], port: ServicePortFact | null, family: Family): boolean {
  return (
    port !== null &&
    slices.some(
      (slice) =>
        FAMILIES[slice.addressType] === family &&
        servesPort(slice, port.name) &&
        slice.endpoints.some(isServing),
    )
  );
}

/** An address that two slices list for a moment (endpoints move between slices) counts once, and ready wins. */
function countEndpoints(
  slices: readonly EndpointSliceFact[],
  portName: string,
): Record<Family, Map<string, LocalEndpoints>> {
  const seen = { ipv4: new Map<string, EndpointFact>(), ipv6: new Map<string, EndpointFact>() };
  for (const slice of slices) {
    const family = FAMILIES[slice.addressType];
    if (family === undefined || !servesPort(slice, portName)) continue;
    for (const endpoint of slice.endpoints) {
      if (endpoint.nodeName === null || !isServing(endpoint)) continue;
      const key = endpoint.addresses[0] ?? '';
      if (!seen[family].has(key) || isReady(endpoint)) seen[family].set(key, endpoint);
    }
  }
  return { ipv4: perNode(seen.ipv4), ipv6: perNode(seen.ipv6) };
}

/** With publishNotReadyAddresses a terminating endpoint is ready too; it still ends soon, so it counts as terminating. */
function isReady(endpoint: EndpointFact): boolean {
  return endpoint.ready && !endpoint.terminating;
}

function perNode(endpoints: ReadonlyMap<string, EndpointFact>): Map<string, LocalEndpoints> {
  const counts = new Map<string, LocalEndpoints>();
  for (const endpoint of endpoints.values()) {
    if (endpoint.nodeName === null) continue;
    const { ready, terminating } = counts.get(endpoint.nodeName) ?? { ready: 0, terminating: 0 };
    counts.set(
      endpoint.nodeName,
      isReady(endpoint) ? { ready: ready + 1, terminating } : { ready, terminating: terminating + 1 },
    );
  }
  return counts;
}
