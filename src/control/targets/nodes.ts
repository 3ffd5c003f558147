// Owns what a node is worth to every pool of its cluster: its addresses, its state and the reasons, whatever the service.

import { isIP } from 'node:net';
import type { Family, NodeSelection } from '../../model/config.ts';
import type { NodeFact } from '../../model/inventory.ts';
import type { Reason } from '../../model/targets.ts';
import { isMachineAddress } from './machine-address.ts';
import { pointOf } from './point.ts';
import { reason } from './reasons.ts';
import { matchesSelector, type ParsedSelector } from './selector.ts';

/** Well-known label (kubernetes.io, "Well-Known Labels"): presence counts, the value is ignored. */
export const EXCLUDE_LABEL = 'node.kubernetes.io/exclude-from-external-load-balancers';
/** Taint of the cluster autoscaler before it deletes a node. */
export const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';
/** Taints of Karpenter: `disrupted` since v1, `disruption` before. */
export const KARPENTER_TAINTS: readonly string[] = ['karpenter.sh/disrupted', 'karpenter.sh/disruption'];

/** One node as every pool of the cluster sees it; immutable. */
export interface NodeView {
  readonly cluster: string;
  readonly node: NodeFact;
  /** The address for each family, empty when there is none; a host name stands for both. */
  readonly addresses: Readonly<Record<Family, string>>;
  /** Node-level reasons only: empty when there is nothing to say. */
  readonly reasons: readonly Reason[];
}

/** All nodes of a cluster, sorted by name. */
export interface NodeViews {
  readonly cluster: string;
  readonly families: readonly Family[];
  readonly list: readonly NodeView[];
  readonly byName: NodeIndex;
  /** The same in the order in which targets stand in a snapshot: by address as an identity begins. */
  readonly byAddress: readonly NodeView[];
  readonly order: NodeOrder;
}

/** Nodes by name. */
export interface NodeIndex {
  get(name: string): NodeView | undefined;
  has(name: string): boolean;
}

/** Where nodes stand, by their place in the list that they were joined from. */
export interface NodeOrder {
  readonly views: readonly NodeView[];
  readonly byName: readonly number[];
  /** Name -> index in the list that is sorted by name. */
  readonly places: ReadonlyMap<string, number>;
  readonly byAddress: readonly number[];
  /** By the point of the address on a circle of 32 bits, and those points: see subset.ts. */
  readonly circle: readonly number[];
  readonly points: readonly number[];
  /** Two nodes claim an address. */
  readonly contested: boolean;
}

/** Judges one node by labels, taints, deletion, readiness and operator drains. Pure. */
export function viewNode(
  cluster: string,
  node: NodeFact,
  selection: NodeSelection,
  selector: ParsedSelector,
  drained: boolean,
): NodeView {
  const reasons: Reason[] = [];
  if (!selector.ok)
    reasons.push(reason('selector-mismatch', `nodes.selector is invalid, ${selector.problem}`));
  else if (!matchesSelector(selector.requirements, node.labels)) reasons.push(reason('selector-mismatch'));
  if (!selection.ignoreExcludeLabel && Object.hasOwn(node.labels, EXCLUDE_LABEL)) {
    reasons.push(reason('excluded-label'));
  }
  if (node.taints.some(({ key }) => key === AUTOSCALER_TAINT)) {
    reasons.push(reason('tainted-cluster-autoscaler'));
  }
  if (node.taints.some(({ key }) => KARPENTER_TAINTS.includes(key)))
    reasons.push(reason('tainted-karpenter'));
  if (node.deletionTimestamp !== null) reasons.push(reason('node-deleting'));
  if (drained) reasons.push(reason('operator-drain'));
  if (node.ready !== 'True') reasons.push(reason('not-ready'));
  if (node.unschedulable) reasons.push(reason('cordoned'));
  const addresses = nodeAddresses(node, selection);
  if (addresses.ipv4 === '' && addresses.ipv6 === '') {
    const refused = node.addresses.find(({ type, address }) => type === selection.address && address !== '');
    const why = refused === undefined ? '' : `, and ${refused.address} cannot be that of a node`;
    reasons.push(reason('no-address', `nodes.address is ${selection.address}${why}`));
  }
  return Object.freeze({ cluster, node, addresses, reasons: Object.freeze(reasons) });
}

/**
 * The first address of the chosen type for each family: nftables kube-proxy answers node ports on primary addresses only.
 * A host name (type Hostname) is kept as it is and stands for every family.
 */
