// Owns the cut of a large pool to some of its nodes: the same ones in every Portico, whoever asks and in whatever order.

import type { Candidate } from './candidate.ts';
import type { NodeView, NodeViews } from './nodes.ts';
import { pointOf } from './point.ts';

/**
 * Nodes stand on a circle by their address, and a service begins at a place of its own: the first `subset` from there on
 * that can take new flows, and whatever cannot between them, so that it drains or comes back in its place. A node that
 * comes or goes changes the pools that pass it by one node each.
 */
export function cutToSubset(
  candidateOf: (view: NodeView) => Candidate | undefined,
  subset: number,
  service: string,
  nodes: NodeViews,
): readonly Candidate[] {
  const { circle, points, views } = nodes.order;
  const start = firstAtOrAfter(points, pointOf(service));
  const chosen: Candidate[] = [];
  let usable = 0;
  for (let step = 0; step < circle.length && usable < subset; step++) {
    const candidate = candidateOf(views[circle[(start + step) % circle.length]!]!);
    if (candidate === undefined || candidate.state === 'excluded') continue;
    chosen.push(candidate);
    if (candidate.state === 'active' && !candidate.lastResort) usable++;
  }
  return chosen;
}

/** The place of the first point that is not below, or 0 when all are. */
function firstAtOrAfter(points: readonly number[], point: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]! < point) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}
