// A whole cluster is drained: its share goes to the others, and nothing that the others had moves.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPoolPicker } from '../../src/balance/pool-picker.ts';
import type { Member, Picker, PickerOptions } from '../../src/model/picker.ts';
import { countPicks, createMember, createOptions, HASH_POLICIES, POLICIES, seededRandom } from './members.ts';

const KEYS = 4000;
const HASHES = Array.from({ length: KEYS }, (_, index) => Math.imul(index + 1, 0x9e3779b1) >>> 0);

/** Five nodes in each of two clusters. */
function twoClusters(prioritySea: number, seaState: Member['state']): Member[] {
  const iad = [1, 2, 3, 4, 5].map((number) => createMember(number));
  const sea = [6, 7, 8, 9, 10].map((number) =>
    createMember(number, { cluster: 'sea', priority: prioritySea, state: seaState }),
  );
  return [...iad, ...sea];
}

const pickerOf = (members: readonly Member[], options: PickerOptions): Picker =>
  createPoolPicker(members, options, seededRandom(1), () => 0);

const picks = (picker: Picker): readonly (Member | undefined)[] =>
  HASHES.map((hash) => picker.pick(hash, []));

for (const name of HASH_POLICIES) {
  describe(`${name}, a cluster drained`, () => {
    const options = createOptions(name);

    it("leaves every row of the survivors where it is, and gives the drained cluster's to them", () => {
      const before = pickerOf(twoClusters(0, 'active'), options);
      const after = pickerOf(twoClusters(0, 'draining'), options);
      assert.notEqual(before.checksum, '');
      assert.equal(after.checksum, before.checksum, 'the published table is the same');
      const [was, is] = [picks(before), picks(after)];
      let diverted = 0;
      for (const [index, member] of was.entries()) {
        if (member?.cluster === 'iad') assert.equal(is[index]?.identity, member.identity);
        else diverted += 1;
        assert.equal(is[index]?.cluster, 'iad');
      }
      assert.ok(diverted > KEYS / 3, `${diverted} keys were at the drained cluster`);
      const shares = new Map<string, number>();
      for (const member of is) shares.set(member!.identity, (shares.get(member!.identity) ?? 0) + 1);
      const mean = KEYS / 5;
      for (const [identity, count] of shares) {
        assert.ok(count > mean * 0.7 && count < mean * 1.3, `${identity} has ${count} of ${KEYS}`);
      }
    });

    it('moves nothing at all when the drained cluster was only the second choice', () => {
      const before = pickerOf(twoClusters(1, 'active'), options);
      const after = pickerOf(twoClusters(1, 'draining'), options);
      assert.equal(after.checksum, before.checksum);
      assert.deepEqual(
        picks(after).map((member) => member?.identity),
        picks(before).map((member) => member?.identity),
      );
    });

    it('brings every row back when it is undrained', () => {
      const before = pickerOf(twoClusters(0, 'active'), options);
      const back = pickerOf(twoClusters(0, 'active'), options);
      assert.deepEqual(
        picks(back).map((member) => member?.identity),
        picks(before).map((member) => member?.identity),
      );
    });
  });
}

for (const name of POLICIES) {
  it(`${name}: the share of a drained cluster goes to the others, evenly`, () => {
    const picker = pickerOf(twoClusters(0, 'draining'), createOptions(name));
    const counts = countPicks((hash) => picker.pick(hash, []), 5000, seededRandom(2));
    assert.equal(counts.size, 5);
    for (const count of counts.values()) assert.ok(count > 700 && count < 1300, `${count} of 5000`);
  });
}
