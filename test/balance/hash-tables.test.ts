// Tables are kept from picker to picker, and shared where they are equal.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HashTables } from '../../src/balance/hash-tables.ts';
import { createPoolPicker } from '../../src/balance/pool-picker.ts';
import { hashKeyBytes } from '../../src/balance/siphash.ts';
import { addressKeys, byIdentity, identityKeys, tableInput } from '../../src/balance/table-input.ts';
import type { Member } from '../../src/model/picker.ts';
import { createMember, createMembers, createOptions, HASH_POLICIES } from './members.ts';

const SEED = hashKeyBytes('0123'.repeat(8));

function inputOf(members: readonly Member[]) {
  const sorted = members.toSorted(byIdentity);
  return tableInput(sorted, addressKeys(sorted), SEED);
}

describe('HashTables', () => {
  it('gives the same table for the same members and weights', () => {
    const tables = new HashTables();
    const members = createMembers(5);
    const table = tables.rendezvous(inputOf(members));
    assert.equal(tables.rendezvous(inputOf(members.toReversed())), table);
    assert.notEqual(tables.rendezvous(inputOf(members.slice(1))), table);
    const input = tableInput(members, identityKeys(members), SEED, true);
    assert.equal(tables.maglev(input, 251), tables.maglev(input, 251));
    assert.notEqual(tables.maglev(input, 251), tables.maglev(input, 257));
    assert.equal(tables.ringHash(input, 8), tables.ringHash(input, 8));
    assert.notEqual(tables.ringHash(input, 8), tables.ringHash(input, 9));
  });

  it('shares a rendezvous table between pools on the same addresses with other ports', () => {
    const tables = new HashTables();
    const table = tables.rendezvous(inputOf(createMembers(12, { port: 30_001 })));
    assert.equal(tables.rendezvous(inputOf(createMembers(12, { port: 30_002 }))), table);
  });

  it('changes no pick and no checksum', () => {
    const tables = new HashTables();
    for (const policy of HASH_POLICIES) {
      const options = createOptions(policy);
      // Many changes in a row, so that tables come from others in every way there is.
      for (let turn = 0; turn < 12; turn++) {
        const members = [...createMembers(9).toSpliced(turn % 9, 2), createMember(20 + turn)];
        const shared = createPoolPicker(members, options, Math.random, () => 0, tables);
        const alone = createPoolPicker(members, options, Math.random, () => 0);
        for (let hash = 0; hash < 300; hash++) {
          const home = alone.pick(hash, []);
          assert.equal(shared.pick(hash, []), home);
          if (home) assert.equal(shared.pick(hash, [home]), alone.pick(hash, [home]));
        }
        assert.equal(shared.checksum, alone.checksum);
      }
    }
  });
});
