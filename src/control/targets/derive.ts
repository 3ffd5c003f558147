// Owns target derivation: a service source and the nodes of its cluster to every service x node, its state and its reasons.

import type { Family } from '../../model/config.ts';
import type { EndpointSliceFact } from '../../model/inventory.ts';
import type { SourceConfig } from '../../model/pool-config.ts';
import type { Reason } from '../../model/targets.ts';
import { type Candidate, judgeCandidate, outsideSubset } from './candidate.ts';
import type { NodeView, NodeViews } from './nodes.ts';
import { reason, strongestEffect } from './reasons.ts';
import type { ServiceView } from './services.ts';
import { cutToSubset } from './subset.ts';

/** What one source of a pool comes to. */
export interface DerivedSource {
  readonly kind: 'service' | 'static';
  readonly cluster: string | null;
  /** `namespace/name`; null for a static source. */
  readonly service: string | null;
  readonly serviceVersion: string;
  /** The slices of the service; none for static sources. */
  readonly slices: readonly EndpointSliceFact[];
  /** The nodePort; 0 when there is none, and for static sources. */
  readonly port: number;
  readonly policy: 'Cluster' | 'Local' | null;
  readonly healthCheckNodePort: number;
  /** The API lists no such service (or nothing is known of the cluster). */
  readonly missing: boolean;
  /** Reasons of the source itself, which hold for every node. */
  readonly reasons: readonly Reason[];
  /** Active and draining candidates with an address, sorted by node name. Shared between services where they are equal. */
  readonly members: readonly Candidate[];
  /** True when `members` depends on nothing but the nodes of the cluster and `families`. */
  readonly nodesOnly: boolean;
  /** Usable families in order. */
  readonly families: readonly Family[];
  /** The candidate of one node, excluded ones too; null when the API lists no such node. */
  candidateOf(node: string): Candidate | null;
}

interface JudgedNodes {
  readonly views: readonly NodeView[];
  /** Of each view. */
  readonly all: readonly Candidate[];
  /** Without those that are excluded; `all` itself where none is. */
  readonly list: readonly Candidate[];
}

/** Remembers member lists, so that an event costs what it changes; forgetting it changes nothing but time. */
export interface DerivationMemo {
  /** Lists that depend on nodes only: one for each cluster and family order, not one for each service. */
  readonly shared: WeakMap<NodeViews, Map<string, readonly Candidate[]>>;
  /** The last of them, by cluster and family order: nodes that stand where they stood are not looked up. */
  readonly lasting: Map<string, JudgedNodes>;
  /** Candidates of a node, by all else that they depend on: the family order and, under `Local`, endpoints on it. */
  readonly candidates: WeakMap<NodeView, Map<string, Candidate>>;
  readonly subsets: WeakMap<ServiceView, readonly Candidate[]>;
  /** Lists under `Local` stay as long as the hosting nodes do. */
  readonly local: WeakMap<
    ServiceView,
    {
      /** The nodes' own order, and where the hosts stand in the list. */
      readonly places: NodeViews['order']['places'];
      readonly indexes: readonly number[];
      readonly hosts: readonly NodeView[];
      readonly members: readonly Candidate[];
    }
  >;
}

export function createDerivationMemo(): DerivationMemo {
  return {
    shared: new WeakMap(),
    lasting: new Map(),
    candidates: new WeakMap(),
    subsets: new WeakMap(),
    local: new WeakMap(),
  };
}

/** Derives a service source. Pure but for `memo`, which only remembers. */
export function deriveService(
  source: SourceConfig,
  service: ServiceView,
  nodes: NodeViews,
  memo: DerivationMemo,
  subset = 0,
): DerivedSource {
  const blocked = strongestEffect(service.reasons) === 'excluded';
  const nodesOnly =
    !blocked &&
    service.policy === 'Cluster' &&
    !source.preferNodesWithEndpoints &&
    service.reasons.length === 0;
  const all = blocked
    ? []
    : nodesOnly
      ? sharedMembers(source, service, nodes, memo)
      : ownMembers(source, service, nodes, memo);
  const isCut = subset > 0 && all.length > subset;
  const list = isCut ? subsetOf(all, nodesOnly, subset, service, nodes, memo) : all;
  const candidateOf = (name: string): Candidate | null => {
    const view = nodes.byName.get(name);
    if (view === undefined) return null;
    const made = judgeCandidate(view, service, source);
    const isOutside = isCut && made.state !== 'excluded' && !list.some(({ node }) => node === name);
    return isOutside ? outsideSubset(made, subset) : made;
  };
  return {
    kind: 'service',
    cluster: nodes.cluster,
    service: service.name,
    serviceVersion: service.service?.resourceVersion ?? '',
    slices: service.slices,
    port: service.nodePort,
    policy: service.service === null ? null : service.policy,
    healthCheckNodePort: service.policy === 'Local' ? (service.service?.healthCheckNodePort ?? 0) : 0,
    missing: service.service === null,
    reasons: service.reasons,
    members: list,
    nodesOnly: nodesOnly && !isCut,
    families: service.families,
    candidateOf,
  };
}

