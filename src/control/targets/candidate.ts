// Owns the judgement of one service x node as the API alone tells it: its address, its state, its weight and its reasons.

import type { SourceConfig } from '../../model/pool-config.ts';
import type { Reason } from '../../model/targets.ts';
import type { NodeView } from './nodes.ts';
import { EFFECTS, type Effect, REASONS, reason, strongestEffect } from './reasons.ts';
import type { ServiceView } from './services.ts';

/** One service x node (or static address) as the API alone tells it, before probes and history. */
export interface Candidate {
  readonly cluster: string | null;
  readonly node: string | null;
  readonly nodeUid: string | null;
  /** Empty when none could be derived. */
  readonly address: string;
  /** 0: the port of the source applies. */
  readonly port: number;
  readonly weight: number;
  readonly state: 'active' | 'draining' | 'excluded';
  readonly lastResort: boolean;
  /** All that hold, the strongest first. */
  readonly reasons: readonly Reason[];
  readonly nodeVersion: string;
}

/** The whole "NodePort truth" for one service x node: node reasons, service reasons, and where the endpoints are. */
export function judgeCandidate(view: NodeView, service: ServiceView, source: SourceConfig): Candidate {
  const reasons: Reason[] = [...view.reasons, ...service.reasons];
  const family = service.families.find((wanted) => view.addresses[wanted] !== '');
  const hasAddress = view.addresses.ipv4 !== '' || view.addresses.ipv6 !== '';
  if (family === undefined && hasAddress && !reasons.some(({ code }) => code === 'family-mismatch')) {
    const own = view.addresses.ipv4 !== '' ? 'IPv4' : 'IPv6';
    reasons.push(reason('family-mismatch', `the node has an ${own} address only`));
  }
  let weight = 1;
  // A node without a usable address is told of its endpoints in the family that it would be used with.
  const judged = family ?? service.families[0];
  // Where the service has no endpoint at all, "none on this node" would add nothing.
  const asksWhere = service.policy === 'Local' || source.preferNodesWithEndpoints;
  if (asksWhere && judged !== undefined && !service.reasons.some(({ code }) => ENDPOINTS_UNKNOWN.has(code))) {
    const local = service.local[judged].get(view.node.name);
    if (service.policy === 'Local') weight = judgeLocal(local, reasons);
    else if ((local?.ready ?? 0) === 0) reasons.push(reason('hosts-no-endpoint'));
  }
  const effect = strongestEffect(reasons);
  if (effect === 'none' && service.policy === 'Cluster') reasons.unshift(reason('ready'));
  return {
    cluster: view.cluster,
    node: view.node.name,
    nodeUid: view.node.uid,
    address: family === undefined ? '' : view.addresses[family],
    port: 0,
    weight: effect === 'excluded' ? 0 : weight,
    state: stateOf(effect),
    lastResort: reasons.some(({ code }) => REASONS[code].effect === 'last-resort'),
    reasons: byStrength(reasons),
    nodeVersion: view.node.resourceVersion,
  };
}

/** The reason stands beside those that hold for the node, and does not call it ready. */
export function outsideSubset(made: Candidate, subset: number): Candidate {
  const reasons = made.reasons.filter(({ code }) => code !== 'ready');
  const own = reason('outside-subset', `${subset} of them`);
  return { ...made, state: 'excluded', weight: 0, lastResort: false, reasons: byStrength([own, ...reasons]) };
}

const ENDPOINTS_UNKNOWN: ReadonlySet<string> = new Set([
  'service-not-found',
  'port-not-found',
  'no-endpoints',
]);

function judgeLocal(
  local: { readonly ready: number; readonly terminating: number } | undefined,
  reasons: Reason[],
): number {
  if (local === undefined) {
    reasons.push(reason('no-local-endpoint'));
    return 0;
  }
  if (local.ready === 0) {
    reasons.push(reason('local-endpoints-terminating'));
    return local.terminating;
  }
  reasons.push(reason('local-endpoints', `${local.ready} of them`));
  return local.ready;
}

function stateOf(effect: Effect): Candidate['state'] {
  return effect === 'excluded' ? 'excluded' : effect === 'draining' ? 'draining' : 'active';
}

function byStrength(reasons: readonly Reason[]): readonly Reason[] {
  const rank = ({ code }: Reason): number => EFFECTS.indexOf(REASONS[code].effect);
  return Object.freeze([...reasons].sort((a, b) => rank(a) - rank(b)));
}
