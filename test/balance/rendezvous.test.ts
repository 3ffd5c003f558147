// GLB's table bit by bit, the order beyond the kept places, weights, and rows taken over from another table.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { addressBytes } from '../../src/balance/address-bytes.ts';
import type { Admission } from '../../src/balance/hash-policy.ts';
import { createPoolPicker } from '../../src/balance/pool-picker.ts';
import { RendezvousTable, ROWS } from '../../src/balance/rendezvous.ts';
import { createFlowHasher, hashKeyBytes, SipHash } from '../../src/balance/siphash.ts';
import { addressKeys, byIdentity, hex, tableInput } from '../../src/balance/table-input.ts';
import type { Member } from '../../src/model/picker.ts';
import { fc } from '../support/properties.ts';
import { createMember, createMembers, createOptions, seededRandom, shuffled } from './members.ts';

const SEED = '34567890123456783456789012345678';

function createTable(members: readonly Member[], seed = SEED, before?: RendezvousTable): RendezvousTable {
  const sorted = members.toSorted(byIdentity);
  return new RendezvousTable(tableInput(sorted, addressKeys(sorted), hashKeyBytes(seed)), before);
}

const at = (address: string, changes: Partial<Member> = {}): Member =>
  createMember(0, { address, ...changes });

/** The whole order of a row, by refusing one after the other. */
function orderOf(table: RendezvousTable, row: number, members: readonly Member[]): string[] {
  const sorted = members.toSorted(byIdentity);
  const refused = new Set<number>();
  const admission: Admission = { admits: (index) => !refused.has(index) };
  return sorted.map(() => {
    const index = table.first(row, admission);
    refused.add(index);
    return sorted[index]!.address;
  });
}

describe("GLB's rendezvous table", () => {
  it('has the published orders for four backends', () => {
    const members = [1, 2, 3, 4].map((last) => at(`1.1.1.${last}`));
    const table = createTable(shuffled(members, seededRandom(1)), '49a3d861d661ae5ab06ed9326871a2f5');
    const order = (row: number): string =>
      orderOf(table, row, members)
        .map((address) => address.at(-1))
        .join('');
    assert.equal(order(0), '4321');
    assert.equal(order(0xffff), '1243');
    assert.equal(order(0xbb44), '4123');
  });

  it('is the same in all 65,536 rows, and sends a client to the same backends', () => {
    const members = ['1.2.3.4', '2.3.4.5', '3.4.5.6'].map((address) => at(address));
    const table = createTable(members);
    const rows = new Uint32Array(ROWS * 2);
    for (let row = 0; row < ROWS; row++) {
      rows[row * 2] = table.at(row, 0);
      rows[row * 2 + 1] = table.at(row, 1);
    }
    assert.deepEqual(Array.from(rows.subarray(0, 16)), [0, 1, 0, 1, 2, 1, 0, 2, 1, 2, 2, 0, 2, 0, 0, 2]);
    assert.equal(
      createHash('sha256').update(new Uint8Array(rows.buffer)).digest('hex'),
      'b73bca68d35edbc392e67cc44b849a849cf52a812980928ed628bf28bbdb1053',
    );

    const options = createOptions('rendezvous');
    const hash = createFlowHasher(options.policy.hashKey).bytes(addressBytes('10.11.12.13'), 4);
    const picker = createPoolPicker(members, options, Math.random, () => 0);
    const first = picker.pick(hash, []);
    assert.equal(first?.address, '3.4.5.6');
    assert.equal(picker.pick(hash, [first])?.address, '2.3.4.5');
  });

  it('gives a fourth backend 24.94% of the rows, and the old primary stays as the secondary of each', () => {
    const three = ['1.2.3.4', '2.3.4.5', '3.4.5.6'].map((address) => at(address));
    const before = createTable(three);
    const after = createTable([...three, at('4.5.6.7')]);
    let moved = 0;
    for (let row = 0; row < ROWS; row++) {
      if (after.at(row, 0) === before.at(row, 0)) continue;
      moved++;
      assert.equal(after.at(row, 0), 3);
      assert.equal(after.at(row, 1), before.at(row, 0));
    }
    assert.ok(Math.abs(moved / ROWS - 0.25) < 0.01, `${moved}`);
  });

  it('orders all members of a row by score, also beyond the kept places', () => {
    const members = createMembers(25);
    const table = createTable(members);
    const sip = new SipHash(hashKeyBytes(SEED));
    const bytes = (): Uint8Array => {
      const out = new Uint8Array(8);
      new DataView(out.buffer).setUint32(4, sip.high, true);
      return out;
    };
    for (const row of [0, 1, 513, 40_000, 65_535]) {
      const message = new Uint8Array(4);
      new DataView(message.buffer).setUint32(0, row);
      const low = sip.hash(message);
      const seed = bytes();
      new DataView(seed.buffer).setUint32(0, low, true);
      const scores = members.map(({ address }) => {
        const score = sip.hash(Uint8Array.of(...seed, ...addressBytes(address)));
        const raw = bytes();
        new DataView(raw.buffer).setUint32(0, score, true);
        return { address, score: hex(raw) };
      });
      const expected = scores.sort((a, b) => (a.score < b.score ? -1 : 1)).map(({ address }) => address);
      assert.deepEqual(orderOf(table, row, members), expected);
    }
  });

  it('keys IPv6 by its 16 bytes, and adds the port only to an address that has several', () => {
    const members = [
      at('2001:db8::1'),
      at('10.0.0.1', { port: 1 }),
      at('10.0.0.1', { port: 258 }),
      at('10.0.0.2'),
    ];
    assert.deepEqual(addressKeys(members).map(hex), [
      '20010db8000000000000000000000001',
      '0a0000010001',
      '0a0000010102',
      '0a000002',
    ]);
    const options = createOptions('rendezvous');
    const reached = new Set<string>();
    const picker = createPoolPicker(members, options, Math.random, () => 0);
    for (let hash = 0; hash < 200; hash++) reached.add(picker.pick(hash, [])?.identity ?? '');
    assert.equal(reached.size, 4);
  });

  it('takes host names for keys, too', () => {
    const options = createOptions('rendezvous');
    const members = [at('node-a.example.com'), at('node-b.example.com')];
    assert.ok(createPoolPicker(members, options, Math.random, () => 0).pick(1, []));
  });
});

