// The ring: points by weight, nearest point, bounded size.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RingTable } from '../../src/balance/ring-hash.ts';
import { hashKeyBytes } from '../../src/balance/siphash.ts';
import { byIdentity, identityKeys, tableInput } from '../../src/balance/table-input.ts';
import type { Member } from '../../src/model/picker.ts';
import { createMember, createMembers } from './members.ts';

const ALL = { admits: () => true };

function createTable(members: readonly Member[], pointsPerWeight = 160): RingTable {
  const sorted = members.toSorted(byIdentity);
  const input = tableInput(sorted, identityKeys(sorted), hashKeyBytes('0123'.repeat(8)), true);
  return new RingTable(input, pointsPerWeight);
}

describe('the ring', () => {
  it('has so many points for each unit of weight, in ascending order', () => {
    const members = [0.25, 1, 3].map((weight, index) => createMember(index + 1, { weight }));
    const { points, owners } = createTable(members);
    assert.deepEqual(
      [0, 1, 2].map((index) => owners.filter((owner) => owner === index).length),
      [40, 160, 480],
    );
    assert.ok(points.every((point, index) => index === 0 || points[index - 1]! <= point));
  });

  it('sends a hash to the first point at or after it, and beyond the last to the first', () => {
    const table = createTable(createMembers(5), 10);
    const { points, owners } = table;
    points.forEach((point, index) => {
      assert.equal(table.first(point, ALL), owners[index]);
      if (index > 0) assert.equal(table.first(points[index - 1]! + 1, ALL), owners[index]);
    });
    assert.equal(table.first(points.at(-1)! + 1, ALL), owners[0]);
    assert.equal(table.first(0, ALL), owners[0]);
  });

  it('spreads hashes evenly enough: no member of ten has 30% more or less than its share', () => {
    const table = createTable(createMembers(10));
    const { points, owners } = table;
    const arcs = Array.from({ length: 10 }, () => 0);
    points.forEach((point, index) => {
      const before = index === 0 ? points.at(-1)! - 2 ** 32 : points[index - 1]!;
      arcs[owners[index]!]! += (point - before) / 2 ** 32;
    });
    for (const arc of arcs) assert.ok(Math.abs(arc - 0.1) < 0.03, `${arc}`);
  });

  it('moves hashes only to a member whose weight grows', () => {
    const members = createMembers(6);
    const before = createTable(members);
    const after = createTable(members.with(2, { ...members[2]!, weight: 2 }));
    for (let hash = 0; hash < 2 ** 32; hash += 1_000_003) {
      const now = after.first(hash, ALL);
      assert.ok(now === before.first(hash, ALL) || now === 2);
    }
  });

  it('halves its points until they fit, however large the weights', () => {
    const members = createMembers(20, { weight: 1_000 });
    const { points, owners } = createTable([...members, createMember(99, { weight: 0.001 })]);
    assert.ok(points.length <= 2 ** 18 + 21 && points.length > 2 ** 16, `${points.length}`);
    assert.equal(new Set(owners).size, 21);
  });

  it('has no member for any hash when it is empty', () => {
    assert.equal(createTable([]).first(5, ALL), -1);
  });
});
