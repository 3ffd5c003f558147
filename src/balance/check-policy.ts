// What could be wrong with a policy, looked at before a picker is made of it.

import type { PolicyConfig } from '../model/pool-config.ts';
import { checkTableSize } from './maglev.ts';
import { hashKeyBytes } from './siphash.ts';

/** @throws RangeError for a seed that is not 32 hex digits or a maglev table size that is not prime */
export function checkPolicy({ name, seed, tableSize }: PolicyConfig): void {
  if (name === 'rendezvous' || name === 'maglev' || name === 'ring-hash') hashKeyBytes(seed);
  if (name === 'maglev') checkTableSize(tableSize);
}