describe('a weighted rendezvous table', () => {
  it('gives each member its share of the rows', () => {
    const weights = [1, 2, 3, 10];
    const table = createTable(weights.map((weight, index) => createMember(index + 1, { weight })));
    const rows = weights.map(() => 0);
    for (let row = 0; row < ROWS; row++) rows[table.at(row, 0)]!++;
    weights.forEach((weight, index) => {
      const expected = (ROWS * weight) / 16;
      assert.ok(Math.abs(rows[index]! - expected) < 4 * Math.sqrt(expected), `${weight}: ${rows[index]}`);
    });
  });

  it('keeps the order of members of equal weight', () => {
    const members = createMembers(12);
    const equal = createTable(members);
    const heavier = members.with(4, { ...members[4]!, weight: 2.5 });
    const weighted = createTable(heavier);
    const others = (order: string[]): string[] => order.filter((address) => address !== members[4]!.address);
    for (let row = 0; row < ROWS; row += 97)
      assert.deepEqual(
        others(orderOf(weighted, row, heavier)),
        others(orderOf(equal, row, members)),
        `row ${row}`,
      );
  });
});

describe('rows taken over from the table before', () => {
  it('are those of a table made anew, after any run of joining, leaving and reweighting', () => {
    const step = fc.record({
      join: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
      leave: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
      reweight: fc.option(fc.integer({ min: 1, max: 40 })),
      rows: fc.array(fc.integer({ min: 0, max: 63 }), { maxLength: 40 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
        let members = new Map(createMembers(12).map((member, index) => [index + 1, member]));
        let table = createTable(Array.from(members.values()));
        for (let row = 0; row < 64; row += 2) table.at(row, 0);
        for (const { join, leave, reweight, rows } of steps) {
          members = new Map(members);
          for (const number of leave) members.delete(number);
          for (const number of join) members.set(number, createMember(number));
          if (reweight !== null) members.set(reweight, createMember(reweight, { weight: 3 }));
          const list = Array.from(members.values());
          table = createTable(list, SEED, table);
          // Only some rows are used before the next change, so that carried rows are carried again.
          for (const row of rows) table.at(row, 0);
        }
        const list = Array.from(members.values());
        const fresh = createTable(list);
        for (let row = 0; row < 64; row++)
          for (let place = 0; place < fresh.places; place++)
            assert.equal(table.at(row, place), fresh.at(row, place), `row ${row}, place ${place}`);
        assert.equal(table.checksum, fresh.checksum);
      }),
      { numRuns: 60, seed: 21 },
    );
  });

  it('are refused from a table with another seed', () => {
    const members = createMembers(6);
    const other = createTable(members, 'f'.repeat(32));
    for (let row = 0; row < 64; row++) other.at(row, 0);
    const table = createTable(members, SEED, other);
    const fresh = createTable(members);
    for (let row = 0; row < 64; row++) assert.equal(table.at(row, 0), fresh.at(row, 0));
  });
});
