// Owns what targets are derived from in one cluster: judged nodes, services, slices by service, and doubt about vanished services.

import type { ClusterConfig } from '../../model/config.ts';
import {
  type ClusterInventory,
  type EndpointSliceFact,
  NOTHING_UNLISTED,
  type NodeFact,
  type ServiceFact,
  type UnlistedObjects,
} from '../../model/inventory.ts';
import type { Reason } from '../../model/targets.ts';
import { joinNodes, type NodeView, type NodeViews, viewNode } from './nodes.ts';
import { nodeToken } from './object-versions.ts';
import { hasSameCodes } from './reason-lists.ts';
import { type ParsedSelector, parseSelector } from './selector.ts';
import type { UnreadKind } from './services.ts';
import type { Change } from './source-state.ts';
import type { Now } from './target-table.ts';

const NO_SLICES: readonly EndpointSliceFact[] = [];

/** The reasons of a node have changed, whatever the services on it. */
export interface NodeChange {
  readonly cluster: string;
  readonly node: NodeFact;
  readonly from: readonly Reason[];
  readonly to: readonly Reason[];
}

/** One cluster; objects that did not change keep their identity, so that whoever derives from them can skip them. */
export class ClusterView {
  readonly #onNodeChange: (change: NodeChange) => void;
  #config: ClusterConfig;
  #selector: ParsedSelector;
  #inventory: ClusterInventory | null = null;
  #drained: ReadonlySet<string> = new Set();
  #drainsAll = false;
  /** Of the nodes of the inventory, in its order. */
  #views: readonly NodeView[] = [];
  /** The last change of the node-level reasons of each node. */
  readonly #changed = new Map<string, Change & { readonly view: NodeView }>();
  #nodes: NodeViews;
  #services: ReadonlyMap<string, ServiceFact> = new Map();
  #slices: ReadonlyMap<string, readonly EndpointSliceFact[]> = new Map();
  #vanishedAtMs: number[] = [];
  /** Services that vanished together with too many others: their absence is not believed. */
  readonly #doubted = new Set<string>();
  #unlistedNodes: ReadonlySet<string> = new Set();
  #unlistedServices: ReadonlySet<string> = new Set();
  #unlistedEndpoints: ReadonlySet<string> = new Set();

  /** @param onNodeChange told when the reasons of a known node change */
  constructor(config: ClusterConfig, onNodeChange: (change: NodeChange) => void = () => {}) {
    this.#config = config;
    this.#onNodeChange = onNodeChange;
    this.#selector = parseSelector(config.nodes.selector ?? '');
    this.#nodes = joinNodes(config.name, config.nodes.families, []);
  }

  get config(): ClusterConfig {
    return this.#config;
  }

  /** Null while nothing is known. */
  get inventory(): ClusterInventory | null {
    return this.#inventory;
  }

  get unlisted(): UnlistedObjects {
    return this.#inventory?.unlisted ?? NOTHING_UNLISTED;
  }

  get nodes(): NodeViews {
    return this.#nodes;
  }

  /** `namespace/name` of every service. */
  get serviceNames(): Iterable<string> {
    return this.#services.keys();
  }

  service(name: string): ServiceFact | null {
    return this.#services.get(name) ?? null;
  }

  slicesOf(name: string): readonly EndpointSliceFact[] {
    return this.#slices.get(name) ?? NO_SLICES;
  }

  /** True when the service vanished in a way that the API may have got wrong. */
  isDoubted(name: string): boolean {
    return this.#doubted.has(name) || this.#unlistedServices.has(name);
  }

  /** True when a list left the service out although no deletion was announced. */
  isServiceUnlisted(name: string): boolean {
    return this.#unlistedServices.has(name);
  }

  /** What of the service nothing is known of, since its namespace has not been listed. */
  unreadOf(name: string): UnreadKind | null {
    const { services = [], slices = [] } = this.#inventory?.unread ?? {};
    const [namespace = ''] = name.split('/', 1);
    if (services.includes(namespace)) return 'services';
    return slices.includes(namespace) ? 'endpoint slices' : null;
  }

  /** True when a list left the node out although no deletion was announced. */
  isUnlisted(node: string): boolean {
    return this.#unlistedNodes.has(node);
  }

  /** True when an operator drains the node, listed or not. */
  isDrained(node: string): boolean {
    return this.#drainsAll || this.#drained.has(node);
  }

  /** True when a list left out an endpoint slice of the service although no deletion was announced. */
  doubtsEndpointsOf(service: string): boolean {
    return this.#unlistedEndpoints.has(service);
  }

  /** When the reasons of the node itself last changed; undefined for a node that is not listed. */
  changeOf(node: string): Change | undefined {
    return this.#changed.get(node);
  }

