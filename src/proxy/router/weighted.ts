// Which pool: a weighted choice, or the environment that the captures name.

import type { CompiledAction, ServicePools, WeightedPools } from './actions.ts';
import { render } from './template.ts';

/** No pool: every weight is 0, no such environment, or the action uses none. */
export const NO_POOL = -1;

/** The pool for a random number in [0, 1), each in proportion to its weight; NO_POOL when all weights are 0. */
export function choosePool(weighted: WeightedPools, random: number): number {
  const { pools, upTo } = weighted;
  const last = pools.length - 1;
  for (let i = 0; i < last; i++) {
    if (random < (upTo[i] as number)) return pools[i] as number;
  }
  return last < 0 ? NO_POOL : (pools[last] as number);
}

/** The pool of the environment that `captures` name; NO_POOL when there is none. */
export function serviceEnvironment(service: ServicePools, captures: readonly string[]): number {
  return service.pools.get(render(service.service, captures)) ?? NO_POOL;
}

/**
 * The index of the pool that a matched rule's action sends to. NO_POOL means `no-target` for an action of kind
 * `pools`, `no-environment` for `service`, and is all that redirect and respond ever give.
 * @param random a number in [0, 1)
 */
export function actionOf(action: CompiledAction, captures: readonly string[], random: number): number {
  if (action.kind === 'pools') return choosePool(action.weighted, random);
  if (action.kind === 'service') return serviceEnvironment(action.service, captures);
  return NO_POOL;
}
