// How priority groups share the flows of a pool.

/**
 * Writes each group's share of new flows into `load` (sum 1, or all 0 when nothing is available) and returns how much
 * of all flows the groups can take together, which may be more than 1. A group can take all of them while its
 * available share is at least `spilloverThreshold`, and below that share / threshold of them; what it cannot take
 * goes on to the next. When all together cannot take everything, each carries more in the same proportion. These
 * are Envoy's priority levels, with the threshold in the place of its overprovisioning factor (0.7 for 1.4).
 * @param share available share of each group, 0 to 1, in order of priority
 */
export function spreadLoad(share: Float64Array, spilloverThreshold: number, load: Float64Array): number {
  let capacity = 0;
  for (let group = 0; group < share.length; group++) {
    const available = share[group]!;
    const takes =
      available >= spilloverThreshold && available > 0 ? 1 : available / (spilloverThreshold || 1);
    load[group] = Math.min(takes, Math.max(0, 1 - capacity));
    capacity += takes;
  }
  if (capacity > 0 && capacity < 1)
    for (let group = 0; group < load.length; group++) load[group] = load[group]! / capacity;
  return capacity;
}