function sharedMembers(
  source: SourceConfig,
  service: ServiceView,
  nodes: NodeViews,
  memo: DerivationMemo,
): readonly Candidate[] {
  let lists = memo.shared.get(nodes);
  if (lists === undefined) {
    lists = new Map();
    memo.shared.set(nodes, lists);
  }
  const key = service.families.join();
  const known = lists.get(key);
  if (known !== undefined) return known;
  const before = memo.lasting.get(`${nodes.cluster} ${key}`);
  const views = nodes.byAddress;
  // Which of those that were looked at before are excluded need not be looked up, either.
  let isWhole = before !== undefined && before.list === before.all;
  const all: Candidate[] = [];
  for (let index = 0; index < views.length; index++) {
    const view = views[index]!;
    if (before !== undefined && before.views[index] === view) all.push(before.all[index]!);
    else {
      const made = remembered(view, key, service, source, memo);
      if (made.state === 'excluded') isWhole = false;
      all.push(made);
    }
  }
  const found = isWhole ? all : all.filter(({ state }) => state !== 'excluded');
  const list = Object.freeze(found.length === all.length ? all : found);
  memo.lasting.set(`${nodes.cluster} ${key}`, { views, all, list });
  lists.set(key, list);
  return list;
}

/** Under `Local` only nodes that host an endpoint can be members: the others are looked at when someone asks why. */
function ownMembers(
  source: SourceConfig,
  service: ServiceView,
  nodes: NodeViews,
  memo: DerivationMemo,
): readonly Candidate[] {
  if (service.policy === 'Cluster') return members(source, service, nodes.byAddress, null);
  const known = memo.local.get(service);
  const { places } = nodes.order;
  const isSame =
    known?.places === places && known.indexes.every((index, i) => nodes.list[index] === known.hosts[i]);
  if (isSame) return known.members;
  const indexes = service.hosts.map((name) => places.get(name)).filter((index) => index !== undefined);
  const hosts = indexes.map((index) => nodes.list[index]!);
  const list = members(source, service, hosts, service.reasons.length === 0 ? memo : null);
  const same = known !== undefined && isSameList(known.members, list) ? known.members : list;
  memo.local.set(service, { places, indexes, hosts, members: same });
  return same;
}

function isSameList<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function members(
  source: SourceConfig,
  service: ServiceView,
  views: readonly NodeView[],
  memo: DerivationMemo | null,
): readonly Candidate[] {
  const found: Candidate[] = [];
  const families = service.families.join();
  for (const view of views) {
    const made =
      memo === null
        ? judgeCandidate(view, service, source)
        : remembered(view, localKey(families, view, service), service, source, memo);
    if (made.state !== 'excluded') found.push(made);
  }
  return Object.freeze(found);
}

/** The same object for the same node and key, so that whoever has judged it need not look again. */
function remembered(
  view: NodeView,
  key: string,
  service: ServiceView,
  source: SourceConfig,
  memo: DerivationMemo,
): Candidate {
  let known = memo.candidates.get(view);
  if (known === undefined) {
    known = new Map();
    memo.candidates.set(view, known);
  }
  let made = known.get(key);
  if (made === undefined) {
    made = judgeCandidate(view, service, source);
    known.set(key, made);
  }
  return made;
}

function localKey(families: string, { node }: NodeView, { local }: ServiceView): string {
  const ipv4 = local.ipv4.get(node.name);
  const ipv6 = local.ipv6.get(node.name);
  return `${families} ${ipv4?.ready}/${ipv4?.terminating} ${ipv6?.ready}/${ipv6?.terminating}`;
}

/** The same list as before when the same candidates are in it. */
function subsetOf(
  all: readonly Candidate[],
  nodesOnly: boolean,
  subset: number,
  service: ServiceView,
  nodes: NodeViews,
  memo: DerivationMemo,
): readonly Candidate[] {
  const key = service.families.join();
  const byNode = nodesOnly ? null : new Map(all.map((candidate) => [candidate.node, candidate]));
  const candidateOf = (view: NodeView): Candidate | undefined =>
    byNode === null ? memo.candidates.get(view)?.get(key) : byNode.get(view.node.name);
  const list = cutToSubset(candidateOf, subset, service.name, nodes);
  const known = memo.subsets.get(service);
  if (known !== undefined && isSameList(known, list)) return known;
  memo.subsets.set(service, list);
  return list;
}

/** Static addresses are always members; a DNS name is kept as it is. The last colon parts host and port. */
export function deriveStatic(source: SourceConfig): DerivedSource {
  const found = new Map<string, Candidate>();
  for (const text of source.addresses) {
    const colon = text.lastIndexOf(':');
    const address = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
    found.set(text, {
      cluster: null,
      node: null,
      nodeUid: null,
      address,
      port: Number(text.slice(colon + 1)),
      weight: 1,
      state: 'active',
      lastResort: false,
      reasons: [reason('static')],
      nodeVersion: '',
    });
  }
  return {
    kind: 'static',
    cluster: null,
    service: null,
    serviceVersion: '',
    slices: [],
    port: 0,
    policy: null,
    healthCheckNodePort: 0,
    missing: false,
    reasons: [],
    members: [...found.values()],
    nodesOnly: false,
    families: [],
    candidateOf: () => null,
  };
}

/** `address:port`, with IPv6 in brackets. */
export function identityOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