  setConfig(config: ClusterConfig, now: Now): void {
    const isSame = JSON.stringify(config.nodes) === JSON.stringify(this.#config.nodes);
    this.#config = config;
    if (isSame) return;
    this.#selector = parseSelector(config.nodes.selector ?? '');
    this.#judgeAgain(now);
  }

  /** Nodes that an operator drains; `all` drains the whole cluster. */
  setDrains(nodes: ReadonlySet<string>, all: boolean, now: Now): void {
    this.#drained = nodes;
    this.#drainsAll = all;
    this.#judgeAgain(now);
  }

  /** Takes a newer inventory; returns false when nothing in it differs. An inventory of origin `none` never replaces one. */
  setInventory(inventory: ClusterInventory, stepMs: number, now: Now): boolean {
    const before = this.#inventory;
    if (inventory === before || inventory.origin === 'none') return false;
    this.#inventory = inventory;
    this.#unlistedNodes = new Set(inventory.unlisted.nodes);
    this.#unlistedServices = new Set(inventory.unlisted.services);
    this.#unlistedEndpoints = new Set(inventory.unlisted.endpoints);
    if (before?.nodes !== inventory.nodes) this.#judge(before?.nodes ?? [], now);
    if (before?.services !== inventory.services) this.#indexServices(before !== null, stepMs, now);
    if (before?.slices !== inventory.slices) this.#indexSlices(before?.slices ?? [], inventory.slices);
    return true;
  }

  #judgeAgain(now: Now): void {
    this.#views = [];
    if (this.#inventory !== null) this.#judge([], now);
  }

  /** Nodes that stand where they stood are not judged again: of thousands one has changed. */
  #judge(former: readonly NodeFact[], now: Now): void {
    const { name, nodes: selection } = this.#config;
    const known = this.#views;
    let moved: ReadonlyMap<NodeFact, NodeView> | null = null;
    const knownOf = (node: NodeFact, index: number): NodeView | undefined => {
      if (former[index] === node) return known[index];
      if (former[index]?.name === node.name) return undefined;
      moved ??= new Map(former.map((one, at) => [one, known[at]!]));
      return moved.get(node);
    };
    const views = (this.#inventory?.nodes ?? []).map((node, index) => {
      const view = knownOf(node, index);
      if (view !== undefined) return view;
      return viewNode(name, node, selection, this.#selector, this.isDrained(node.name));
    });
    this.#views = views;
    const before = this.#nodes;
    const joined = joinNodes(name, selection.families, views, before);
    const { list } = joined;
    const isSame =
      before.families === selection.families &&
      before.list.length === list.length &&
      before.list.every((view, index) => view === list[index]);
    if (isSame) return;
    this.#nodes = joined;
    for (let index = 0; index < list.length; index++) {
      const view = list[index]!;
      if (before.list[index] === view) continue;
      const known = this.#changed.get(view.node.name);
      if (known?.view === view) continue;
      const isKnown = known !== undefined && hasSameCodes(known.view.reasons, view.reasons);
      if (known !== undefined && !isKnown) {
        this.#onNodeChange({ cluster: name, node: view.node, from: known.view.reasons, to: view.reasons });
      }
      const isNewer = known?.view.node.resourceVersion !== view.node.resourceVersion;
      this.#changed.set(view.node.name, {
        view,
        atMs: isKnown ? known.atMs : now.epochMs,
        by: isKnown
          ? known.by
          : isNewer && before.list.length > 0
            ? nodeToken(view.node.resourceVersion)
            : '',
      });
    }
    if (this.#changed.size === joined.list.length) return;
    for (const node of this.#changed.keys()) if (!joined.byName.has(node)) this.#changed.delete(node);
  }

  #indexServices(isUpdate: boolean, stepMs: number, now: Now): void {
    const before = this.#services;
    const services = new Map<string, ServiceFact>();
    for (const service of this.#inventory?.services ?? []) {
      services.set(`${service.namespace}/${service.name}`, service);
    }
    this.#services = services;
    for (const name of this.#doubted) if (services.has(name)) this.#doubted.delete(name);
    if (!isUpdate) return;
    const vanished = [...before.keys()].filter((name) => !services.has(name));
    if (vanished.length === 0) return;
    const recent = this.#vanishedAtMs.filter((atMs) => now.monotonicMs - atMs < stepMs);
    const share = (recent.length + vanished.length) / (before.size + recent.length);
    if (share > this.#config.maxRemovedShare) for (const name of vanished) this.#doubted.add(name);
    this.#vanishedAtMs = [...recent, ...vanished.map(() => now.monotonicMs)];
  }

  #indexSlices(former: readonly EndpointSliceFact[], slices: readonly EndpointSliceFact[]): void {
    const replaced = replacements(former, slices);
    this.#slices = replaced === null ? this.#group(slices) : this.#replace(replaced);
  }

  #group(all: readonly EndpointSliceFact[]): ReadonlyMap<string, readonly EndpointSliceFact[]> {
    const grouped = new Map<string, EndpointSliceFact[]>();
    for (const slice of all) {
      const name = serviceOf(slice);
      const list = grouped.get(name);
      if (list === undefined) grouped.set(name, [slice]);
      else list.push(slice);
    }
    const slices = new Map<string, readonly EndpointSliceFact[]>();
    for (const [name, list] of grouped) {
      const known = this.#slices.get(name);
      const isSame = known?.length === list.length && list.every((slice, index) => slice === known[index]);
      slices.set(name, isSame ? known : list);
    }
    return slices;
  }

  #replace(
    replaced: ReadonlyMap<EndpointSliceFact, EndpointSliceFact>,
  ): ReadonlyMap<string, readonly EndpointSliceFact[]> {
    const slices = new Map(this.#slices);
    for (const name of new Set([...replaced.keys()].map(serviceOf))) {
      slices.set(
        name,
        slices.get(name)!.map((slice) => replaced.get(slice) ?? slice),
      );
    }
    return slices;
  }
}

function serviceOf({ namespace, service }: EndpointSliceFact): string {
  return `${namespace}/${service}`;
}

/** What stands in the place of what, when nothing came, went or changed its service; null otherwise. */
function replacements(
  before: readonly EndpointSliceFact[],
  after: readonly EndpointSliceFact[],
): ReadonlyMap<EndpointSliceFact, EndpointSliceFact> | null {
  if (before.length !== after.length) return null;
  const replaced = new Map<EndpointSliceFact, EndpointSliceFact>();
  for (let index = 0; index < after.length; index++) {
    const slice = after[index]!;
    const known = before[index]!;
    if (known === slice) continue;
    if (known.namespace !== slice.namespace || known.service !== slice.service) return null;
    replaced.set(known, slice);
  }
  return replaced;
}
