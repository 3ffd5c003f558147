// From the name of a policy to its algorithm and, for a hash policy, its table.

import type { Member, PickerOptions } from '../model/picker.ts';
import type { PolicyConfig } from '../model/pool-config.ts';
import type { Algorithm, Candidates } from './candidates.ts';
import { HashPolicy, type HashTable } from './hash-policy.ts';
import type { HashTables } from './hash-tables.ts';
import { LeastRequest } from './least-request.ts';
import { PeakEwma } from './peak-ewma.ts';
import { Random } from './random.ts';
import { RoundRobin } from './round-robin.ts';
import { hashKeyBytes } from './siphash.ts';
import { addressKeys, identityKeys, tableInput } from './table-input.ts';

/** The table of a hash policy over `members` (sorted by identity), or null for the other policies. */
export function createTable(
  policy: PolicyConfig,
  members: readonly Member[],
  tables: HashTables,
): HashTable | null {
  switch (policy.name) {
    case 'rendezvous':
      return tables.rendezvous(tableInput(members, addressKeys(members), hashKeyBytes(policy.seed)));
    case 'maglev':
      return tables.maglev(
        tableInput(members, identityKeys(members), hashKeyBytes(policy.seed)),
        policy.tableSize,
      );
    case 'ring-hash':
      return tables.ringHash(
        tableInput(members, identityKeys(members), hashKeyBytes(policy.seed), true),
        policy.tableSize,
      );
    case 'round-robin':
    case 'random':
    case 'least-request':
    case 'peak-ewma':
      return null;
  }
}

/** @param table over the candidates' members, in their order; null for policies that don't hash */
export function createAlgorithm(
  { policy, slowStartMs }: PickerOptions,
  candidates: Candidates,
  table: HashTable | null,
  random: () => number,
  now: () => number,
): Algorithm {
  if (table !== null) return new HashPolicy(candidates, table, policy.boundedLoad, slowStartMs > 0);
  switch (policy.name) {
    case 'random':
      return new Random(candidates, random);
    case 'least-request':
      return new LeastRequest(candidates, policy.choices, random);
    case 'peak-ewma':
      return new PeakEwma(candidates, policy.choices, random, now);
    default:
      return new RoundRobin(candidates, random);
  }
}