function nodeAddresses(node: NodeFact, selection: NodeSelection): Record<Family, string> {
  const addresses: Record<Family, string> = { ipv4: '', ipv6: '' };
  for (const { type, address } of node.addresses) {
    if (type !== selection.address || address === '') continue;
    const version = isIP(address);
    if (version !== 0 && !isMachineAddress(address)) continue;
    if (version === 4) addresses.ipv4 ||= address;
    else if (version === 6) addresses.ipv6 ||= address;
    else if (selection.address === 'Hostname') {
      addresses.ipv4 ||= address;
      addresses.ipv6 ||= address;
    }
  }
  return addresses;
}

/**
 * Puts the nodes of a cluster together. An address that two nodes claim (a machine that came back under another
 * name) belongs to the better one alone: no signal against it, Ready, then by name.
 */
export function joinNodes(
  cluster: string,
  families: readonly Family[],
  views: readonly NodeView[],
  before: NodeViews | null = null,
): NodeViews {
  // Sorting thousands of nodes because one has another label costs more than all the rest.
  if (before !== null && !before.order.contested && isSameOrder(before.order.views, views))
    return placed(cluster, families, views, { ...before.order, views });
  const owners = new Map<string, NodeView>();
  const contested = new Set<string>();
  for (const view of views) {
    for (const address of new Set([view.addresses.ipv4, view.addresses.ipv6])) {
      if (address === '') continue;
      const other = owners.get(address);
      if (other !== undefined) contested.add(address);
      if (other === undefined || isBetter(view, other)) owners.set(address, view);
    }
  }
  const own = contested.size === 0 ? views : views.map((view) => withoutLost(view, owners));
  const places = own.map((_, place) => place);
  const keys = own.map(({ addresses }) => orderOf(addresses));
  const points = keys.map(pointOf);
  const sorted = places.toSorted((a, b) => byName(own[a]!, own[b]!));
  const circle = places.toSorted((a, b) => points[a]! - points[b]! || a - b);
  return placed(cluster, families, own, {
    views: own,
    byName: sorted,
    places: new Map(sorted.map((place, index) => [own[place]!.node.name, index])),
    byAddress: places.toSorted((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : a - b)),
    circle,
    points: circle.map((place) => points[place]!),
    contested: contested.size > 0,
  });
}

function placed(
  cluster: string,
  families: readonly Family[],
  views: readonly NodeView[],
  order: NodeOrder,
): NodeViews {
  const list = order.byName.map((place) => views[place]!);
  return {
    cluster,
    families,
    list,
    byName: {
      has: (name) => order.places.has(name),
      get: (name) => {
        const index = order.places.get(name);
        return index === undefined ? undefined : list[index];
      },
    },
    byAddress: order.byAddress.map((place) => views[place]!),
    order,
  };
}

function isSameOrder(before: readonly NodeView[], after: readonly NodeView[]): boolean {
  return (
    before.length === after.length &&
    after.every((view, index) => {
      const known = before[index]!;
      return (
        view === known ||
        (view.node.name === known.node.name &&
          view.addresses.ipv4 === known.addresses.ipv4 &&
          view.addresses.ipv6 === known.addresses.ipv6)
      );
    })
  );
}

function orderOf({ ipv4, ipv6 }: NodeView['addresses']): string {
  return ipv4 !== '' ? `${ipv4}:` : `[${ipv6}]:`;
}

function withoutLost(view: NodeView, owners: ReadonlyMap<string, NodeView>): NodeView {
  const keep = (address: string): string => (address === '' || owners.get(address) === view ? address : '');
  const addresses = { ipv4: keep(view.addresses.ipv4), ipv6: keep(view.addresses.ipv6) };
  const lost = [view.addresses.ipv4, view.addresses.ipv6].find((address) => keep(address) !== address);
  if (lost === undefined) return view;
  const owner = owners.get(lost)?.node.name ?? '';
  const reasons =
    addresses.ipv4 === '' && addresses.ipv6 === ''
      ? [...view.reasons, reason('address-shared', `${lost} is that of node ${owner}`)]
      : view.reasons;
  return { ...view, addresses, reasons };
}

function isBetter(view: NodeView, other: NodeView): boolean {
  const rank = ({ node, reasons }: NodeView): number =>
    (reasons.some(({ code }) => code !== 'cordoned' && code !== 'not-ready') ? 2 : 0) +
    (node.ready === 'True' ? 0 : 1);
  const difference = rank(view) - rank(other);
  return difference < 0 || (difference === 0 && byName(view, other) < 0);
}

function byName(a: NodeView, b: NodeView): number {
  return a.node.name < b.node.name ? -1 : a.node.name > b.node.name ? 1 : 0;
}
